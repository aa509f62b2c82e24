"""Values of options that functions and the command line share; importing this module does not import torch."""

from typing import Literal

Balance = Literal["none", "pos_weight", "effective_number"]
"""Weights of rare classes in the loss: none, by inverse frequency, or by effective number (Cui et al., 2019)."""

OptimizerName = Literal["adamw", "sgd"]
"""AdamW (with beta2 = 0.99 and eps = 1e-5 it is fastai's Adam), or SGD with momentum."""

Precision = Literal["float32", "bfloat16", "float16"]
"""The floating-point type of a network's computations; weights and results are float32."""

TrainingPrecision = Literal["auto", Precision]
"""A precision, or "auto": the faster one, as measured."""

ExportPrecision = Literal["float32", "float16", "int8"]
"""The precision of an exported graph."""

ProgressMode = Literal["auto", "bar", "lines", "notebook", "quiet"]
"""How progress is shown; "auto": as it suits where it is shown."""

HeadObjective = Literal["binary", "multinomial", "squared"]
"""The loss that a linear head is fitted with: binary cross-entropy of each output, cross-entropy, or squared error."""

CalibrationKind = Literal["none", "temperature", "platt", "beta", "isotonic"]
"""How raw outputs become calibrated ones, see `eyebright.tasks.calibration`; from the simplest to the most flexible."""

CalibrationChoice = Literal["auto", CalibrationKind]
"""A kind of calibration, or "auto": the one with the best cross-validated log loss, if it helps."""

RuntimeName = Literal["auto", "torch", "onnx"]
"""What computes predictions; "auto": the faster one."""

PredictionFormat = Literal["csv", "csv-safe", "json"]
"""The format of a file of predictions; "csv-safe" escapes what a spreadsheet would take for a formula."""

ExportTarget = Literal["onnx", "openvino", "torch-export", "page"]
"""What a model is exported to."""

WriteFormat = Literal["csv", "parquet", "coco", "labelstudio", "folders"]
"""A format in which labelled images are written."""

SetMethod = Literal["lac", "aps", "crc", "rcps"]
"""How label sets are made, see `eyebright.evaluation.conformal`."""

PointUnit = Literal["pixels", "fraction", "percent"]
"""The unit of points; fractions and percentages are of the image's width and height."""

BlankMeaning = Literal["unknown", "no"]
"""What a blank cell of a 0/1 column means."""

UncertainMeaning = Literal["unknown", "yes", "no"]
"""What -1 in a 0/1 column means."""

HeadName = Literal["linear", "book"]
"""How the head of a model begins, see `eyebright.Options`."""

Sampling = Literal["uniform", "balanced"]
"""The images of an epoch: each once, or drawn so that rare labels come more often."""

ThresholdMetric = Literal["f1_macro", "f1_micro", "f1_samples", "hamming_loss", "accuracy_multi", "subset_accuracy"]
"""The metrics that thresholds can be tuned for when a model is trained."""

HeldOutPart = Literal["promise", "test"]
Part = Literal["train", "valid", HeldOutPart]
"""The parts of a dataset: what an image is for.

- ``train``: training.
- ``valid``: validation: epochs, thresholds and calibration are chosen by its scores.
- ``promise``: images from which guarantees such as "precision is at least 0.95" are computed, and nothing else; the
  literature on conformal prediction and risk control calls them the calibration set. A guarantee does not hold if the
  model or its thresholds were chosen by the same images.
- ``test``: the final scores, and nothing else.

`HeldOutPart` are those that are used neither for training nor for validation.
"""
EvaluatedPart = Literal["valid", HeldOutPart, "out_of_fold"]
"""What an evaluation is of: a part of the data, or all labelled images by models that have not seen them."""
