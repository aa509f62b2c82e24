"""What is refused before training starts."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from torch import nn

from eyebright.data.getters import ColReader
from eyebright.errors import InputError
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.train.options import FitOptions
from support.learners import small_learner, squares_block


@pytest.mark.parametrize("block", [PointBlock, RegressionBlock])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"mixup": 0.2}, "`mixup` and `cutmix` mix the classes of two images, but the target is a .*: leave them out"),
        ({"cutmix": 1.0}, "`mixup` and `cutmix` mix the classes of two images"),
        ({"label_smoothing": 0.1}, "`label_smoothing` and `balance` are for labels and classes, and the target is a "),
        ({"balance": "pos_weight"}, "`label_smoothing` and `balance` are for labels and classes"),
    ],
)
def test_options_for_classes_are_an_error_for_points_and_numbers(
    block: Any, fields: dict[str, Any], message: str, folder: Path, table: pd.DataFrame
) -> None:
    marked = table[table["x"].notna()].reset_index(drop=True)
    points = squares_block(folder, blocks=(ImageBlock, block), get_y=ColReader(["x", "y"]))
    learner = small_learner(points.dataloaders(marked, bs=8), options=FitOptions(**fields))
    for start in (lambda: learner.fit(1), lambda: learner.lr_find(show_plot=False)):
        with pytest.raises(InputError, match=message):
            start()


def test_options_that_change_a_custom_loss_are_an_error(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    given = small_learner(dls, loss_func=nn.BCEWithLogitsLoss(), options=FitOptions(label_smoothing=0.1))
    replaced = small_learner(dls, options=FitOptions(balance="pos_weight"))
    replaced.loss_func = nn.BCEWithLogitsLoss()
    for learner in (given, replaced):
        with pytest.raises(InputError, match="but this learner has its own loss: give them to that loss"):
            learner.fit(1)


def test_batches_of_one_image_are_an_error(folder: Path, table: pd.DataFrame) -> None:
    for options in ({"bs": 1}, {"bs": 29, "drop_last": False}):
        with pytest.raises(
            InputError, match=r"out of 30 images leave a batch of one image.* give `bs=2` or more, and `drop_last"
        ):
            small_learner(squares_block(folder).dataloaders(table, **options)).fit(1)


def test_more_steps_than_the_images_make_batches_are_an_error(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    n_batches = len(dls.train)
    with pytest.raises(InputError, match=f"`steps_per_epoch={n_batches + 1}` is more than the {n_batches} batches"):
        small_learner(dls, options=FitOptions(steps_per_epoch=n_batches + 1)).fit(1)
    with pytest.raises(InputError, match="`accumulate=2` is more than the 1 batches of an epoch"):
        small_learner(dls, options=FitOptions(steps_per_epoch=1, accumulate=2)).fit(1)


def test_more_batches_to_accumulate_than_an_epoch_has_are_an_error(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    n_batches = len(dls.train)
    learner = small_learner(dls, options=FitOptions(accumulate=n_batches + 1))
    for start in (lambda: learner.fit(1), lambda: learner.lr_find(show_plot=False)):
        with pytest.raises(InputError, match=f"`accumulate={n_batches + 1}` is more than the {n_batches} batches of"):
            start()
    small_learner(dls, options=FitOptions(accumulate=n_batches)).fit(1)
