"""Values of options that functions and the command line share; importing this module does not import torch."""

from typing import Literal

Balance = Literal["none", "pos_weight", "effective_number"]
"""Weights of rare classes in the loss: none, by inverse frequency, or by effective number (Cui et al., 2019)."""

OptimizerName = Literal["adamw", "sgd"]
"""AdamW (with beta2 = 0.99 and eps = 1e-5 it is fastai's Adam), or SGD with momentum."""

Precision = Literal["float32", "bfloat16", "float16"]
"""The floating-point type of a network's computations; weights and results are float32."""

TrainingPrecision = Literal["auto", "float32", "bfloat16", "float16"]
"""A precision, or "auto": the faster one, as measured."""

ExportPrecision = Literal["float32", "float16", "int8"]
"""The precision of an exported graph."""

ProgressMode = Literal["auto", "bar", "lines", "notebook", "quiet"]
"""How progress is shown; "auto": as it suits where it is shown."""

HeadObjective = Literal["binary", "multinomial", "squared"]
"""The loss that a linear head is fitted with: binary cross-entropy of each output, cross-entropy, or squared error."""

CalibrationKind = Literal["none", "temperature", "platt", "beta", "isotonic"]
"""How raw outputs become calibrated ones, see `eyebright.tasks.calibration`; from the simplest to the most flexible."""

CalibrationChoice = Literal["auto", "none", "temperature", "platt", "beta", "isotonic"]
"""A kind of calibration, or "auto": the one with the best cross-validated log loss, if it helps."""
