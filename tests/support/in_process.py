"""Functions that tests run in another process.

A new process imports a function by the name of its module. Those of test files are called ``tests.inference...``, and
an installed package may bring a package ``tests`` of its own: that of iterative-stratification does.
"""

from pathlib import Path

from eyebright.inference.predictor import Predictor


def activated(predictor: Predictor, paths: list[Path]) -> list[list[float]]:
    """The outputs of images after activation."""
    return [one.activated.tolist() for one in predictor.predict(paths)]
