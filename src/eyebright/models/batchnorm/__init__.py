"""Batch norm layers: fused into convolutions for evaluation and for training, and synchronised between processes."""
