"""Matplotlib figures of values that are computed elsewhere: images with titles and points, curves, matrices."""
