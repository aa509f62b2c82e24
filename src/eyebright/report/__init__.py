"""A report that a person can look at: one self-contained file."""
