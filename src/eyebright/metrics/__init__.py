"""Scores, computed exactly over the whole set from declared inputs."""
