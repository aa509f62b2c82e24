"""The notebook face: ``from eyebright.all import *`` gives what the cells of the book's chapters 5 and 6 use.

A reader changes the import line of a notebook and runs it. That is what star imports are for, and the only thing: code
imports from the defining modules. No name here shadows a builtin, and only `F` and `L` have one letter, as everywhere.

Only this module brings fastcore in, which adds ``Path.ls`` and ``Path.BASE_PATH`` to Python's own `Path`, as the book
needs it.
"""

import math
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812  # the name that everybody uses
from torchvision.models import resnet18, resnet34, resnet50

from eyebright._deprecate import renamed
from eyebright._optional import import_optional
from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.datasets import Dataset, Datasets
from eyebright.data.getters import ColReader, RegexLabeller, parent_label, using_attr
from eyebright.data.image_dataloaders import ImageDataLoaders
from eyebright.errors import EyebrightError
from eyebright.evaluation.thresholds import threshold_curve, tune_thresholds
from eyebright.image.image import Image
from eyebright.inference.manifest import Manifest
from eyebright.inference.predictor import Predictor, load_predictor
from eyebright.io.download import URLs, untar_data
from eyebright.io.files import get_image_files
from eyebright.learner.learner import Learner
from eyebright.learner.saved_learner import load_learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, MSELossFlat
from eyebright.metrics.labels import accuracy, accuracy_multi, error_rate, f1_macro, f1_micro, f1_samples, mean_ap
from eyebright.metrics.meter import Metric
from eyebright.metrics.points import point_distance
from eyebright.models.heads import sigmoid_range
from eyebright.plot import plot_function, plot_threshold_curve
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
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.transforms.normalize import Normalize, imagenet_stats
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Dihedral, Flip, PerspectiveWarp, RandomResizedCrop, Resize, Rotate, Zoom
from eyebright.types import Points, Size, Thresholds

if TYPE_CHECKING:
    import matplotlib.pyplot as plt
    from fastcore.foundation import L
else:
    plt = import_optional("matplotlib.pyplot", extra="notebook", purpose="a notebook")
    L = import_optional("fastcore.foundation", extra="notebook", purpose="a notebook").L
    import_optional("fastcore.xtras", extra="notebook", purpose="a notebook")  # Path.ls and Path.BASE_PATH

PILImage = Image
"""The book's name of an image."""

cnn_learner = renamed("cnn_learner", vision_learner)
"""The old name of `vision_learner`."""

models = SimpleNamespace(resnet18=resnet18, resnet34=resnet34, resnet50=resnet50)
"""The backbones that are given as functions; every other one is given by its timm name."""


def tensor(x: Any, *rest: Any) -> Shaped[Tensor, "..."]:
    """A tensor of numbers, a list, an array or a pandas column; numbers with a point become float32, as in the book."""
    given = (x, *rest) if rest else x
    made = given if isinstance(given, Tensor) else torch.as_tensor(np.array(given))
    return made.float() if made.dtype in (torch.float64, torch.uint16) else made


def to_cpu(b: Any) -> Any:
    """The batch on the CPU: a tensor, or lists, tuples and dicts of them; what else is in it stays as it is."""
    match b:
        case Tensor():
            return b.cpu()
        case list() | tuple():
            moved = [to_cpu(one) for one in b]
            return type(b)(*moved) if hasattr(b, "_fields") else type(b)(moved)
        case dict():
            return {name: to_cpu(one) for name, one in b.items()}
        case _:
            return b


__all__ = [  # Python's own order
    "BCEWithLogitsLossFlat",
    "CategoryBlock",
    "ColReader",
    "ColSplitter",
    "CrossEntropyLossFlat",
    "DataBlock",
    "DataLoaders",
    "Dataset",
    "Datasets",
    "Dihedral",
    "EndSplitter",
    "EyebrightError",
    "F",
    "FileSplitter",
    "Flip",
    "FuncSplitter",
    "GrandparentSplitter",
    "Image",
    "ImageBlock",
    "ImageDataLoaders",
    "IndexSplitter",
    "L",
    "LabelSplitter",
    "Learner",
    "MSELossFlat",
    "Manifest",
    "MaskSplitter",
    "Metric",
    "MultiCategoryBlock",
    "Normalize",
    "PILImage",
    "Path",
    "PerspectiveWarp",
    "PointBlock",
    "Points",
    "Predictor",
    "RandomResizedCrop",
    "RandomSplitter",
    "RandomSubsetSplitter",
    "RegexLabeller",
    "RegressionBlock",
    "Resize",
    "Rotate",
    "Size",
    "Thresholds",
    "TrainTestSplitter",
    "URLs",
    "Zoom",
    "accuracy",
    "accuracy_multi",
    "aug_transforms",
    "cnn_learner",
    "error_rate",
    "f1_macro",
    "f1_micro",
    "f1_samples",
    "get_image_files",
    "imagenet_stats",
    "load_learner",
    "load_predictor",
    "math",
    "mean_ap",
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
    "resnet18",
    "resnet34",
    "resnet50",
    "sigmoid_range",
    "tensor",
    "threshold_curve",
    "to_cpu",
    "torch",
    "tune_thresholds",
    "untar_data",
    "using_attr",
    "vision_learner",
]
