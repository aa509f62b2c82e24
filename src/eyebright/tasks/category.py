"""One label for each image: softmax and cross-entropy."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright._choices import Balance
from eyebright.errors import DataError, LabelError, listing
from eyebright.image.warp import Warp
from eyebright.losses import CrossEntropyLossFlat, class_weights
from eyebright.metrics.labels import error, top1
from eyebright.metrics.meter import Metric
from eyebright.tasks.base import Columns, SectionName, TargetBlock, fitted_vocab, is_missing
from eyebright.tasks.columns import distinct_columns
from eyebright.types import Thresholds, Vocab

MISSING = "#na#"


@dataclass(frozen=True, init=False)
class CategoryBlock(TargetBlock):
    """The target field with exactly one label: softmax and cross-entropy.

    Args:
        vocab: the classes, in the order of the outputs; None: the sorted labels of the training images.
        sort: False keeps the order of first appearance.
        add_na: True adds the class ``#na#`` for images without a label; without it they are an error.
    """

    name: ClassVar[str] = "category"
    columns: ClassVar[Columns] = "class"
    section: ClassVar[SectionName] = "classes"
    is_exact: ClassVar[bool] = True
    can_mix: ClassVar[bool] = True
    values_repeat: ClassVar[bool] = True
    is_checked_early: ClassVar[bool] = True
    vocab: Vocab | None
    sort: bool
    add_na: bool

    def __init__(self, vocab: Sequence[str] | None = None, *, sort: bool = True, add_na: bool = False) -> None:
        object.__setattr__(self, "vocab", None if vocab is None else Vocab(vocab))
        object.__setattr__(self, "sort", sort)
        object.__setattr__(self, "add_na", add_na)

    def read(self, raw: Any) -> str:
        """The label as text.

        Raises:
            LabelError: none, or several.
        """
        if isinstance(raw, (list, tuple, set, frozenset)):
            if len(raw) != 1:
                raise LabelError(
                    f"a CategoryBlock takes one label for each image, got {len(raw)}: {list(raw)}; "
                    "for any number of labels use MultiCategoryBlock"
                )
            raw = next(iter(raw))
        text = "" if is_missing(raw) else str(raw)
        if text:
            return text
        if self.add_na:
            return MISSING
        raise LabelError(
            "an image has no label, and a CategoryBlock needs one; leave the image out, or give add_na=True"
        )

    def fit(self, values: Iterable[str]) -> "CategoryBlock":
        """The block whose vocabulary is the labels of ``values``; a given vocabulary stays."""
        if self.vocab is not None:
            return self
        seen = dict.fromkeys(values)
        names = sorted(seen) if self.sort else list(seen)
        if self.add_na:
            names = [MISSING, *(name for name in names if name != MISSING)]
        return CategoryBlock(names, sort=self.sort, add_na=self.add_na)

    def encode(self, value: str, warp: Warp | None = None) -> Shaped[Tensor, ""]:
        """The label's index, int64."""
        return torch.tensor(self.classes.index_of(value))

    def check(self, value: str) -> None:
        """Nothing, where the label is in the vocabulary."""
        self.classes.index_of(value)

    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Probabilities that sum to one (softmax)."""
        return outputs.softmax(dim=-1)

    def decode(self, scores: Shaped[Tensor, "..."], thresholds: Thresholds | None = None) -> str:
        """The most probable label, or the one with that index."""
        index = scores if scores.ndim == 0 else scores.argmax(dim=-1)
        return self.classes[int(index)]

    @property
    def width(self) -> int:
        """One output for each class."""
        return len(self.classes)

    def loss(self) -> nn.Module:
        """Cross-entropy."""
        return CrossEntropyLossFlat()

    def training_loss(
        self, values: Iterable[str], *, label_smoothing: float = 0.0, balance: Balance = "none"
    ) -> nn.Module:
        """Cross-entropy with smoothed targets, and with a weight for each class (`eyebright.losses.class_weights`)."""
        if balance == "none":
            return CrossEntropyLossFlat(label_smoothing=label_smoothing)
        counts = Counter(values)
        images = torch.tensor([float(counts[name]) for name in self.classes])
        return CrossEntropyLossFlat(class_weights(images, balance), label_smoothing=label_smoothing)

    def soft_targets(self, targets: Shaped[Tensor, " b"]) -> Float[Tensor, "b k"]:
        """1 for the class, 0 for all others; NaN throughout where the class is unknown."""
        targets = targets.long()
        rows = nn.functional.one_hot(targets.clamp_min(0), self.width).float()
        return torch.where(targets[:, None] >= 0, rows, torch.nan)

    def metrics(self) -> tuple[Metric, ...]:
        """Accuracy and error rate."""
        return (top1, error)

    def check_learnable(self, train: Iterable[str], valid: Iterable[str]) -> None:
        """Nothing, where there are two classes."""
        if len(self.classes) == 1:
            raise DataError(f"there is one class, '{self.classes[0]}'; a model tells at least two apart")

    def training_summary(self, values: Sequence[str]) -> dict[str, Any]:
        """Images of each class; the baseline always predicts the most frequent one."""
        counts = Counter(values)
        each = [counts[name] for name in self.classes]
        most = max(range(len(each)), key=each.__getitem__)
        return {
            "images": len(values),
            "counts": each,
            "baseline": {"*": [float(i == most) for i in range(len(each))]},
        }

    @property
    def output_names(self) -> tuple[str, ...]:
        """The classes."""
        return tuple(self.classes)

    def target_row(self, target: Shaped[Tensor, "..."]) -> Float[Tensor, " k"]:
        """1 for the class, 0 for all others; NaN throughout where it is unknown."""
        return self.soft_targets(target[None])[0].double()

    def target_of_row(self, row: Float[Tensor, " k"]) -> Shaped[Tensor, ""]:
        """The index of the class; -1 where it is unknown."""
        return torch.where(row.isnan().any(), -1, row.nan_to_num().argmax())

    @property
    def classes(self) -> Vocab:
        """The names of the model's outputs."""
        return fitted_vocab(self.vocab, type(self).__name__)

    def labels(self, value: str) -> tuple[str, ...]:
        """The label."""
        return (value,)

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes; none before the block is fitted."""
        return tuple(self.vocab or ())

    def words(self, value: str) -> str:
        """The label."""
        return value

    @property
    def table_columns(self) -> tuple[str, ...]:
        """``labels``, and a probability column for each class."""
        return ("labels", *distinct_columns(self.classes))

    def table_row(self, value: str, scores: Float[Tensor, " k"]) -> tuple[Any, ...]:
        """The label, and the probability of each class."""
        return (value, *scores.tolist())

    def answer_json(self, value: str, scores: Float[Tensor, " k"]) -> dict[str, Any]:
        """``{"label": ..., "probabilities": {class: probability}}``."""
        return {"label": value, "probabilities": dict(zip(self.classes, scores.tolist(), strict=True))}

    def describe(self) -> str:
        """The block and its classes on one line."""
        if self.vocab is None:
            return f"{type(self).__name__}, not fitted yet"
        return f"{type(self).__name__} with {len(self.vocab)} classes: {listing(self.vocab)}"

    def to_json(self) -> dict[str, Any]:
        """The vocabulary and how it is made."""
        return {"vocab": None if self.vocab is None else list(self.vocab), "sort": self.sort, "add_na": self.add_na}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "CategoryBlock":
        """The block that `to_json` described."""
        return cls(data["vocab"], sort=data["sort"], add_na=data["add_na"])

    @classmethod
    def from_columns(cls, names: Sequence[str], *, mirror: Sequence[int] | None = None) -> "CategoryBlock":
        """A block whose vocabulary is fitted."""
        return cls()
