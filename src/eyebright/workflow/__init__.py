"""The whole way from labelled images to a model folder."""
