"""Scores and targets for tests of metrics: typical ones, edge cases, and some with unknown labels."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor


@dataclass(frozen=True)
class ScoredLabels:
    """Scores and targets, (n, k); decisions use the threshold 0.5."""

    scores: Tensor
    target: Tensor

    @property
    def decisions(self) -> Tensor:
        return self.scores > 0.5


def random_set(images: int, classes: int, *, share: float = 0.3, levels: int | None = None) -> ScoredLabels:
    generator = np.random.default_rng(images * 100 + classes)
    target = generator.random((images, classes)) < share
    scores = np.clip(0.25 * target + 0.75 * generator.random((images, classes)), 0, 1)
    if levels is not None:
        scores = np.round(scores * levels) / levels
    return ScoredLabels(torch.tensor(scores, dtype=torch.float32), torch.tensor(target))


def with_column(labels: ScoredLabels, value: bool) -> ScoredLabels:
    target = labels.target.clone()
    target[:, 1] = value
    return ScoredLabels(labels.scores, target)


LABEL_SETS = {
    "plain": random_set(60, 6),
    "many ties": random_set(60, 6, levels=4),
    "all tied": random_set(40, 4, levels=1),
    "rare labels": random_set(300, 5, share=0.02),
    "a class without positives": with_column(random_set(50, 4), value=False),
    "a class on every image": with_column(random_set(50, 4), value=True),
    "no positives at all": random_set(20, 3, share=0.0),
    "one image": random_set(1, 5),
    "one class": random_set(30, 1),
    "one image and one class": random_set(1, 1, share=1.0),
}


def with_unknown(labels: ScoredLabels, *, share: float = 0.3, cells: Any = None) -> ScoredLabels:
    """The same with NaN for a share of the targets, or for those that ``cells`` selects."""
    target = labels.target.double()
    if cells is None:
        cells = torch.from_numpy(np.random.default_rng(0).random(tuple(target.shape)) < share)
    target[cells] = torch.nan
    return ScoredLabels(labels.scores, target)


UNKNOWN_SETS = {
    "some unknown": with_unknown(LABEL_SETS["plain"]),
    "unknown and ties": with_unknown(LABEL_SETS["many ties"]),
    "nearly all unknown": with_unknown(random_set(60, 4), share=0.9),
    "a class with all unknown": with_unknown(LABEL_SETS["plain"], cells=(slice(None), 2)),
    "an image with all unknown": with_unknown(LABEL_SETS["plain"], cells=(3, slice(None))),
    "unknown beside a class without positives": with_unknown(LABEL_SETS["a class without positives"]),
    "a class whose positives are unknown": with_unknown(
        LABEL_SETS["plain"], cells=LABEL_SETS["plain"].target & (torch.arange(6) == 1)
    ),
    "unknown where labels are rare": with_unknown(LABEL_SETS["rare labels"]),
    "one class with unknown": with_unknown(LABEL_SETS["one class"]),
}


@pytest.fixture(params=UNKNOWN_SETS.values(), ids=UNKNOWN_SETS.keys())
def partly_known(request: pytest.FixtureRequest) -> ScoredLabels:
    return request.param


@pytest.fixture(params=LABEL_SETS.values(), ids=LABEL_SETS.keys())
def labels(request: pytest.FixtureRequest) -> ScoredLabels:
    return request.param


@pytest.fixture
def plain() -> ScoredLabels:
    return LABEL_SETS["plain"]


@pytest.fixture(scope="session")
def gold() -> dict[str, Any]:
    """The metrics recorded from fastai on closed-form inputs."""
    return json.loads((Path(__file__).resolve().parents[1] / "gold" / "g03_metrics.json").read_text())


@pytest.fixture
def recipes() -> ScoredLabels:
    """The fixture ``multilabel_result`` of the computer-vision recipes."""
    scores = [[0.9, 0, 0, 0], [0.9, 0, 0.9, 0.9], [0, 0.9, 0, 0], [0.9, 0.9, 0, 0]]
    target = [[1, 0, 0, 1], [1, 1, 1, 1], [0, 1, 0, 0], [1, 1, 1, 0]]
    return ScoredLabels(torch.tensor(scores), torch.tensor(target))
