"""A saved model as an ONNX graph that goes all the way from an image's pixels to answers, proved equal to Python's."""
