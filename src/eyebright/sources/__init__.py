"""Reads label files and folders as a `Source`, and splits it."""
