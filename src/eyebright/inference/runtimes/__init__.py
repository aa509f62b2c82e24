"""The runtimes that compute a saved model's outputs: torch and ONNX Runtime."""
