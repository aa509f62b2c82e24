"""Small learners that tests can train in seconds."""

from pathlib import Path
from typing import Any

import pandas as pd

from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.getters import ColReader
from eyebright.learner.learner import Learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.sources.split import ColSplitter
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize

SMALL = "test_resnet"  # timm's network for tests, with 470,000 parameters


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


def small_learner(dls: DataLoaders, **options: Any) -> Learner:
    """A learner with timm's network for tests and random weights, in float32, without progress output."""
    how = {"pretrained": False, "precision": "float32", "progress": "quiet", **options}
    return vision_learner(dls, SMALL, **how)


def squares_learner(folder: Path, table: pd.DataFrame, *, seed: int = 0, **options: Any) -> Learner:
    """A small learner on coloured squares."""
    dls = squares_block(folder).dataloaders(table, bs=8, seed=seed, num_workers=2)
    return small_learner(dls, seed=seed, **options)
