"""One label for each image."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright.errors import LabelError
from eyebright.image.warp import Warp
from eyebright.losses import CrossEntropyLossFlat
from eyebright.metrics.labels import error, top1
from eyebright.metrics.meter import Metric
from eyebright.tasks.base import TargetBlock, fitted_vocab, is_missing
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
    vocab: Vocab | None
    sort: bool
    add_na: bool

    def __init__(self, vocab: Sequence[str] | None = None, *, sort: bool = True, add_na: bool = False) -> None:
        object.__setattr__(self, "vocab", None if vocab is None else Vocab(vocab))
        object.__setattr__(self, "sort", sort)
        object.__setattr__(self, "add_na", add_na)

    def read(self, raw: Any) -> str:
        """The label as text."""
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
        """Nothing, where the label is known."""
        self.classes.index_of(value)

    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Probabilities that sum to one (softmax)."""
        return outputs.softmax(dim=-1)

    def decode(
        self, answer: Shaped[Tensor, "..."], *, thresholds: Thresholds | None = None, warp: Warp | None = None
    ) -> str:
        """The label: the most probable one, or the one whose index it is."""
        index = answer if answer.ndim == 0 else answer.argmax(dim=-1)
        return self.classes[int(index)]

    @property
    def classes(self) -> Vocab:
        """The names of the model's outputs."""
        return fitted_vocab(self.vocab, "CategoryBlock")

    @property
    def width(self) -> int:
        """One output for each class."""
        return len(self.classes)

    def loss(self) -> nn.Module:
        """Cross-entropy."""
        return CrossEntropyLossFlat()

    def metrics(self) -> tuple[Metric, ...]:
        """Accuracy and error rate."""
        return (top1, error)

    def words(self, value: str) -> str:
        """The label."""
        return value

    def to_json(self) -> dict[str, Any]:
        """The vocabulary and how it is made."""
        return {"vocab": None if self.vocab is None else list(self.vocab), "sort": self.sort, "add_na": self.add_na}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "CategoryBlock":
        """The block that `to_json` described."""
        return cls(data["vocab"], sort=data["sort"], add_na=data["add_na"])
