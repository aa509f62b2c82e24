"""A saved model that predicts; knows neither the data nor the training code."""
