"""Metrics, computed exactly over a whole set of images; each says which of a model's outputs it takes."""
