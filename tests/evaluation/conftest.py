"""The label sets that these tests score."""

from support.label_sets import gold, labels, partly_known, plain, recipes

__all__ = ["gold", "labels", "partly_known", "plain", "recipes"]
