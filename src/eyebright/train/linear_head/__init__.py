"""Fits the linear head of a frozen backbone: from pooled features to outputs, exactly, in seconds."""
