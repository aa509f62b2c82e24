"""The input and target blocks, one module per kind of field of a sample, and `Decision`."""
