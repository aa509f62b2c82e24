"""What watches a training: each takes an event and returns nothing."""
