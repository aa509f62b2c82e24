"""A small set of images with labels, and predictions that are sometimes wrong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.build import build_report
from eyebright.report.data import ReportData, ReportFacts
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import LabelSet, Thresholds
from support.evaluations import make_evaluation

IMAGES, VOCAB = 60, ("bus", "car", "cat", "unicorn")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """As many small images as there are predictions."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(IMAGES):
        pixels = np.full((30, 40, 3), 4 * i, dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{i:03}.jpg")
    return [str(path) for path in sorted(folder.iterdir())]


@pytest.fixture
def training() -> list[LabelSet]:
    """The labels of a hundred training images."""
    generator = torch.Generator().manual_seed(4)
    rows = torch.rand(100, 4, generator=generator) < torch.tensor([0.1, 0.6, 0.3, 0.05])
    return [LabelSet(name for name, has in zip(VOCAB, row, strict=True) if has) for row in rows.tolist()]


@pytest.fixture
def evaluation(paths: list[str], training: list[LabelSet]) -> Evaluation:
    """Three labels with mistakes, and one that no image has."""
    generator = torch.Generator().manual_seed(3)
    targets = (torch.rand(IMAGES, 4, generator=generator) < torch.tensor([0.2, 0.5, 0.3, 0.0])).float()
    outputs = 3 * targets - 1.5 + 1.5 * torch.randn(IMAGES, 4, generator=generator)
    thresholds = Thresholds((0.5, 0.4, 0.6, 0.5))
    task = MultiCategoryBlock(vocab=VOCAB)
    return make_evaluation(task, outputs, targets, paths=paths, thresholds=thresholds, training=training)


@pytest.fixture
def facts() -> ReportFacts:
    """Everything that a report says beside the evaluation."""
    return ReportFacts(
        title="Pantry",
        messages=["labels are split at ' ' (space)"],
        split=[("training images", "100")],
        skipped=[("photos/broken.jpg", "zero bytes")],
        settings=[("epochs", "2")],
        history=[
            {"epoch": 0, "train_loss": 0.7, "valid_loss": 0.6, "mAP": 0.5, "seconds": 3.0},
            {"epoch": 1, "train_loss": 0.4, "valid_loss": 0.5, "mAP": 0.7, "seconds": 3.1},
        ],
        versions=[("torch", "2.15.0")],
        created="2026-11-25T14:03:00+00:00",
    )


@pytest.fixture
def page(evaluation: Evaluation, facts: ReportFacts) -> Callable[..., ReportData]:
    """Makes the page of an evaluation, with facts changed."""

    def make(other: Evaluation | None = None, **changed: object) -> ReportData:
        return build_report(evaluation if other is None else other, replace(facts, **changed))  # type: ignore[arg-type]

    return make
