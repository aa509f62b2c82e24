"""Labelled images in, a model you can trust and ship out.

The names here are loaded when they are first used: `import eyebright` alone loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eyebright.data.block import DataBlock as DataBlock
    from eyebright.data.dataloaders import DataLoaders as DataLoaders
    from eyebright.data.getters import ColReader as ColReader
    from eyebright.data.getters import RegexLabeller as RegexLabeller
    from eyebright.data.getters import parent_label as parent_label
    from eyebright.data.getters import using_attr as using_attr
    from eyebright.errors import EyebrightError as EyebrightError
    from eyebright.image.image import Image as Image
    from eyebright.inference.predictor import Predictor as Predictor
    from eyebright.inference.predictor import load_predictor as load_predictor
    from eyebright.inference.predictor import save_onnx as save_onnx
    from eyebright.io.download import URLs as URLs
    from eyebright.io.download import untar_data as untar_data
    from eyebright.io.files import get_image_files as get_image_files
    from eyebright.learner.learner import Learner as Learner
    from eyebright.learner.saved_learner import load_learner as load_learner
    from eyebright.learner.vision_learner import vision_learner as vision_learner
    from eyebright.metrics.labels import (
        accuracy as accuracy,
    )
    from eyebright.metrics.labels import (
        accuracy_multi as accuracy_multi,
    )
    from eyebright.metrics.labels import (
        error_rate as error_rate,
    )
    from eyebright.metrics.meter import Metric as Metric
    from eyebright.sources.read import read_source as read_source
    from eyebright.sources.split import (
        ColSplitter as ColSplitter,
    )
    from eyebright.sources.split import (
        EndSplitter as EndSplitter,
    )
    from eyebright.sources.split import (
        FuncSplitter as FuncSplitter,
    )
    from eyebright.sources.split import (
        GrandparentSplitter as GrandparentSplitter,
    )
    from eyebright.sources.split import (
        IndexSplitter as IndexSplitter,
    )
    from eyebright.sources.split import (
        LabelSplitter as LabelSplitter,
    )
    from eyebright.sources.split import (
        MaskSplitter as MaskSplitter,
    )
    from eyebright.sources.split import (
        RandomSplitter as RandomSplitter,
    )
    from eyebright.tasks.category import CategoryBlock as CategoryBlock
    from eyebright.tasks.image import ImageBlock as ImageBlock
    from eyebright.tasks.multicategory import MultiCategoryBlock as MultiCategoryBlock
    from eyebright.tasks.points import PointBlock as PointBlock
    from eyebright.tasks.regression import RegressionBlock as RegressionBlock
    from eyebright.transforms.normalize import Normalize as Normalize
    from eyebright.transforms.normalize import imagenet_stats as imagenet_stats
    from eyebright.transforms.presets import aug_transforms as aug_transforms
    from eyebright.transforms.spatial import RandomResizedCrop as RandomResizedCrop
    from eyebright.transforms.spatial import Resize as Resize
    from eyebright.types import Points as Points
    from eyebright.types import Size as Size
    from eyebright.types import Thresholds as Thresholds
    from eyebright.workflow.train_model import Options as Options
    from eyebright.workflow.train_model import train_model as train_model

_HOMES = {
    "CategoryBlock": "eyebright.tasks.category",
    "ColReader": "eyebright.data.getters",
    "ColSplitter": "eyebright.sources.split",
    "DataBlock": "eyebright.data.block",
    "DataLoaders": "eyebright.data.dataloaders",
    "EndSplitter": "eyebright.sources.split",
    "EyebrightError": "eyebright.errors",
    "FuncSplitter": "eyebright.sources.split",
    "GrandparentSplitter": "eyebright.sources.split",
    "ImageBlock": "eyebright.tasks.image",
    "IndexSplitter": "eyebright.sources.split",
    "LabelSplitter": "eyebright.sources.split",
    "Learner": "eyebright.learner.learner",
    "MaskSplitter": "eyebright.sources.split",
    "Metric": "eyebright.metrics.meter",
    "MultiCategoryBlock": "eyebright.tasks.multicategory",
    "Normalize": "eyebright.transforms.normalize",
    "Options": "eyebright.workflow.train_model",
    "Image": "eyebright.image.image",
    "PointBlock": "eyebright.tasks.points",
    "Points": "eyebright.types",
    "Predictor": "eyebright.inference.predictor",
    "RandomResizedCrop": "eyebright.transforms.spatial",
    "RandomSplitter": "eyebright.sources.split",
    "RegexLabeller": "eyebright.data.getters",
    "RegressionBlock": "eyebright.tasks.regression",
    "Resize": "eyebright.transforms.spatial",
    "Size": "eyebright.types",
    "Thresholds": "eyebright.types",
    "URLs": "eyebright.io.download",
    "accuracy": "eyebright.metrics.labels",
    "accuracy_multi": "eyebright.metrics.labels",
    "aug_transforms": "eyebright.transforms.presets",
    "error_rate": "eyebright.metrics.labels",
    "get_image_files": "eyebright.io.files",
    "imagenet_stats": "eyebright.transforms.normalize",
    "load_learner": "eyebright.learner.saved_learner",
    "load_predictor": "eyebright.inference.predictor",
    "parent_label": "eyebright.data.getters",
    "read_source": "eyebright.sources.read",
    "save_onnx": "eyebright.inference.predictor",
    "train_model": "eyebright.workflow.train_model",
    "untar_data": "eyebright.io.download",
    "using_attr": "eyebright.data.getters",
    "vision_learner": "eyebright.learner.vision_learner",
}

__all__ = [
    "CategoryBlock",
    "ColReader",
    "ColSplitter",
    "DataBlock",
    "DataLoaders",
    "EndSplitter",
    "EyebrightError",
    "FuncSplitter",
    "GrandparentSplitter",
    "Image",
    "ImageBlock",
    "IndexSplitter",
    "LabelSplitter",
    "Learner",
    "MaskSplitter",
    "Metric",
    "MultiCategoryBlock",
    "Normalize",
    "Options",
    "PointBlock",
    "Points",
    "Predictor",
    "RandomResizedCrop",
    "RandomSplitter",
    "RegexLabeller",
    "RegressionBlock",
    "Resize",
    "Size",
    "Thresholds",
    "URLs",
    "accuracy",
    "accuracy_multi",
    "aug_transforms",
    "error_rate",
    "get_image_files",
    "imagenet_stats",
    "load_learner",
    "load_predictor",
    "parent_label",
    "read_source",
    "save_onnx",
    "train_model",
    "untar_data",
    "using_attr",
    "vision_learner",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'eyebright' has no attribute '{name}'")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
