"""Every kind of target has its entry in every layer: from the columns of a table to the drawing of a result.

A new kind is one more line in COLUMNS; the layers are walked with a model that was trained for one epoch.
"""

import json
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt

from eyebright.data.block import DataBlock
from eyebright.learner.learner import Learner
from eyebright.report.kinds import REPORTS
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.sources.split import MaskSplitter
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.registry import TARGET_BLOCKS, block_to_json
from eyebright.transforms.spatial import Resize
from support.images import coloured_squares
from support.learners import small_learner

COLUMNS: dict[str, tuple[list[str], str | None]] = {
    "multicategory": (["labels"], "labels"),
    "category": (["colour"], "class"),
    "ordinal": (["rating"], "ordinal"),
    "points": (["square_x", "square_y"], "points"),
    "regression": (["weight", "height"], "numbers"),
}
"""For each block, by name: the columns of the table that hold its targets, and what a user calls the kind."""

LAYERS = ["width", "loss", "metrics", "baseline", "table", "json", "words", "report", "drawing"]


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    made = coloured_squares(folder, 24)
    first = made["labels"].str.split().str[0]
    return made.assign(
        colour=first.fillna("none"),
        rating=made["labels"].str.split().str.len() + 1,
        square_x=made["x"],
        square_y=made["y"],
        weight=made["x"].fillna(0) / 3,
        height=made["y"].fillna(0) + 0.5,
    )


@pytest.fixture(scope="module")
def read(folder: Path, table: pd.DataFrame) -> Callable[[str], Source]:
    """The source of a kind, from a table with its columns alone."""

    def source(kind: str) -> Source:
        columns, asked = COLUMNS[kind]
        path = folder / f"{kind}.csv"
        table[["fname", *columns, "is_valid"]].to_csv(path, index=False)
        return read_source(path, images=folder, kind=asked)

    return source


@pytest.fixture(scope="module")
def trained(read: Callable[[str], Source]) -> Callable[[str], Learner]:
    """A learner of a kind after one epoch; each is trained once."""
    made: dict[str, Learner] = {}

    def learner(kind: str) -> Learner:
        if kind not in made:
            source = read(kind)
            block = DataBlock(
                blocks=(ImageBlock, source.block()),
                get_x=lambda row: row.path,
                get_y=lambda row: row.target,
                splitter=MaskSplitter([row.part == "valid" for row in source]),
                item_tfms=Resize(32, method="squish"),
            )
            dls = block.dataloaders(source, bs=8, num_workers=0)
            made[kind] = small_learner(dls, metrics=dls.target.metrics())
            made[kind].fit_one_cycle(1, 1e-3)
        return made[kind]

    return learner


def test_every_kind_is_walked() -> None:
    assert set(COLUMNS) == set(TARGET_BLOCKS)


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_table_with_the_columns_of_a_kind_is_read_as_that_kind(kind: str, read: Callable[[str], Source]) -> None:
    source = read(kind)
    assert source.kind == kind
    assert len(source) == 24
    block = source.block()
    assert block.name == kind
    assert isinstance(block_to_json(block), dict)
    block.read(source[0].target)


@pytest.mark.parametrize("kind", COLUMNS)
@pytest.mark.parametrize("layer", LAYERS)
def test_a_kind_has_its_entry_in_a_layer(kind: str, layer: str, trained: Callable[[str], Learner]) -> None:
    learner = trained(kind)
    task, evaluation = learner.dls.target, learner.evaluate()
    value, scores = evaluation.decoded[0], evaluation.activated[0]
    match layer:
        case "width":
            assert evaluation.outputs.shape == (6, task.n_out)
            assert len(task.output_names) == task.n_out
        case "loss":
            _, targets, losses = learner.get_preds(with_loss=True)
            assert len(losses) == len(targets) == 6
        case "metrics":
            assert learner.run.history[0].keys() >= {metric.name for metric in task.metrics()}
        case "baseline":
            summary = task.training_summary(learner.dls.train_ds.targets)
            assert summary["images"] == len(learner.dls.train_ds)
            assert json.loads(json.dumps(summary))["baseline"]
        case "table":
            assert len(task.table_row(value, scores)) == len(task.table_columns) > 0
        case "json":
            assert json.loads(json.dumps(task.prediction_json(value, scores)))
        case "words":
            assert isinstance(task.text(value), str)
            assert task.text(learner.dls.valid_ds.raw_target(0)) or kind in ("multicategory", "points")
        case "report":
            section = REPORTS[task.task_type](evaluation)
            assert section.metric_rows()
            assert section.summary()
        case "drawing":
            mpl.use("Agg")
            learner.show_results(max_n=2)
            learner.dls.show_batch(max_n=2)
            assert plt.get_fignums()
            plt.close("all")
    assert torch.isfinite(evaluation.outputs).all()
