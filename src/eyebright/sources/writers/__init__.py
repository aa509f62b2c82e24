"""Label files that are written: one file for each format, each takes a `Source`."""
