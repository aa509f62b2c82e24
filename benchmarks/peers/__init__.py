"""The compared programs: each runs in its own process, reads settings and prints results as JSON."""
