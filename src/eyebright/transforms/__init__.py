"""Augmentation and preprocessing: random transforms, and the pipeline that runs them."""
