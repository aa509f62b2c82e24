"""The process and the machine: timer, CPUs, device, signals, memory, and launching several processes."""
