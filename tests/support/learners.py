"""Small learners that tests can train in seconds."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.getters import ColReader
from eyebright.learner.learner import Learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.models.build import ImageModel, ModelDescription, build_model
from eyebright.sources.split import ColSplitter
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize

TINY_ARCH = "test_resnet"  # timm's network for tests, with 470,000 parameters


def squares_block(folder: Path, **changes: Any) -> DataBlock:
    """The data block for `support.images.coloured_squares`: the colours in the image are its labels."""
    return DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_x=ColReader("fname", pref=folder),
        get_y=ColReader("labels", label_delim=" "),
        splitter=ColSplitter(),
        item_tfms=Resize(40),
        batch_tfms=aug_transforms(size=32),
    ).new(**changes)


SQUARES: dict[str, dict[str, Any]] = {
    "category": {"blocks": (ImageBlock, CategoryBlock), "get_y": lambda row: row["labels"].split(" ")[0] or "none"},
    "multicategory": {},
    "ordinal": {"blocks": (ImageBlock, OrdinalBlock), "get_y": lambda row: len(row["labels"].split())},
    "points": {
        "blocks": (ImageBlock, PointBlock(1, names=("centre",), in_pixels=True)),
        "get_y": lambda row: [[row["x"], row["y"]]],
    },
    "regression": {
        "blocks": (ImageBlock, RegressionBlock(names=("x", "y"))),
        "get_y": lambda row: (row["x"], row["y"]),
    },
}
"""For each target block, by name, what `squares_block` needs for such targets; some points and numbers are unknown."""


def small_learner(dls: DataLoaders, **options: Any) -> Learner:
    """A learner with timm's network for tests and random weights, in float32, without progress output."""
    how = {"pretrained": False, "precision": "float32", "progress": "quiet", **options}
    return vision_learner(dls, TINY_ARCH, **how)


def squares_learner(folder: Path, table: pd.DataFrame, *, seed: int = 0, **options: Any) -> Learner:
    """A small learner on coloured squares."""
    dls = squares_block(folder).dataloaders(table, bs=8, seed=seed, num_workers=2)
    return small_learner(dls, seed=seed, **options)


def use_random_weights(patch: pytest.MonkeyPatch) -> None:
    """From now on `vision_learner` takes random weights: the network for tests has none that a package brings."""

    def with_random_weights(description: ModelDescription, *, pretrained: bool, **options: Any) -> ImageModel:
        return build_model(description, **options)

    patch.setattr("eyebright.learner.vision_learner.build_model", with_random_weights)
