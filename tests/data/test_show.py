"""Drawing images with their targets and predictions: titles, colours and positions of points."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt

from eyebright.data.dataloaders import DataLoaders
from eyebright.data.getters import ColReader
from eyebright.data.show import show_predictions
from eyebright.errors import InputError
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.points import PointBlock
from eyebright.types import Points
from support.images import coloured_squares
from support.learners import squares_block


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return coloured_squares(folder, 32)


def titles_and_colors(dls: DataLoaders, scores: torch.Tensor, **options: Any) -> list[tuple[str, Any]]:
    batch = next(dls.valid.batches())
    predictions = Decision(dls.target).decode_batch(dls.target.to_user_units(scores, batch.warps[: len(scores)]))
    show_predictions(dls.valid_ds, batch, predictions, **options)  # type: ignore[arg-type]
    return [(ax.get_title(), ax.title.get_color()) for ax in plt.gcf().axes if ax.images]


def test_titles_have_target_and_predicted_labels_and_are_green_only_if_all_are_equal(
    folder: Path, table: pd.DataFrame
) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    scores = next(dls.valid.batches()).y.clone()
    scores[1, 0] = 1 - scores[1, 0]
    titles = titles_and_colors(dls, scores)
    truth = table[table["is_valid"]]["labels"]
    assert [title.split("\n")[0] for title, _ in titles] == [
        ";".join(sorted(labels.split())) or "(no label)" for labels in truth
    ]
    assert [color for _, color in titles] == ["green", "red"] + ["green"] * (len(truth) - 2)
    assert all((title.split("\n")[0] == title.split("\n")[1]) == (color == "green") for title, color in titles)


def test_the_predicted_class_is_the_most_probable_one(folder: Path, table: pd.DataFrame) -> None:
    with_class = table.assign(kind=["a", "b"] * 16)
    block = squares_block(folder, blocks=(ImageBlock, CategoryBlock), get_y=ColReader("kind"))
    dls = block.dataloaders(with_class, bs=8)
    titles = titles_and_colors(dls, torch.tensor([[0.3, 0.7], [0.6, 0.4]]))
    assert titles == [("b\nb", "green"), ("b\na", "red")]  # every fourth image is a validation image, so all are b


def test_points_are_drawn_on_the_user_s_own_image_with_target_and_prediction_side_by_side(
    folder: Path, table: pd.DataFrame
) -> None:
    marked = table[table["x"].notna()].reset_index(drop=True)
    block = squares_block(folder, blocks=(ImageBlock, PointBlock), get_y=ColReader(["x", "y"]))
    dls = block.dataloaders(marked, bs=8)
    batch = next(dls.valid.batches())
    middle = torch.zeros(len(batch.x), 1, 2)
    titles_and_colors(dls, middle, grid=(3, None), figsize=(6, 8))
    axes = plt.gcf().axes
    assert len(axes) == 6  # as in fastai: three pairs
    row = marked[marked["is_valid"]].iloc[0]
    assert axes[0].images[0].get_array().shape == (48, 64, 3)
    np.testing.assert_allclose(axes[0].collections[0].get_offsets(), [[row["x"], row["y"]]])  # pyright: ignore[reportCallIssue]
    height, width = batch.warps[0].output_size
    center = torch.tensor([[width / 2, height / 2]], dtype=torch.float64)
    np.testing.assert_allclose(  # pyright: ignore[reportCallIssue]
        axes[1].collections[0].get_offsets(), batch.warps[0].inverse().points(Points.of(center)).xy, atol=1e-6
    )


def test_images_without_targets_are_an_error(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    loader = dls.test_dl(table)
    with pytest.raises(InputError, match="no targets to compare predictions with"):
        show_predictions(loader.dataset, next(loader.batches()), [{"red"}] * 4)


def test_random_images_depend_on_the_seed_alone(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    first, again, other = (dls.random_batch_loader(0, 6, seed=seed).dataset.indices for seed in (0, 0, 1))
    assert first == again != other
    assert len(set(first)) == 6
    assert set(first) <= set(dls.train_ds.indices)
    assert len(dls.random_batch_loader(1, 100).dataset) == len(dls.valid_ds)


@pytest.mark.parametrize("number", [-1, 2])
def test_there_is_no_set_but_the_training_and_the_validation_set(
    number: int, folder: Path, table: pd.DataFrame
) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8)
    assert [dls.evaluation_loader(ds_idx).dataset for ds_idx in (0, 1)] == [dls.train_ds, dls.valid_ds]
    for loader_of in (dls.evaluation_loader, partial(dls.random_batch_loader, count=2)):
        with pytest.raises(InputError, match=f"the validation set 1; there is no set {number}"):
            loader_of(number)
