"""`TaughtModel`: the model of a review, which learns from answers and shows heat maps."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, final

import cv2
import numpy as np
import torch
from jaxtyping import Float, Shaped, UInt8
from torch import Tensor

from eyebright.evaluation.teaching_order import TeachingOrder
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.predictor import Predictor
from eyebright.review.items import Answers
from eyebright.review.values import Vocabulary
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.registry import TARGET_BLOCKS
from eyebright.tasks.task_type import KindWord
from eyebright.types import Thresholds
from eyebright.workflow.teaching import Backbone, Teacher

_OPACITY = 0.6  # opacity of the maximum of a heat map


@final
class TaughtModel:
    """A frozen backbone with a head that is fitted again to the known targets.

    Args:
        paths: the images.
        block: the target block of the model; None without a model, then the backbone is a pretrained one.
        folder: the model folder; None without a model.
        unseen: the model's predictions for images that it was not trained on, which are kept; None: no predictions.
        cache: the cache folder of the features.
        device: the device of the backbone.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        block: TargetBlock | None,
        folder: Path | None,
        *,
        unseen: Answers | None,
        cache: Path,
        device: str | None,
    ) -> None:
        self._paths, self._block, self._folder = paths, block, folder
        self._unseen, self._cache, self._device = unseen, cache, device
        self._teacher: Teacher | None = None
        self._predictor: Predictor | None = None

    @property
    def can_learn(self) -> bool:
        """Always."""
        return True

    @property
    def can_show(self) -> bool:
        """Whether there are heat maps: for models, unless they predict points."""
        return self._folder is not None and self._block is not None and not self._block.is_geometric

    def learn(
        self,
        vocabulary: Vocabulary,
        values: Float[np.ndarray, "n c w"],
        *,
        cancelled: Callable[[], bool],
        progress: Callable[[float], None],
    ) -> Answers:
        """See `eyebright.review.learning.ReviewModel`."""
        block = fitted_block(vocabulary, self._block)
        if self._teacher is None:
            backbone = Backbone.pretrained(block) if self._folder is None else Backbone.of_model(self._folder)
            self._teacher = Teacher(self._paths, backbone, cache=self._cache, device=self._device)
        targets = _targets(vocabulary, values)
        taught = self._teacher.learn(block, targets, cancelled=cancelled, progress=progress)
        return merged(taught_answers(vocabulary, taught.probabilities, taught.order, self._thresholds()), self._unseen)

    def heat_map(self, path: Path, cell: str, longest: int) -> UInt8[np.ndarray, "h w 4"]:
        """See `eyebright.review.learning.ReviewModel`."""
        assert self._folder is not None
        if self._predictor is None:
            self._predictor = load_predictor(self._folder, device=self._device, runtime="torch", precision="float32")
        (found,) = self._predictor.heat_maps(str(path), [cell])
        return colors(found.values, longest)

    def _thresholds(self) -> dict[str, float]:
        return {} if self._unseen is None else self._unseen.by_name(self._unseen.thresholds)


def fitted_block(vocabulary: Vocabulary, block: TargetBlock | None) -> TargetBlock:
    """The target block with the names of a review.

    Args:
        vocabulary: the vocabulary of the review, which can have more labels than the model.
        block: the target block of the model; None without a model.
    """
    if block is not None and tuple(block.value_names) == vocabulary.names:
        return block
    return _BLOCKS[vocabulary.kind](vocabulary.names)


def taught_answers(
    vocabulary: Vocabulary,
    probabilities: Float[Tensor, "n k"],
    order: TeachingOrder,
    thresholds: dict[str, float],
) -> Answers:
    """The answers of the head that was fitted, in the form of a review.

    Args:
        vocabulary: the vocabulary of the review.
        probabilities: the probabilities of labels and classes, or the values of points and numbers.
        order: the teaching order of the images without labels.
        thresholds: the thresholds of the model's labels; 0.5 for others.
    """
    values = probabilities.numpy()
    cuts = [thresholds.get(name, 0.5) for name in vocabulary.names] if vocabulary.has_thresholds else []
    return Answers(
        names=vocabulary.names,
        predicted=predicted_values(vocabulary, values, cuts),
        probabilities=values if vocabulary.has_probabilities else None,
        thresholds=cuts,
        suggested=np.asarray(order.rows, dtype=np.int64),
        reasons=_reasons(vocabulary, order),
    )


def predicted_values(
    vocabulary: Vocabulary, activated: Float[np.ndarray, "n k"], thresholds: Sequence[float]
) -> Float[np.ndarray, "n c w"]:
    """The predicted values of activated outputs.

    Args:
        vocabulary: the vocabulary of the review.
        activated: probabilities, points or numbers; NaN rows stay unknown.
        thresholds: the thresholds of labels; a label is yes above its threshold.
    """
    if vocabulary.has_thresholds:
        yes = (activated > np.asarray(thresholds, dtype=np.float64)).astype(np.float32)
        return np.where(np.isnan(activated), np.float32(np.nan), yes)[:, :, None]
    if vocabulary.is_exclusive:
        known = ~np.isnan(activated).any(axis=1)
        best = np.where(known, np.nan_to_num(activated, nan=-1).argmax(axis=1), np.nan)
        return best.astype(np.float32)[:, None, None]
    return activated.reshape(len(activated), len(vocabulary.names), vocabulary.width).astype(np.float64)


def merged(taught: Answers, unseen: Answers | None) -> Answers:
    """The answers of the fitted head, replaced by a model's own where it gave any for images that it had not seen.

    Args:
        taught: the predictions for all images; the head was fitted to those that have labels.
        unseen: the model's predictions for the same images; None: there are none.
    """
    if unseen is None or unseen.names != taught.names[: len(unseen.names)]:
        return taught
    k = len(unseen.names)
    predicted, probabilities = taught.predicted.copy(), taught.probabilities
    columns = slice(k) if predicted.shape[1] >= k else slice(None)
    rows = ~np.isnan(unseen.predicted).any(axis=(1, 2))
    predicted[rows, columns] = unseen.predicted[rows]
    if probabilities is not None and unseen.probabilities is not None:
        probabilities = probabilities.copy()
        probabilities[rows, :k] = unseen.probabilities[rows]
    return Answers(
        taught.names,
        predicted,
        probabilities,
        taught.thresholds,
        (),
        unseen.abstained,
        taught.suggested,
        taught.reasons,
    )


def cuts_of(thresholds: Thresholds, count: int) -> tuple[list[float], list[float]]:
    """(thresholds, lower thresholds or None) of this number of labels."""
    upper = thresholds.per_class(count).tolist()
    if thresholds.lower is None:
        return upper, []
    lower = thresholds.lower
    return upper, list(lower) if isinstance(lower, tuple) else [lower] * count


def colors(values: Float[np.ndarray, "h w"], longest: int) -> UInt8[np.ndarray, "h2 w2 4"]:
    """A heat map as colours with opacity: high values are red, low ones are transparent.

    Args:
        values: the values, from 0 to 1.
        longest: the maximum of the longer side in pixels; the map is shrunk, never enlarged.
    """
    scale = min(longest / max(values.shape), 1.0)
    height, width = (max(int(scale * side + 0.5), 1) for side in values.shape)
    small = cv2.resize(values.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA).clip(0, 1)
    shades = cv2.applyColorMap((small * 255).astype(np.uint8), cv2.COLORMAP_TURBO)[:, :, ::-1]
    opacity = (small * (255 * _OPACITY)).round().astype(np.uint8)[:, :, None]
    return np.ascontiguousarray(np.concatenate([shades, opacity], axis=2))


def _targets(vocabulary: Vocabulary, values: Float[np.ndarray, "n c w"]) -> Shaped[Tensor, "n ..."]:
    """The values as a target block encodes them."""
    tensor = torch.from_numpy(values)
    if vocabulary.is_exclusive:
        return tensor[:, 0, 0]
    return tensor if vocabulary.width > 1 else tensor[:, :, 0]


def _reasons(vocabulary: Vocabulary, order: TeachingOrder) -> dict[int, str]:
    """The reason for suggesting each image."""
    reasons: dict[int, str] = {}
    columns: list[Any] = [order.rows, order.labels, order.uncertainties, order.rarities, order.distances]
    for row, label, uncertainty, rarity, distance in zip(*(column.tolist() for column in columns), strict=True):
        sentences: list[str] = []
        if 0 <= label < len(vocabulary.names) and uncertainty >= 0.5:
            sentences.append(f"not sure about {vocabulary.names[label]}")
        if 0 <= label < len(vocabulary.names) and rarity >= 0.5:
            sentences.append(f"{vocabulary.names[label]} is still rare")
        if distance >= 0.5:
            sentences.append("unlike the images that have labels")
        reasons[row] = "; ".join(sentences)
    return reasons


_BLOCKS: Mapping[KindWord, Callable[[tuple[str, ...]], TargetBlock]] = {
    "labels": lambda names: MultiCategoryBlock(vocab=names),
    "class": lambda names: CategoryBlock(vocab=names, sort=False),
    "points": TARGET_BLOCKS["points"].from_columns,
    "numbers": TARGET_BLOCKS["regression"].from_columns,
}
