"""Choices and ranges of options that functions and the command line share; importing this module loads no torch."""

from dataclasses import dataclass
from typing import Annotated, Literal


@dataclass(frozen=True)
class Range:
    """The limits of a number, for the annotation of an option.

    Args:
        at_least: the lower limit, inclusive.
        above: the lower limit, exclusive.
        at_most: the upper limit, inclusive.
        below: the upper limit, exclusive.
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None

    @property
    def text(self) -> str:
        """The limits as text, for example ``"at least 1"`` or ``"0 to 0.9"``."""
        if self.at_least is not None and self.at_most is not None:
            return f"{exact_text(self.at_least)} to {exact_text(self.at_most)}"
        limits = (("above", self.above), ("at least", self.at_least), ("at most", self.at_most), ("below", self.below))
        return ", ".join(f"{words} {exact_text(limit)}" for words, limit in limits if limit is not None)

    def contains(self, value: float) -> bool:
        """Whether the number is within the limits."""
        return (
            (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )


def exact_text(value: float) -> str:
    """The number, brief but exact: ``2e-3`` is 0.002, ``100.0`` is 100."""
    short = f"{value:g}"
    return short if float(short) == value and isinstance(value, float) else str(value)


BatchCount = Annotated[int, Range(at_least=1)]
"""A number of batches."""

GradientNorm = Annotated[float, Range(above=0)]
"""The largest 2-norm of a gradient."""

Decay = Annotated[float, Range(above=0, below=1)]
"""The decay of an exponential moving average."""

MixAlpha = Annotated[float, Range(at_least=0)]
"""The parameter of the beta distribution of mixup and CutMix; 0 for none."""

Smoothing = Annotated[float, Range(at_least=0, below=1)]
"""The share of a target that label smoothing spreads."""

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
"""How prediction sets are made, see `eyebright.evaluation.conformal`."""

PointUnit = Literal["pixels", "fraction", "percent"]
"""The unit of points; fractions and percentages are of the image's width and height."""

BlankMeaning = Literal["unknown", "no"]
"""What a blank cell of a 0/1 column means."""

UncertainMeaning = Literal["unknown", "yes", "no"]
"""What -1 in a 0/1 column means."""

HeadName = Literal["linear", "book"]
"""How the head of a model begins, see `eyebright.TrainOptions`."""

Sampling = Literal["uniform", "balanced"]
"""The images of an epoch: each once, or drawn so that rare labels come more often."""

ThresholdMetric = Literal["f1_macro", "f1_micro", "f1_samples", "hamming_loss", "accuracy_multi", "subset_accuracy"]
"""The metrics that thresholds can be tuned for when a model is trained."""

HeldOutPart = Literal["promise", "test"]
Part = Literal["train", "valid", HeldOutPart]
"""The parts of a dataset: what an image is for.

- ``train``: training.
- ``valid``: validation: epochs, thresholds and calibration are chosen by its scores.
- ``promise``: images from which promises such as "precision is at least 0.95" are computed, and nothing else; the
  literature on conformal prediction and risk control calls them the calibration set. A promise does not hold if the
  model or its thresholds were chosen by the same images.
- ``test``: the final scores, and nothing else.

`HeldOutPart` are those that are used neither for training nor for validation.
"""
EvaluatedPart = Literal["valid", HeldOutPart, "out_of_fold"]
"""What an evaluation is of: a part of the data, or all labelled images by models that have not seen them."""
