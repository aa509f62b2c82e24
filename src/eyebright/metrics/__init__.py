"""Metrics, computed exactly over a whole set of images; each declares which of a model's outputs it takes."""
