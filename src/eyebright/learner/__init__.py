"""The fastai book's front door: a model with its data, and its verbs."""
