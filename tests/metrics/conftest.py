"""Fixtures: sets of scores and targets for the tests of metrics."""

from support.label_sets import gold, labels, partly_known, plain, recipes

__all__ = ["gold", "labels", "partly_known", "plain", "recipes"]
