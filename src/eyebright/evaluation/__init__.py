"""Evaluations of models: scores, thresholds, intervals and the worst predictions, as values for `report` and `plot`."""
