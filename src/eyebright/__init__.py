"""Labelled pictures in, a model you can trust and ship out."""
