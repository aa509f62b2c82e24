"""A small set of images with labels, and answers that are sometimes wrong."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch

from eyebright.report.data import ReportData
from eyebright.report.labels import LabelAnswers
from eyebright.types import Thresholds

IMAGES, VOCAB = 60, ("bus", "car", "cat", "unicorn")


@pytest.fixture
def paths(tmp_path: Path) -> list[str]:
    """As many small images as there are answers."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(IMAGES):
        pixels = np.full((30, 40, 3), 4 * i, dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{i:03}.jpg")
    return [str(path) for path in sorted(folder.iterdir())]


@pytest.fixture
def answers() -> LabelAnswers:
    """Three labels with mistakes, and one that no image has."""
    generator = torch.Generator().manual_seed(3)
    targets = (torch.rand(IMAGES, 4, generator=generator) < torch.tensor([0.2, 0.5, 0.3, 0.0])).float()
    noise = torch.randn(IMAGES, 4, generator=generator)
    probabilities = (3 * targets - 1.5 + 1.5 * noise).sigmoid()
    training = (torch.rand(100, 4, generator=generator) < torch.tensor([0.1, 0.6, 0.3, 0.05])).float()
    return LabelAnswers(VOCAB, probabilities, targets, Thresholds((0.5, 0.4, 0.6, 0.5)), training)


@pytest.fixture
def data(answers: LabelAnswers, paths: list[str]) -> Callable[..., ReportData]:
    """Makes a complete report, with fields changed."""

    def make(**changed: object) -> ReportData:
        whole = ReportData(
            title="Pantry",
            answers=answers,
            paths=paths,
            scores=answers.scores(),
            history=[
                {"epoch": 0, "train_loss": 0.7, "valid_loss": 0.6, "mAP": 0.5, "seconds": 3.0},
                {"epoch": 1, "train_loss": 0.4, "valid_loss": 0.5, "mAP": 0.7, "seconds": 3.1},
            ],
            said=["labels are split at ' ' (space)"],
            split=[("training images", "100")],
            skipped=[("photos/broken.jpg", "zero bytes")],
            settings=[("epochs", "2")],
            versions=[("torch", "2.15.0")],
        )
        return replace(whole, **changed)  # type: ignore[arg-type]

    return make
