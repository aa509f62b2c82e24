"""Batch norms: fused for prediction, fused for training, synchronised between processes."""
