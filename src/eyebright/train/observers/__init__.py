"""Observers of a training run: each takes an event and returns nothing."""
