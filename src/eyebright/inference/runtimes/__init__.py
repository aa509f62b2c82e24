"""What computes a saved model's outputs: torch, or ONNX Runtime."""
