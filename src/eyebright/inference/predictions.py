"""`Prediction` and `Predictions`: what a predictor returns for images, as values, a table or JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex, overload

import pandas as pd
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import printable
from eyebright.inference.out_of_distribution import THRESHOLD
from eyebright.io.text import valid_unicode
from eyebright.tasks.base import NO_LABEL_CAPTION, TargetBlock
from eyebright.tasks.columns import distinct_columns

_MAX_SHOWN = 20  # predictions in a repr


@dataclass(frozen=True)
class Prediction:
    """The prediction for one image.

    Args:
        path: the path of the image; ``"image"`` for one in memory.
        decoded: the predicted label, `LabelSet`, points in pixels of the original image, or numbers.
        activated: the activated and calibrated outputs: the probability of each class, shape (classes,); points, shape
            (n, 2); or numbers, shape (n,).
        note: a possible problem of the image; empty if none was found.
        ask: the labels on which the model abstains, so that a person is to be asked, in the order of the vocabulary;
            None if the model answers only yes or no.
        label_set: the labels of the set that covers the right ones with the stated coverage, in the order of the
            vocabulary; None if the model has no prediction sets.
        ood_score: the out-of-distribution score; above 1 the image is less similar to the training images than 95 % of
            the validation images (`eyebright.inference.out_of_distribution`); None if the model folder has none.
    """

    path: str
    decoded: Any
    activated: Float[Tensor, "..."]
    note: str = ""
    ask: tuple[str, ...] | None = None
    ood_score: float | None = None
    label_set: tuple[str, ...] | None = None

    @property
    def is_ood(self) -> bool:
        """Whether the image is so dissimilar from the training images that the prediction is unreliable."""
        return self.ood_score is not None and self.ood_score > THRESHOLD

    def to_json(self, block: TargetBlock) -> dict[str, Any]:
        """The path, the entries of `TargetBlock.prediction_json`, and the other fields that the model provides."""
        abstained = {} if self.ask is None else {"ask": list(self.ask)}
        inside = {} if self.label_set is None else {"label_set": list(self.label_set)}
        score = {} if self.ood_score is None else {"ood_score": self.ood_score, "ood": self.is_ood}
        return {
            "path": self.path,
            **block.prediction_json(self.decoded, self.activated),
            **abstained,
            **inside,
            **score,
        }

    def row(self, block: TargetBlock) -> tuple[Any, ...]:
        """The cells of the table, in the order of `table_columns`."""
        cells = block.table_row(self.decoded, self.activated)
        abstained = () if self.ask is None else (block.abstained_text(self.ask, self.activated),)
        inside = () if self.label_set is None else (block.names_text(self.label_set),)
        score = () if self.ood_score is None else (self.ood_score, "yes" if self.is_ood else "no")
        return (self.path, *cells, *abstained, *inside, *score)

    def line(self, block: TargetBlock) -> str:
        """The prediction as a line of text: the path, the labels or numbers, and reasons for doubt."""
        text = block.text(self.decoded) or NO_LABEL_CAPTION
        abstained = f"; ask a person: {', '.join(self.ask)}" if self.ask else ""
        inside = "" if self.label_set is None else f"; prediction set: {', '.join(self.label_set) or 'empty'}"
        unlike = f"; unlike the training images (score {self.ood_score:.2f})" if self.is_ood else ""
        return printable(f"{self.path}: {text}{abstained}{inside}{unlike}")


@dataclass(frozen=True)
class SkippedImage:
    """An image that could not be read.

    Args:
        path: the path of the image, or a description of its source such as ``"<bytes>"``.
        reason: why it could not be read.
    """

    path: str
    reason: str


def table_columns(
    block: TargetBlock, *, is_three_way: bool, has_sets: bool = False, has_ood: bool = False
) -> tuple[str, ...]:
    """The names of the cells of `Prediction.row`.

    Args:
        block: the target block of the model.
        is_three_way: whether the model asks a person about some labels.
        has_sets: whether its predictions have prediction sets.
        has_ood: whether its predictions have an out-of-distribution score.
    """
    columns = ("path", *block.table_columns)
    if is_three_way:
        columns += tuple(distinct_columns(["ask"], taken=columns, prefix="to_"))
    if has_sets:
        columns += tuple(distinct_columns(["label_set"], taken=columns, prefix="image_"))
    if has_ood:
        columns += tuple(distinct_columns(["ood_score", "ood"], taken=columns, prefix="image_"))
    return columns


class Predictions(Sequence[Prediction]):
    """The predictions for the images that could be read, in the order of the images.

    Images that could not be read have no prediction, so prediction i is not always that of image i: use
    `Prediction.path`.

    Args:
        predictions: the prediction for each image that could be read.
        skipped: the reason for each image that could not be read, by its path, or for an image in memory by its kind
            and position, such as ``"<bytes> 3"``.
        target: the target block of the model, which formats the predictions.
    """

    def __init__(self, predictions: list[Prediction], skipped: dict[str, str], block: TargetBlock) -> None:
        self._predictions = predictions
        self.skipped = skipped
        self.target = block

    def __len__(self) -> int:
        return len(self._predictions)

    @overload
    def __getitem__(self, i: SupportsIndex) -> Prediction: ...

    @overload
    def __getitem__(self, i: slice) -> list[Prediction]: ...

    def __getitem__(self, i: SupportsIndex | slice) -> Prediction | list[Prediction]:
        """A prediction; for a slice a list of predictions."""
        return self._predictions[i]

    def __iter__(self) -> Iterator[Prediction]:
        return iter(self._predictions)

    def __repr__(self) -> str:
        lines = [prediction.line(self.target) for prediction in self._predictions[:_MAX_SHOWN]]
        more = [f"... ({len(self)} in all)"] if len(self) > _MAX_SHOWN else []
        notes = [f"{prediction.path}: {prediction.note}" for prediction in self._predictions if prediction.note]
        notes += [f"{path}: skipped, {reason}" for path, reason in self.skipped.items()]
        return "\n".join([*lines, *more, *map(printable, notes)])

    def line(self, prediction: Prediction) -> str:
        """One prediction as a line of text: the path, and the labels or numbers."""
        return prediction.line(self.target)

    def to_frame(self) -> pd.DataFrame:
        """A table with one row per image: its path and the columns of the target block.

        These are the labels and the probability of each class; x and y of each point; or the numbers. If the model
        answers yes, no or *ask a person*, the column ``ask`` has the labels about which a person is to be asked; if it
        has prediction sets, ``label_set`` has their labels; if it has out-of-distribution scores, ``ood_score``
        has them, and ``ood`` "yes" or "no". Characters that are not valid Unicode (in file names of another encoding)
        become escapes, since pandas does not support them.
        """
        rows = [prediction.row(self.target) for prediction in self._predictions]
        cells = [[valid_unicode(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
        is_three_way = any(prediction.ask is not None for prediction in self._predictions)
        has_sets = any(prediction.label_set is not None for prediction in self._predictions)
        has_ood = any(prediction.ood_score is not None for prediction in self._predictions)
        columns = table_columns(self.target, is_three_way=is_three_way, has_sets=has_sets, has_ood=has_ood)
        return pd.DataFrame(cells, columns=list(columns))

    def to_json(self) -> list[dict[str, Any]]:
        """One dictionary per image: its path and the entries of `TargetBlock.prediction_json`."""
        return [prediction.to_json(self.target) for prediction in self._predictions]
