"""`ReviewItems`: the reviewed images and their known values; `Answers`: a model's predictions for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from eyebright.evaluation.suspects import Suspect
from eyebright.review.values import Vocabulary

Ids = Int[np.ndarray, "_"]


@dataclass(frozen=True, eq=False)
class ReviewItems:
    """Images with their given values.

    Args:
        vocabulary: the names of labels, classes, points or numbers.
        root: the folder that ``files`` are relative to.
        files: the name of each image, each once: relative to ``root``, or absolute for images elsewhere. The journal
            uses these names.
        given: the values in the label file; NaN where unknown.
        title: the title of the review, for the heading.
        ordered: whether the classes have an order.
        mirror: pairs of points that exchange their names in a mirrored image.
    """

    vocabulary: Vocabulary
    root: Path
    files: Sequence[str]
    given: Float[np.ndarray, "n c w"]
    title: str = ""
    ordered: bool = False
    mirror: Mapping[str, str] = field(default_factory=dict[str, str])

    def __len__(self) -> int:
        return len(self.files)

    def path(self, row: int) -> Path:
        """The path of an image."""
        return self.root / self.files[row]


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's predictions for the images.

    Args:
        names: the labels or classes of the model, in the order of the columns of ``probabilities``.
        predicted: the predicted values, for the cells of the model; NaN without a prediction.
        probabilities: the calibrated probabilities of labels or classes; NaN without a prediction. None for points and
            numbers.
        thresholds: the threshold of each label; empty without thresholds.
        lower: the lower threshold of each label of three-way answers; otherwise empty.
        abstained: the labels on which (or whether on the class) the model abstains; None: never.
        suggested: images without labels, most informative first; None: unknown.
        reasons: the reason for each suggestion, by image.
    """

    names: tuple[str, ...]
    predicted: Float[np.ndarray, "n c w"]
    probabilities: Float[np.ndarray, "n k"] | None = None
    thresholds: Sequence[float] = ()
    lower: Sequence[float] = ()
    abstained: Bool[np.ndarray, "n a"] | None = None
    suggested: Ids | None = None
    reasons: Mapping[int, str] = field(default_factory=dict[int, str])

    def by_name(self, values: Sequence[float]) -> dict[str, float]:
        """The thresholds by label; empty without thresholds."""
        return dict(zip(self.names, values, strict=True)) if len(values) else {}


@dataclass(frozen=True, eq=False)
class Suspects:
    """Labels that are probably wrong.

    Args:
        found: the suspects by image, the most suspicious first.
        ids: the images, the most suspicious first.
    """

    found: Mapping[int, Sequence[Suspect]]
    ids: Ids

    @staticmethod
    def of(suspects: Sequence[Suspect]) -> "Suspects":
        """The suspects of an evaluation whose rows are the first images, in its order."""
        found: dict[int, list[Suspect]] = {}
        for suspect in suspects:
            found.setdefault(suspect.row, []).append(suspect)
        return Suspects(found, np.fromiter(found, dtype=np.int64, count=len(found)))

    def to_json(self, row: int) -> list[dict[str, Any]]:
        """The suspects of an image for the page."""
        return [
            {
                "cell": "" if suspect.kind == "wrong class" else suspect.label,
                "given": suspect.given,
                "predicted": suspect.predicted,
                "probability": None if np.isnan(suspect.probability) else suspect.probability,
            }
            for suspect in self.found.get(row, ())
        ]


NO_SUSPECTS = Suspects({}, np.zeros(0, dtype=np.int64))
