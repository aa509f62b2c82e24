"""The label sets that these tests score."""

from support.label_sets import gold, labels, plain, recipes

__all__ = ["gold", "labels", "plain", "recipes"]
