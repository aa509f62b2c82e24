"""`ClassificationInterpretation`: the confusions of a model, from an `Evaluation` and the loss of each image."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from eyebright.data.datasets import Dataset
from eyebright.data.loader import Loader
from eyebright.errors import InputError, checked_keywords, printable
from eyebright.evaluation.evaluation import Evaluation
from eyebright.metrics.confusion import (
    classification_report,
    confusion_matrix,
    largest_pairs,
    most_confused_labels,
    multilabel_confusion_matrix,
)
from eyebright.plot.images import draw_points, show_images
from eyebright.plot.matrices import figure_of_matrices, plot_matrix
from eyebright.tasks.base import NO_LABEL_CAPTION

if TYPE_CHECKING:
    import matplotlib.figure

    from eyebright.learner.learner import Learner


class TopLosses(NamedTuple):
    """The images with the greatest or smallest losses.

    Args:
        losses: the losses of these images.
        indices: the indices of these images in ``files``, in the order of the evaluation.
    """

    losses: Float[Tensor, " k"]
    indices: Int[Tensor, " k"]


class ClassificationInterpretation:
    """The predictions of a model for a dataset, with its mistakes and confusions.

    Also for multi-label, keypoint and regression targets.

    Args:
        evaluation: the evaluation of the dataset.
        losses: the loss of each image; NaN where all of its targets are unknown.
        dataset: the images.
    """

    def __init__(self, evaluation: Evaluation, losses: Float[Tensor, " n"], dataset: Dataset) -> None:
        self.evaluation = evaluation
        self.losses = losses
        self.dataset = dataset

    @staticmethod
    def from_learner(learn: "Learner", ds_idx: int = 1, dl: Loader | None = None) -> "ClassificationInterpretation":
        """The interpretation of a learner's predictions for a dataset, computed in float32, as a saved model predicts.

        Args:
            learn: the learner.
            ds_idx: 1 for the validation set, 0 for the training set without augmentation.
            dl: another loader.

        Raises:
            InputError: the dataset has no targets, or no image can be read.
        """
        return learn.interpret(ds_idx, dl)

    @property
    def files(self) -> tuple[str, ...]:
        """The file of each image, relative to ``evaluation.root``."""
        return self.evaluation.files

    @property
    def preds(self) -> Float[Tensor, "n ..."]:
        """The probability of each class; for points and numbers the predicted values, in the user's units."""
        return self.evaluation.activated

    @property
    def targs(self) -> Shaped[Tensor, "n ..."]:
        """The encoded targets."""
        return self.evaluation.targets

    @property
    def y_true(self) -> Shaped[Tensor, "n ..."]:
        """The same as `targs`; the name in Microsoft's computer-vision recipes."""
        return self.targs

    @property
    def decoded(self) -> list[Any]:
        """The predicted label, labels, points or numbers of each image."""
        return self.evaluation.decoded

    @property
    def vocab(self) -> Sequence[str]:
        """The names of the classes.

        Raises:
            DataError: the target has no classes.
        """
        return self.evaluation.decision.target.classes

    def confusion_matrix(self) -> Int[np.ndarray, "k k"] | Int[np.ndarray, "k 2 2"]:
        """The number of images of each class (row) that each class was predicted for (column).

        For multi-label targets a 2x2 matrix ``[[absent, extra], [missing, present]]`` for each label, as scikit-learn's
        ``multilabel_confusion_matrix``; unknown targets are ignored.

        Raises:
            InputError: the targets have no classes.
        """
        if self._is_multilabel:
            return multilabel_confusion_matrix(self._decisions, self.targs).numpy()
        return confusion_matrix(self._predicted_classes, self.targs, len(self.vocab)).numpy()

    def most_confused(self, min_val: int = 1) -> list[tuple[str, str, int]]:
        """(actual, predicted, number of images), most frequent first.

        Multi-label: (a label that was missed, a label that was predicted instead, number of such images).

        Args:
            min_val: smallest number of images.

        Raises:
            InputError: the targets have no classes.
        """
        if self._is_multilabel:
            pairs = most_confused_labels(self._decisions, self.targs, self.vocab)
        else:
            pairs = largest_pairs(torch.from_numpy(self.confusion_matrix()), self.vocab)
        return [pair for pair in pairs if pair[2] >= min_val]

    @checked_keywords
    def plot_confusion_matrix(
        self,
        normalize: bool = False,  # noqa: FBT001 - fastai's signature
        title: str = "Confusion matrix",
        cmap: str = "Blues",
        norm_dec: int = 2,
        plot_txt: bool = True,  # noqa: FBT001
        *,
        figsize: tuple[float, float] | None = None,
        dpi: float | None = None,
    ) -> None:
        """Draws the confusion matrix; for multi-label targets a 2x2 matrix for each label.

        Args:
            normalize: fractions of each row instead of numbers.
            title: the title of the figure.
            cmap: Matplotlib's colour map.
            norm_dec: decimals of fractions.
            plot_txt: write the numbers into the cells.
            figsize: width and height of the figure in inches.
            dpi: pixels per inch.

        Raises:
            InputError: the targets have no classes.
            MissingExtraError: Matplotlib is not installed.
        """
        matrix, several = self.confusion_matrix(), self._is_multilabel
        matrices = list(matrix) if several else [matrix]
        names = [("no", "yes")] * len(matrices) if several else [tuple(self.vocab)]
        figure, axes = figure_of_matrices(len(matrices), figsize=figsize, dpi=dpi)
        figure.suptitle(title)
        for i, (ax, counts) in enumerate(zip(axes, matrices, strict=False)):
            values_format = f".{norm_dec}f" if normalize else "d"
            values = _fractions(counts) if normalize else counts
            name = self.vocab[i] if several else ""
            plot_matrix(ax, values, names[i], title=name, cmap=cmap, values_format=values_format if plot_txt else None)

    def print_classification_report(self) -> None:
        """Prints scikit-learn's table of precision, recall and F1 of each class.

        Raises:
            InputError: the targets have no classes.
        """
        print(printable(self.classification_report(), keep="\n"))  # noqa: T201 - it is asked to print

    def classification_report(self) -> str:
        """The text of `print_classification_report`; unknown targets are ignored.

        Raises:
            InputError: the targets have no classes.
        """
        if self._is_multilabel:
            return classification_report(self._decisions, self.targs, self.vocab)
        known = self.targs >= 0
        rows = [
            torch.nn.functional.one_hot(classes[known], len(self.vocab))
            for classes in (self._predicted_classes, self.targs)
        ]
        return classification_report(rows[0].bool(), rows[1], self.vocab, single_label=True)

    def top_losses(
        self,
        k: int | None = None,
        largest: bool = True,  # noqa: FBT001 - fastai's signature
    ) -> TopLosses:
        """The greatest losses and the indices of their images; images whose targets are all unknown are ignored.

        Args:
            k: number of images; None: all.
            largest: False for the smallest losses.
        """
        known = torch.nonzero(~self.losses.isnan())[:, 0]
        order = self.losses[known].argsort(descending=largest, stable=True)[:k]
        return TopLosses(self.losses[known[order]], known[order])

    @checked_keywords
    def plot_top_losses(
        self,
        k: int,
        largest: bool = True,  # noqa: FBT001 - fastai's signature
        *,
        nrows: int | None = None,
        ncols: int | None = None,
        figsize: tuple[float, float] | None = None,
    ) -> None:
        """Draws the images with the greatest losses: prediction, target, loss and probability of the prediction.

        Args:
            k: number of images.
            largest: False for the smallest losses.
            nrows: number of rows.
            ncols: number of columns.
            figsize: width and height of the figure in inches.

        Raises:
            InputError: there is no image with a known target.
            MissingExtraError: Matplotlib is not installed.
        """
        losses, indices = self.top_losses(k, largest)
        # i: the row of an image in the evaluation; row: its position in the dataset; they share the item's index.
        row_of_item = {item: row for row, item in enumerate(self.dataset.indices)}
        rows = [row_of_item[self.evaluation.indices[i]] for i in indices.tolist()]
        images = [self.dataset.image(row).pixels() for row in rows]
        cells = zip(indices.tolist(), rows, losses.tolist(), strict=True)
        titles = [self._title(i, row, loss) for i, row, loss in cells]
        figure = show_images(images, titles, rows=nrows, columns=ncols, figsize=figsize)
        figure.suptitle("Prediction/Actual/Loss/Probability" if self._has_classes else "Prediction/Actual/Loss")
        self._draw_points(figure, indices.tolist(), rows)

    @property
    def _has_classes(self) -> bool:
        return bool(self.evaluation.decision.target.label_names)

    @property
    def _is_multilabel(self) -> bool:
        block = self.evaluation.decision.target
        if not self._has_classes:
            raise InputError(f"only labels and classes can be confused, and the target is a {type(block).__name__}")
        return block.has_thresholds

    @property
    def _decisions(self) -> Bool[Tensor, "n k"]:
        return self.evaluation.decision.decide(self.preds)

    @property
    def _predicted_classes(self) -> Int[Tensor, " n"]:
        names = {name: i for i, name in enumerate(self.vocab)}
        return torch.tensor([names[name] for name in self.decoded])

    def _title(self, i: int, row: int, loss: float) -> str:
        """Prediction, target, loss and probability of the prediction; for points only the loss."""
        block, value = self.evaluation.decision.target, self.dataset.raw_target(row)
        if block.points_of(value) is not None:
            return f"{loss:.2f}"
        lines = [
            block.text(self.decoded[i]) or NO_LABEL_CAPTION,
            block.text(value) or NO_LABEL_CAPTION,
            f"{loss:.2f}",
        ]
        if self._has_classes:
            scores = self.preds[i].tolist()
            labels = block.labels(self.decoded[i])
            lines.append("/".join(f"{scores[self.vocab.index(label)]:.2f}" for label in labels))
        return "\n".join(lines)

    def _draw_points(self, figure: "matplotlib.figure.Figure", indices: Sequence[int], rows: Sequence[int]) -> None:
        block = self.evaluation.decision.target
        for ax, i, row in zip(figure.axes, indices, rows, strict=False):
            for marker, value in (("o", self.dataset.raw_target(row)), ("x", self.decoded[i])):
                points = block.points_of(value)
                if points is not None:
                    draw_points(ax, points.xy, points.known, marker=marker)


def _fractions(counts: Int[np.ndarray, "r c"]) -> Float[np.ndarray, "r c"]:
    """The fractions of each row; 0 in a row without images."""
    sums = counts.sum(1, keepdims=True)
    return counts / np.maximum(sums, 1)
