"""What values show of themselves as the last line of a notebook's cell: quick, small, whole, escaped, never failing."""

import shutil
import time
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt

from eyebright.data.block import DataBlock
from eyebright.data.getters import ColReader
from eyebright.evaluation.threshold_curve import threshold_curve
from eyebright.metrics.labels import f1_macro
from eyebright.recipes.data_bunch import ImageDataBunch
from eyebright.sources.read import read_source
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.types import Thresholds
from support.html import Page
from support.images import coloured_squares
from support.learners import squares_block, squares_learner

STRANGE = "<b>&red"


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    """One of the labels is markup."""
    table = coloured_squares(folder, 48)
    table["labels"] = table["labels"].str.replace("red", STRANGE)
    table.to_csv(folder / "labels.csv", index=False)
    return table


@pytest.fixture(scope="module")
def values(folder: Path, table: pd.DataFrame) -> dict[str, Any]:
    """One of each that shows itself."""
    mpl.use("Agg")
    learner = squares_learner(folder, table, metrics=[f1_macro])
    block = squares_block(folder)
    numbers = squares_block(folder, blocks=(ImageBlock, RegressionBlock), get_y=ColReader("x"))
    fresh = repr(learner.recorder)
    found = learner.lr_find(num_it=20, show_plot=False)
    learner.fine_tune(1, 5e-3)
    return {
        "Datasets": block.datasets(table),
        "Dataset": block.datasets(table).train,
        "rows without blocks": DataBlock().datasets(table),
        "numbers": numbers.datasets(table[table["x"].notna()].reset_index(drop=True)),
        "DataLoaders": learner.dls,
        "ImageDataBunch": ImageDataBunch(
            block, table, folder, {"bs": 8, "val_bs": None, "num_workers": 0, "device": None}
        ),
        "Learner": learner,
        "LRFind": found,
        "Recorder": learner.recorder,
        "TrainingSummary": learner.summary(),
        "ModelSummary": learner.summary().model,
        "Thresholds": learner.tune_thresholds(),
        "one threshold": Thresholds(0.25),
        "Source": read_source(folder / "labels.csv", files="fname", labels="labels", delimiter=" "),
        "Recorder before": fresh,
    }


SHOWN = [
    "Datasets",
    "Dataset",
    "rows without blocks",
    "numbers",
    "DataLoaders",
    "ImageDataBunch",
    "Learner",
    "LRFind",
    "Recorder",
    "TrainingSummary",
    "ModelSummary",
    "Thresholds",
    "one threshold",
    "Source",
]


@pytest.mark.parametrize("name", SHOWN)
def test_the_html_of_each_value_is_complete_small_and_safe(name: str, values: dict[str, Any]) -> None:
    start = time.process_time()
    html = values[name]._repr_html_()
    assert time.process_time() - start < 1
    assert len(html) < 60_000
    assert not {tag for tag, _ in Page(html).tags} & {"script", "b", "style", "iframe"}


@pytest.mark.parametrize("name", [name for name in SHOWN if "Summary" not in name])
def test_the_text_of_each_value_is_a_few_short_lines(name: str, values: dict[str, Any]) -> None:
    text = repr(values[name])
    assert len(text) < 700
    assert " object at 0x" not in text


@pytest.mark.parametrize("name", ["Datasets", "DataLoaders", "Learner", "Thresholds", "Source"])
def test_label_names_are_shown_unchanged(name: str, values: dict[str, Any]) -> None:
    assert STRANGE in Page(values[name]._repr_html_()).text


def test_labels_are_counted_in_both_sets(table: pd.DataFrame, values: dict[str, Any]) -> None:
    counted = {row[0]: row[1:] for row in Page(values["Datasets"]._repr_html_()).rows}
    sides = [table[~table["is_valid"]], table[table["is_valid"]]]
    expected = {
        name: [str(sum(name in labels.split() for labels in side["labels"])) for side in sides]
        for name in ("blue", "green", STRANGE)
    }
    assert {name: counted[name] for name in expected} == expected
    assert counted["(no label)"] == [str(sum(side["labels"] == "")) for side in sides]
    assert counted["images"] == ["36", "12"]


def test_datasets_show_a_few_images_with_their_labels(values: dict[str, Any]) -> None:
    images = [attributes for tag, attributes in Page(values["Datasets"]._repr_html_()).tags if tag == "img"]
    train = values["Datasets"].train
    assert [image["alt"] for image in images] == [
        train.target.text(train.raw_target(i)) or "(no label)" for i in (0, 6, 12, 18, 24, 30)
    ]


def test_batches_are_shown_with_their_sizes(values: dict[str, Any]) -> None:
    page = Page(values["DataLoaders"]._repr_html_())
    assert ["batches", "4", "2"] in page.rows
    assert ["batch size", "8", "8"] in page.rows
    assert "images of 32x32, cpu" in page.text


def test_the_repr_of_points_reads_only_a_few_targets(folder: Path, table: pd.DataFrame) -> None:
    asked: list[int] = []

    def point(row: pd.Series) -> list[float]:
        asked.append(row.name)
        return [row["x"], row["y"]]  # pyright: ignore[reportReturnType]

    marked = pd.concat([table[table["x"].notna()]] * 4, ignore_index=True)
    datasets = squares_block(folder, blocks=(ImageBlock, PointBlock), get_y=point).datasets(marked)
    html = datasets._repr_html_()
    assert len(asked) <= 7
    assert Page(html).rows == [
        ["", "train", "valid"],
        ["images", *(f"{len(s)}" for s in (datasets.train, datasets.valid))],
    ]


def test_a_missing_image_is_replaced_by_text(folder: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    datasets = squares_block(tmp_path / "copy").datasets(table)
    shutil.rmtree(tmp_path / "copy")
    page = Page(datasets._repr_html_())
    assert "cannot read image" in page.text
    assert not any(tag == "img" for tag, _ in page.tags)


def test_the_table_of_the_recorder_has_the_history(values: dict[str, Any]) -> None:
    history = values["Learner"].run.history
    head, *rows = Page(values["Recorder"]._repr_html_()).rows
    assert head == values["Recorder"].metric_names
    assert [[float(cell) for cell in row[:-1]] for row in rows] == [
        pytest.approx([row["epoch"], row["train_loss"], row["valid_loss"], row["f1_macro"]], abs=1e-6)
        for row in history
    ]
    assert values["Recorder before"] == "Recorder: nothing has been trained yet"


def test_the_summary_has_every_layer_of_the_text(values: dict[str, Any]) -> None:
    summary = values["TrainingSummary"].model
    head, *rows = Page(values["TrainingSummary"]._repr_html_()).rows
    assert head == ["layer", "output shape", "parameters", "trainable"]
    assert [row[0] for row in rows] == [layer.name for layer in summary.layers]
    assert sum(int(row[2] or 0) for row in rows) == summary.total
    text = Page(values["TrainingSummary"]._repr_html_()).text
    assert f"{summary.total:,} parameters" in text
    assert all(line in text for line in ("Optimizer used: AdamW", "BCEWithLogitsLoss", "Model unfrozen"))


def test_the_learning_rates_are_shown_with_their_losses(values: dict[str, Any]) -> None:
    found = values["LRFind"]
    rows = Page(found._repr_html_()).rows[1:]
    assert [row[0] for row in rows] == ["valley", "slide", "minimum", "steep"]
    assert float(rows[0][1]) == pytest.approx(found.valley, rel=0.05)
    nearest = min(range(len(found.lrs)), key=lambda i: abs(found.lrs[i] - found.valley))
    assert float(rows[0][2]) == pytest.approx(found.losses[nearest], abs=1e-3)
    assert f"valley={found.valley:.2g}" in repr(found)


def test_the_curve_of_the_learning_rate_finder_can_be_plotted(values: dict[str, Any]) -> None:
    ax = values["LRFind"].plot()
    assert ax.lines[0].get_xdata().tolist() == values["LRFind"].lrs
    assert ax.get_title() == (values["LRFind"].warning or "")
    plt.close("all")


def test_thresholds_are_shown_with_the_class_names(values: dict[str, Any]) -> None:
    tuned = values["Thresholds"]
    assert Page(tuned._repr_html_()).rows == [
        ["label", "threshold"],
        *([name, f"{value:.3f}"] for name, value in zip(values["DataLoaders"].vocab, tuned.values, strict=True)),
    ]
    assert Page(Thresholds((0.1, 0.2))._repr_html_()).rows[1:] == [["0", "0.100"], ["1", "0.200"]]
    assert "threshold 0.250, for all labels" in Page(Thresholds(0.25)._repr_html_()).text
    assert tuned == Thresholds(tuned.values, tuned.metric)  # names are for people only


def test_a_threshold_curve_shows_its_best_and_can_be_plotted() -> None:
    probabilities = torch.tensor([[0.9], [0.6], [0.395], [0.1]])
    curve = threshold_curve(probabilities, torch.tensor([[1], [1], [0], [0]]), metric="accuracy_multi")
    assert repr(curve) == "ThresholdCurve of accuracy_multi: best 1.0000 at 0.40"
    wrong = threshold_curve(probabilities, torch.tensor([[1], [1], [0], [0]]), metric="hamming_loss")
    assert repr(wrong) == "ThresholdCurve of hamming_loss: best 0.0000 at 0.40"
    ax = curve.plot(chosen=0.5)
    assert ax.lines[0].get_ydata().tolist() == curve.scores.tolist()
    assert [line.get_label() for line in ax.lines] == ["accuracy_multi", "in use: 0.50"]
    plt.close("all")
