"""Labelled pictures in, a model you can trust and ship out.

The names here are loaded when they are first used: `import eyebright` alone loads no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eyebright.answers import load_learner as load_learner
    from eyebright.blocks.category import CategoryBlock as CategoryBlock
    from eyebright.blocks.image import ImageBlock as ImageBlock
    from eyebright.blocks.multicategory import MultiCategoryBlock as MultiCategoryBlock
    from eyebright.blocks.points import PointBlock as PointBlock
    from eyebright.blocks.regression import RegressionBlock as RegressionBlock
    from eyebright.data.block import DataBlock as DataBlock
    from eyebright.data.dataloaders import DataLoaders as DataLoaders
    from eyebright.data.items import (
        ColReader as ColReader,
    )
    from eyebright.data.items import (
        RegexLabeller as RegexLabeller,
    )
    from eyebright.data.items import (
        parent_label as parent_label,
    )
    from eyebright.data.items import (
        using_attr as using_attr,
    )
    from eyebright.data.split import (
        ColSplitter as ColSplitter,
    )
    from eyebright.data.split import (
        EndSplitter as EndSplitter,
    )
    from eyebright.data.split import (
        FuncSplitter as FuncSplitter,
    )
    from eyebright.data.split import (
        GrandparentSplitter as GrandparentSplitter,
    )
    from eyebright.data.split import (
        IndexSplitter as IndexSplitter,
    )
    from eyebright.data.split import (
        LabelSplitter as LabelSplitter,
    )
    from eyebright.data.split import (
        MaskSplitter as MaskSplitter,
    )
    from eyebright.data.split import (
        RandomSplitter as RandomSplitter,
    )
    from eyebright.errors import EyebrightError as EyebrightError
    from eyebright.io.download import URLs as URLs
    from eyebright.io.download import untar_data as untar_data
    from eyebright.io.files import get_image_files as get_image_files
    from eyebright.io.images import Picture as Picture
    from eyebright.jobs import Options as Options
    from eyebright.jobs import read_source as read_source
    from eyebright.jobs import train_model as train_model
    from eyebright.learner import Learner as Learner
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
    from eyebright.predict import Predictor as Predictor
    from eyebright.predict import load_predictor as load_predictor
    from eyebright.predict import save_onnx as save_onnx
    from eyebright.transforms.normalize import Normalize as Normalize
    from eyebright.transforms.normalize import imagenet_stats as imagenet_stats
    from eyebright.transforms.presets import aug_transforms as aug_transforms
    from eyebright.transforms.spatial import RandomResizedCrop as RandomResizedCrop
    from eyebright.transforms.spatial import Resize as Resize
    from eyebright.types import Points as Points
    from eyebright.types import Size as Size
    from eyebright.types import Thresholds as Thresholds
    from eyebright.vision import vision_learner as vision_learner

_HOMES = {
    "CategoryBlock": "eyebright.blocks.category",
    "ColReader": "eyebright.data.items",
    "ColSplitter": "eyebright.data.split",
    "DataBlock": "eyebright.data.block",
    "DataLoaders": "eyebright.data.dataloaders",
    "EndSplitter": "eyebright.data.split",
    "EyebrightError": "eyebright.errors",
    "FuncSplitter": "eyebright.data.split",
    "GrandparentSplitter": "eyebright.data.split",
    "ImageBlock": "eyebright.blocks.image",
    "IndexSplitter": "eyebright.data.split",
    "LabelSplitter": "eyebright.data.split",
    "Learner": "eyebright.learner",
    "MaskSplitter": "eyebright.data.split",
    "Metric": "eyebright.metrics.meter",
    "MultiCategoryBlock": "eyebright.blocks.multicategory",
    "Normalize": "eyebright.transforms.normalize",
    "Options": "eyebright.jobs",
    "Picture": "eyebright.io.images",
    "PointBlock": "eyebright.blocks.points",
    "Points": "eyebright.types",
    "Predictor": "eyebright.predict",
    "RandomResizedCrop": "eyebright.transforms.spatial",
    "RandomSplitter": "eyebright.data.split",
    "RegexLabeller": "eyebright.data.items",
    "RegressionBlock": "eyebright.blocks.regression",
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
    "load_learner": "eyebright.answers",
    "load_predictor": "eyebright.predict",
    "parent_label": "eyebright.data.items",
    "read_source": "eyebright.jobs",
    "save_onnx": "eyebright.predict",
    "train_model": "eyebright.jobs",
    "untar_data": "eyebright.io.download",
    "using_attr": "eyebright.data.items",
    "vision_learner": "eyebright.vision",
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
    "ImageBlock",
    "IndexSplitter",
    "LabelSplitter",
    "Learner",
    "MaskSplitter",
    "Metric",
    "MultiCategoryBlock",
    "Normalize",
    "Options",
    "Picture",
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
