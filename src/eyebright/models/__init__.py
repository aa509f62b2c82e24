"""Models: backbones, heads, pretrained weights, parameter groups and freezing."""
