"""`OneClassBlock`: the base class of the blocks with exactly one class per image, ordered or not."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor
from torch.nn import functional

from eyebright._choices import CalibrationKind
from eyebright.errors import DataError, LabelError, count_text, listing
from eyebright.image.warp import Warp
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.label_text import fitted_vocab
from eyebright.tasks.task_type import TaskType
from eyebright.types import Thresholds, Vocab


class OneClassBlock(TargetBlock):
    """A target field with exactly one class of a vocabulary; a subclass defines the activation of the outputs."""

    task_type: ClassVar[TaskType] = "classes"
    calibrations: ClassVar[tuple[CalibrationKind, ...]] = ("none", "temperature")
    can_abstain: ClassVar[bool] = True
    can_mix: ClassVar[bool] = True
    has_vocab: ClassVar[bool] = True
    is_exclusive: ClassVar[bool] = True
    is_checked_early: ClassVar[bool] = True
    vocab: Vocab | None

    @property
    def classes(self) -> Vocab:
        """The classes.

        Raises:
            InputError: the block is not fitted.
        """
        return fitted_vocab(self.vocab, type(self).__name__)

    def encode(self, value: str, warp: Warp | None = None) -> Shaped[Tensor, ""]:
        """The index of the class, int64."""
        return torch.tensor(self.classes.index_of(value))

    def check(self, value: str) -> None:
        """Raises `LabelError` unless the class is in the vocabulary."""
        self.classes.index_of(value)

    def predicted(self, activated: Float[Tensor, "n k"]) -> Int[Tensor, " n"]:
        """The index of the class that `decode` returns for each row."""
        return activated.argmax(dim=-1)

    def abstains(self, activated: Float[Tensor, "n k"], thresholds: Thresholds) -> Bool[Tensor, "n k"]:
        """True for predicted classes whose probability is not above the threshold, if it is three-way."""
        abstained = torch.zeros_like(activated, dtype=torch.bool)
        if not thresholds.is_three_way:
            return abstained
        index = self.predicted(activated)[:, None]
        return abstained.scatter(1, index, ~thresholds.decide(activated.gather(1, index)))

    def soft_targets(self, targets: Shaped[Tensor, " b"]) -> Float[Tensor, "b k"]:
        """1 for the class, 0 for all others; a row of NaN where the class is unknown."""
        return one_hot(targets, len(self.classes))

    def check_learnable(self, train: Iterable[str], valid: Iterable[str]) -> tuple[str, ...]:
        """An empty list: all classes are learnt together.

        Raises:
            DataError: there are fewer than two classes.
        """
        if len(self.classes) < 2:
            raise DataError(f"there is only one class, {listing(self.classes)}; a model needs at least two")
        return ()

    @property
    def target_names(self) -> tuple[str, ...]:
        """The classes."""
        return tuple(self.classes)

    def target_row(self, target: Shaped[Tensor, ""]) -> Float[Tensor, " k"]:
        """1 for the class, 0 for all others; all NaN if it is unknown."""
        return self.soft_targets(target[None])[0].double()

    def target_of_row(self, row: Float[Tensor, " k"]) -> Shaped[Tensor, ""]:
        """The index of the class; -1 where it is unknown."""
        return torch.where(row.isnan().any(), -1, row.nan_to_num().argmax())

    def labels(self, value: str) -> tuple[str, ...]:
        """The class."""
        return (value,)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes; empty before the block is fitted."""
        return tuple(self.vocab or ())

    def text(self, value: str) -> str:
        """The class."""
        return value

    def table_row(self, value: str, activated: Float[Tensor, " k"]) -> tuple[Any, ...]:
        """The class, and the probability of each."""
        return (value, *activated.tolist())

    def prediction_json(self, value: str, activated: Float[Tensor, " k"]) -> dict[str, Any]:
        """``{"label": ..., "probabilities": {class: probability}}``."""
        return {"label": value, "probabilities": dict(zip(self.classes, activated.tolist(), strict=True))}

    def describe(self) -> str:
        """The block and its classes on one line."""
        if self.vocab is None:
            return f"{type(self).__name__}, not fitted yet"
        return f"{type(self).__name__} with {count_text(len(self.vocab), 'class', 'classes')}: {listing(self.vocab)}"

    def class_counts(self, values: Iterable[str]) -> list[int]:
        """The number of values of each class, in the order of the vocabulary."""
        counts = Counter(values)
        return [counts[name] for name in self.classes]


def single_class(raw: Any, block: str, *, otherwise: str = "") -> Any:
    """The class of an image, returned by a getter as a value or as the only item of a list.

    Args:
        raw: the result of the getter.
        block: the name of the block, for the message.
        otherwise: advice if an image has several classes, for the message.

    Raises:
        LabelError: the list is empty or has several classes.
    """
    if not isinstance(raw, (list, tuple, set, frozenset)):
        several = raw.tolist() if getattr(raw, "ndim", 0) and hasattr(raw, "tolist") else [raw]
        if len(several) == 1:
            return raw
        raw = several
    if len(raw) != 1:
        article = "an" if block[0] in "AEIOU" else "a"
        raise LabelError(f"{article} {block} takes one class for each image, got {len(raw)}: {list(raw)}{otherwise}")
    return next(iter(raw))


def one_hot(targets: Shaped[Tensor, " b"], n_classes: int) -> Float[Tensor, "b k"]:
    """1 for the class, 0 for all others; a row of NaN where the target is negative (unknown)."""
    targets = targets.long()
    rows = functional.one_hot(targets.clamp_min(0), n_classes).float()
    return torch.where(targets[:, None] >= 0, rows, torch.nan)
