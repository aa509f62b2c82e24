"""The names for notebooks: ``from eyebright.all import *`` gives what chapters 1, 2 and 5 to 7 of the fastai book use.

A reader changes the import line of a notebook and runs it. Star imports are for notebooks only; modules import each
name from the module that defines it. No name here shadows a builtin, and only ``F`` and ``L`` have one letter.

These are the names of `eyebright` without those of a whole training (``TrainOptions``, ``read_source``,
``train_model``), and those that only a notebook needs: torch, NumPy, pandas and others under their usual short names.

Names of fastai that Eyebright does not have are here too (`eyebright.learner.not_taken`): using one raises an error
that names what to use instead.

Only this module imports fastcore, which adds ``Path.ls`` and ``Path.BASE_PATH`` to Python's own `Path`, as fastai's
cells need them.
"""

import math
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # its usual name
from torchvision.models import resnet18, resnet34, resnet50

from eyebright._deprecate import renamed
from eyebright._optional import import_optional
from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.datasets import Dataset, Datasets
from eyebright.data.getters import ColReader, RegexLabeller, parent_label, using_attr
from eyebright.data.image_dataloaders import ImageDataLoaders
from eyebright.errors import EyebrightError
from eyebright.evaluation.compare import Comparison, compare
from eyebright.evaluation.decide import fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.threshold_curve import threshold_curve
from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.image.image import Image, Picture, verify as _verify
from eyebright.image.resize_files import resize_images
from eyebright.inference.load_predictor import load_predictor, save_onnx
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluation
from eyebright.inference.predictor import Predictor
from eyebright.io.download import URLs, untar_data
from eyebright.io.download_images import download_images
from eyebright.io.files import get_image_files
from eyebright.learner.callbacks import (
    CSVLogger,
    CutMix,
    EarlyStoppingCallback,
    GradientAccumulation,
    GradientClip,
    MixUp,
    SaveModelCallback,
)
from eyebright.learner.fine_tuned import FineTuned
from eyebright.learner.interpretation import ClassificationInterpretation
from eyebright.learner.learner import Learner
from eyebright.learner.not_taken import NOT_TAKEN, NotTaken
from eyebright.learner.saved_learner import load_learner
from eyebright.learner.stop_at import StopAt
from eyebright.learner.vision_learner import vision_learner
from eyebright.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, LabelSmoothingCrossEntropy, MSELossFlat
from eyebright.metrics.book import (
    APScoreMulti,
    F1ScoreMulti,
    HammingLossMulti,
    PrecisionMulti,
    RecallMulti,
    RocAucMulti,
)
from eyebright.metrics.labels import accuracy, accuracy_multi, error_rate, f1_macro, f1_micro, f1_samples, mean_ap
from eyebright.metrics.meter import Metric
from eyebright.metrics.points import point_error
from eyebright.models.heads import sigmoid_range
from eyebright.plot.curves import plot_function, plot_threshold_curve
from eyebright.sources.split import (
    ColSplitter,
    EndSplitter,
    FileSplitter,
    FuncSplitter,
    GrandparentSplitter,
    IndexSplitter,
    LabelSplitter,
    MaskSplitter,
    RandomSplitter,
    RandomSubsetSplitter,
    TrainTestSplitter,
)
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.train.lr_find import minimum, slide, steep, valley
from eyebright.train.options import FitOptions
from eyebright.transforms.normalize import Normalize, imagenet_stats
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Dihedral, Flip, PerspectiveWarp, RandomResizedCrop, Resize, Rotate, Zoom
from eyebright.types import LabelSet, Points, Size, Thresholds

if TYPE_CHECKING:
    import matplotlib.pyplot as plt
    from fastcore.foundation import L
else:
    plt = import_optional("matplotlib.pyplot", extra="notebook", purpose="a notebook")
    L = import_optional("fastcore.foundation", extra="notebook", purpose="a notebook").L
    import_optional("fastcore.xtras", extra="notebook", purpose="a notebook")  # Path.ls and Path.BASE_PATH

PILImage = Image
"""The fastai book's name of `Image`."""

cnn_learner = renamed("cnn_learner", vision_learner)
"""The old name of `vision_learner`; calling it gives a warning."""

point_distance = point_error
"""The name of `point_error` in version 0.1.0."""

Interpretation = ClassificationInterpretation
"""The book's two classes are one."""

LabelSmoothingCrossEntropyFlat = LabelSmoothingCrossEntropy
"""The book's two losses are one."""

ResizeMethod = SimpleNamespace(Crop="crop", Pad="pad", Squish="squish")
"""The methods of `Resize`."""

PadMode = SimpleNamespace(Zeros="zeros", Border="border", Reflection="reflection")
"""The paddings of `Resize` and of the random transforms."""

resnet101 = "resnet101"
"""timm's name, which `vision_learner` takes like the functions of smaller networks."""

resnet152 = "resnet152"
"""timm's name, which `vision_learner` takes like the functions of smaller networks."""

models = SimpleNamespace(resnet18=resnet18, resnet34=resnet34, resnet50=resnet50)
"""The backbones that fastai gives as functions; `vision_learner` takes any other by its timm name."""


def tensor(x: Any, *rest: Any) -> Shaped[Tensor, "..."]:
    """A tensor of the values; float64 becomes float32, as in the fastai book.

    >>> tensor(1, 2, 3)
    tensor([1, 2, 3])
    >>> tensor([0.5, 2]).dtype
    torch.float32

    Args:
        x: a number, a list, an array, a pandas column or a tensor.
        rest: more numbers, if ``x`` is one.
    """
    values = (x, *rest) if rest else x
    result = values if isinstance(values, Tensor) else torch.as_tensor(np.array(values))
    return result.float() if result.dtype in (torch.float64, torch.uint16) else result


def to_cpu(b: Any) -> Any:
    """A copy of the batch whose tensors are on the CPU.

    Args:
        b: a tensor, or nested lists, tuples and dicts of tensors; other values in them stay unchanged.
    """
    match b:
        case Tensor():
            return b.cpu()
        case list() | tuple():
            moved = [to_cpu(value) for value in b]
            return type(b)(*moved) if hasattr(b, "_fields") else type(b)(moved)
        case dict():
            return {name: to_cpu(value) for name, value in b.items()}
        case _:
            return b


def verify_images(fns: Iterable[str | Path]) -> Any:
    """An ``L`` of the files that cannot be read as images, for example ``failed.map(Path.unlink)``.

    Args:
        fns: the files, which are read to their ends.
    """
    return L(Path(error.path) for error in _verify(fns))


def get_c(dls: DataLoaders) -> int:
    """The number of outputs that a model needs, ``dls.c``.

    Raises:
        DataError: the data have no target.
    """
    return dls.c


globals().update({name: NotTaken(name, instead) for name, instead in NOT_TAKEN.items()})

__all__ = [
    "NOT_TAKEN",
    "APScoreMulti",
    "BCEWithLogitsLossFlat",
    "CSVLogger",
    "CategoryBlock",
    "ClassificationInterpretation",
    "ColReader",
    "ColSplitter",
    "Comparison",
    "CrossEntropyLossFlat",
    "CutMix",
    "DataBlock",
    "DataLoaders",
    "Dataset",
    "Datasets",
    "Decision",
    "Dihedral",
    "EarlyStoppingCallback",
    "EndSplitter",
    "Evaluation",
    "EyebrightError",
    "F",
    "F1ScoreMulti",
    "FileSplitter",
    "FineTuned",
    "FitOptions",
    "Flip",
    "FuncSplitter",
    "GradientAccumulation",
    "GradientClip",
    "GrandparentSplitter",
    "HammingLossMulti",
    "ImageBlock",
    "ImageDataLoaders",
    "IndexSplitter",
    "Interpretation",
    "L",
    "LabelSet",
    "LabelSmoothingCrossEntropy",
    "LabelSmoothingCrossEntropyFlat",
    "LabelSplitter",
    "Learner",
    "MSELossFlat",
    "Manifest",
    "MaskSplitter",
    "Metric",
    "MixUp",
    "MultiCategoryBlock",
    "Normalize",
    "NotTaken",
    "OrdinalBlock",
    "PILImage",
    "PadMode",
    "Path",
    "PerspectiveWarp",
    "Picture",
    "PointBlock",
    "Points",
    "PrecisionMulti",
    "Predictor",
    "RandomResizedCrop",
    "RandomSplitter",
    "RandomSubsetSplitter",
    "RecallMulti",
    "RegexLabeller",
    "RegressionBlock",
    "Resize",
    "ResizeMethod",
    "RocAucMulti",
    "Rotate",
    "SaveModelCallback",
    "SimpleNamespace",
    "Size",
    "StopAt",
    "Thresholds",
    "TrainTestSplitter",
    "URLs",
    "Zoom",
    "accuracy",
    "accuracy_multi",
    "aug_transforms",
    "cnn_learner",
    "compare",
    "download_images",
    "error_rate",
    "f1_macro",
    "f1_micro",
    "f1_samples",
    "fit_decision",
    "get_c",
    "get_image_files",
    "imagenet_stats",
    "load_evaluation",
    "load_learner",
    "load_predictor",
    "math",
    "mean_ap",
    "minimum",
    "models",
    "nn",
    "np",
    "parent_label",
    "partial",
    "pd",
    "plot_function",
    "plot_threshold_curve",
    "plt",
    "point_distance",
    "point_error",
    "resize_images",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "save_onnx",
    "sigmoid_range",
    "slide",
    "steep",
    "tensor",
    "threshold_curve",
    "to_cpu",
    "torch",
    "tune_thresholds",
    "untar_data",
    "using_attr",
    "valley",
    "verify_images",
    "vision_learner",
]
__all__.extend(NOT_TAKEN)  # pyright: ignore[reportUnsupportedDunderAll]
__all__.sort()  # pyright: ignore[reportUnsupportedDunderAll]
