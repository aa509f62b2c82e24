"""`Prediction` and `Predictions`: what a predictor returns for images, as values, a table or JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import printable
from eyebright.io.text import valid_unicode
from eyebright.tasks.base import NO_LABEL_CAPTION, TargetBlock


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image.

    Args:
        path: the path of the image; ``"image"`` for one in memory.
        answer: a label, a `LabelSet`, points in pixels of the original image, or numbers.
        scores: calibrated probabilities, shape (classes,); points, shape (n, 2); or numbers, shape (n,).
        note: what may be wrong with the image; empty if nothing was noticed.
    """

    path: str
    answer: Any
    scores: Float[Tensor, "..."]
    note: str = ""

    def to_json(self, target: TargetBlock) -> dict[str, Any]:
        """The path, and the entries of `TargetBlock.prediction_json`."""
        return {"path": self.path, **target.prediction_json(self.answer, self.scores)}

    def line(self, target: TargetBlock) -> str:
        """The prediction as a line of text: the path, and the labels or numbers."""
        return printable(f"{self.path}: {target.text(self.answer) or NO_LABEL_CAPTION}")


@dataclass(frozen=True)
class SkippedImage:
    """An image that could not be read.

    Args:
        path: the path of the image, or a description of its source such as ``"<bytes>"``.
        reason: why it could not be read.
    """

    path: str
    reason: str


class Predictions(Sequence[Prediction]):
    """The predictions for a list of images, in the same order.

    Args:
        found: the prediction for each image that could be read.
        skipped: the reason for each image that could not be read, by its path.
        target: the target block of the model, which formats the predictions.
    """

    def __init__(self, found: list[Prediction], skipped: dict[str, str], target: TargetBlock) -> None:
        self._found = found
        self.skipped = skipped
        self.target = target

    def __len__(self) -> int:
        return len(self._found)

    def __getitem__(self, i: Any) -> Any:
        return self._found[i]

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self._found)

    def __repr__(self) -> str:
        lines = [self.line(one) for one in self._found[:20]]
        more = [f"... ({len(self)} in all)"] if len(self) > 20 else []
        said = [f"{one.path}: {one.note}" for one in self._found if one.note]
        said += [f"{path}: skipped, {reason}" for path, reason in self.skipped.items()]
        return "\n".join([*lines, *more, *map(printable, said)])

    def line(self, one: Prediction) -> str:
        """One prediction as a line of text: the path, and the labels or numbers."""
        return one.line(self.target)

    def to_frame(self) -> pd.DataFrame:
        """A table with one row per image: its path and the columns of the target block.

        These are the labels and the probability of each class; x and y of each point; or the numbers. Characters that
        are not valid Unicode (in file names of another encoding) become escapes, since pandas has no text with them.
        """
        rows = [(one.path, *self.target.table_row(one.answer, one.scores)) for one in self._found]
        cells = [[valid_unicode(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        return pd.DataFrame(cells, columns=["path", *self.target.table_columns])

    def to_json(self) -> list[dict[str, Any]]:
        """One dictionary per image: its path and the entries of `TargetBlock.prediction_json`."""
        return [one.to_json(self.target) for one in self._found]
