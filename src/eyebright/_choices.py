"""Values of options that functions and the command line share; importing this module does not import torch."""

from typing import Literal

Balance = Literal["none", "pos_weight", "effective_number"]
"""Weights of rare classes in the loss: none, by inverse frequency, or by effective number (Cui et al., 2019)."""

OptimizerName = Literal["adamw", "sgd"]
"""AdamW (with beta2 = 0.99 and eps = 1e-5 it is fastai's Adam), or SGD with momentum."""

HeadObjective = Literal["binary", "multinomial", "squared"]
"""The loss that a linear head is fitted with: binary cross-entropy of each output, cross-entropy, or squared error."""

CalibrationKind = Literal["none", "temperature", "platt", "beta", "isotonic"]
"""How raw outputs become calibrated ones, see `eyebright.tasks.calibration`; from the simplest to the most flexible."""

CalibrationChoice = Literal["auto", "none", "temperature", "platt", "beta", "isotonic"]
"""A kind of calibration, or "auto": the one with the best cross-validated log loss, if it helps."""
