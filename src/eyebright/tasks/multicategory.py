"""Any number of labels for each image: the main job."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright.errors import InputError, LabelError
from eyebright.image.warp import Warp
from eyebright.losses import BCEWithLogitsLossFlat
from eyebright.metrics.labels import f1_macro, f1_micro, mean_ap, subset
from eyebright.metrics.meter import Metric
from eyebright.tasks.base import TargetBlock, fitted_vocab, is_missing
from eyebright.types import Thresholds, Vocab


@dataclass(frozen=True, init=False)
class MultiCategoryBlock(TargetBlock):
    """The target field with any number of labels, also none: sigmoid and binary cross-entropy.

    None, NaN, ``''`` and ``[]`` mean *no label*; there is never a class called ''.

    Args:
        encoded: True when the getter gives a row of 0 and 1, one for each class of ``vocab``.
        vocab: the classes, in the order of the outputs; None: the sorted labels of the training images.
        add_na: kept for the book's signature; an image without a label needs no class of its own here.
    """

    name: ClassVar[str] = "multicategory"
    encoded: bool
    vocab: Vocab | None

    def __init__(self, encoded: bool = False, vocab: Sequence[str] | None = None, *, add_na: bool = False) -> None:  # noqa: FBT001  # the book's signature
        if encoded and vocab is None:
            raise InputError("MultiCategoryBlock(encoded=True) needs the names of the columns: vocab=[...]")
        if add_na:
            raise InputError("MultiCategoryBlock needs no add_na: an image without a label is a row of zeros")
        object.__setattr__(self, "encoded", encoded)
        object.__setattr__(self, "vocab", None if vocab is None else Vocab(vocab))

    def read(self, raw: Any) -> frozenset[str]:
        """The set of labels."""
        if self.encoded:
            return self._from_row(raw)
        if is_missing(raw) or (isinstance(raw, str) and not raw.strip()):
            return frozenset()
        if isinstance(raw, str):
            raise LabelError(
                f"the labels of an image are a list, and the getter gave the text '{raw}'; "
                "split it, for example get_y=ColReader('labels', label_delim=' ')"
            )
        return frozenset(str(label) for label in raw if not is_missing(label) and str(label))

    def fit(self, values: Iterable[frozenset[str]]) -> "MultiCategoryBlock":
        """The block whose vocabulary is the labels of ``values``; a given vocabulary stays."""
        if self.vocab is not None:
            return self
        return MultiCategoryBlock(vocab=sorted(set(chain.from_iterable(values))))

    def encode(self, value: frozenset[str], warp: Warp | None = None) -> Float[Tensor, " k"]:
        """One 0 or 1 for each class, float32."""
        row = torch.zeros(self.width)
        for label in value:
            row[self.classes.index_of(label)] = 1.0
        return row

    def check(self, value: frozenset[str]) -> None:
        """Nothing, where every label is known."""
        classes = self.classes
        for label in value:
            classes.index_of(label)

    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """One probability for each class (sigmoid)."""
        return outputs.sigmoid()

    def decode(
        self, answer: Shaped[Tensor, "..."], *, thresholds: Thresholds | None = None, warp: Warp | None = None
    ) -> frozenset[str]:
        """The labels whose probability is above their threshold."""
        return frozenset(self.classes[(thresholds or Thresholds()).decide(answer)])

    @property
    def classes(self) -> Vocab:
        """The names of the model's outputs."""
        return fitted_vocab(self.vocab, "MultiCategoryBlock")

    @property
    def width(self) -> int:
        """One output for each class."""
        return len(self.classes)

    def loss(self) -> nn.Module:
        """Binary cross-entropy, each class on its own."""
        return BCEWithLogitsLossFlat()

    def metrics(self) -> tuple[Metric, ...]:
        """Mean average precision, which needs no threshold, then F1 and whole rows right."""
        return (mean_ap, f1_macro, f1_micro, subset)

    def words(self, value: frozenset[str]) -> str:
        """The labels in their order, joined as in the book."""
        known = [label for label in self.vocab or () if label in value]
        return ";".join(known + sorted(set(value) - set(known)))

    def to_json(self) -> dict[str, Any]:
        """The vocabulary and how targets are given."""
        return {"encoded": self.encoded, "vocab": None if self.vocab is None else list(self.vocab)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "MultiCategoryBlock":
        """The block that `to_json` described."""
        return cls(data["encoded"], data["vocab"])

    def _from_row(self, raw: Any) -> frozenset[str]:
        row = np.asarray(raw, dtype=np.float64).reshape(-1)
        if len(row) != self.width or not np.isin(row, (0, 1)).all():
            raise LabelError(f"an encoded row is {self.width} times 0 or 1, one for each class; got {raw!r}")
        return frozenset(self.classes[row == 1])
