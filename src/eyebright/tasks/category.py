"""`CategoryBlock`: one label per image, with softmax and cross-entropy."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright._choices import Balance, HeadObjective
from eyebright.errors import LabelError
from eyebright.losses import CrossEntropyLossFlat, class_weights
from eyebright.metrics.labels import accuracy_metric, error_rate_metric
from eyebright.metrics.meter import Metric
from eyebright.tasks.label_text import check_spellings, label_text, vocab_of
from eyebright.tasks.one_class import OneClassBlock, single_class
from eyebright.types import Thresholds, Vocab

MISSING = "#na#"


@dataclass(frozen=True, init=False)
class CategoryBlock(OneClassBlock):
    """The target field with exactly one label: softmax and cross-entropy.

    Args:
        vocab: the classes, in the order of the outputs; None: the sorted labels of the training images.
        sort: False keeps the order of first appearance.
        add_na: True adds the class ``#na#`` for images without a label; without it they are an error.
    """

    name: ClassVar[str] = "category"
    is_categorical: ClassVar[bool] = True
    head_objective: ClassVar[HeadObjective] = "multinomial"
    vocab: Vocab | None
    sort: bool
    add_na: bool

    def __init__(self, vocab: Sequence[str] | None = None, *, sort: bool = True, add_na: bool = False) -> None:
        vocab = None if vocab is None else vocab_of(vocab)
        if add_na and vocab is not None and MISSING not in vocab:
            vocab = vocab_of([MISSING, *vocab])
        object.__setattr__(self, "vocab", vocab)
        object.__setattr__(self, "sort", sort)
        object.__setattr__(self, "add_na", add_na)

    def read(self, raw: Any) -> str:
        """The label as text.

        Raises:
            LabelError: there is no label, there are several, or it is not a label, such as bytes.
        """
        raw = single_class(raw, "CategoryBlock", otherwise="; for any number of labels use MultiCategoryBlock")
        if text := label_text(raw):
            return text
        if self.add_na:
            return MISSING
        raise LabelError(
            "an image has no label, but a CategoryBlock needs one; leave the image out, or give add_na=True"
        )

    def fit(self, values: Iterable[str]) -> "CategoryBlock":
        """The block with the labels of ``values`` as its vocabulary; a given vocabulary is kept.

        Raises:
            LabelError: two labels look the same.
        """
        if self.vocab is not None:
            return self
        seen = dict.fromkeys(values)
        check_spellings(seen)
        names = sorted(seen) if self.sort else list(seen)
        if self.add_na:
            names = [MISSING, *(name for name in names if name != MISSING)]
        return CategoryBlock(names, sort=self.sort, add_na=self.add_na)

    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """Probabilities that sum to one (softmax)."""
        return outputs.softmax(dim=-1)

    def decode(self, activated: Shaped[Tensor, "..."], thresholds: Thresholds | None = None) -> str:
        """The most probable label, or the one with that index."""
        index = activated if activated.ndim == 0 else activated.argmax(dim=-1)
        return self.classes[int(index)]

    @property
    def n_out(self) -> int:
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
        images = torch.tensor(self.class_counts(values), dtype=torch.float32)
        return CrossEntropyLossFlat(class_weights(images, balance), label_smoothing=label_smoothing)

    def metrics(self) -> tuple[Metric, ...]:
        """Accuracy and error rate."""
        return (accuracy_metric, error_rate_metric)

    def training_summary(self, values: Sequence[str]) -> dict[str, Any]:
        """The number of images of each class; the baseline always predicts the most frequent one."""
        each = self.class_counts(values)
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

    def to_json(self) -> dict[str, Any]:
        """The vocabulary and its options."""
        return {"vocab": None if self.vocab is None else list(self.vocab), "sort": self.sort, "add_na": self.add_na}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "CategoryBlock":
        """The block that `to_json` described."""
        block = cls(data["vocab"], sort=data["sort"])
        object.__setattr__(block, "add_na", data["add_na"])  # a saved vocabulary is complete
        return block

    @classmethod
    def from_columns(cls, names: Sequence[str], *, mirror: Sequence[int] | None = None) -> "CategoryBlock":
        """A block that takes its vocabulary from the training images; the arguments are not needed."""
        return cls()
