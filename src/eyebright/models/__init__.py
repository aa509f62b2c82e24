"""Backbones, heads and what is frozen of them."""
