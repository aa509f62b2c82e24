"""The two sides of a comparison: each runs in its own process and speaks JSON."""
