"""What belongs to the process: timing, processors, signals, memory, launching others."""
