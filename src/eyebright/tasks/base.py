"""The contract that every block keeps.

A block is one field of a sample. An input block reads what the getter gave. A target block also owns everything
that must agree about an answer: how it is read, encoded and decoded, the activation, the loss, the metrics, the
width of the model's head, and how it is worded. Blocks are immutable; `fit` returns a new one, and what was fitted
is data (JSON), so a saved model needs the block and the weights and nothing else.

The laws that every target block keeps are tested in ``tests/laws/test_blocks.py``.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar

import pandas as pd
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright.errors import DataError, EyebrightError, InputError, listing
from eyebright.image.warp import Warp
from eyebright.metrics.meter import Metric
from eyebright.types import Points, Thresholds, Vocab

NO_LABEL = "(no label)"
"""The words for an empty set of labels."""


class Block(ABC):
    """One field of a sample."""

    name: ClassVar[str]  # as it stands in messages and in a saved model

    @abstractmethod
    def read(self, raw: Any) -> Any:
        """The field's value, from whatever the getter gave.

        Raises:
            InputError: the getter gave something that this field cannot be.
        """


class TargetBlock(Block):
    """A field that the model predicts."""

    # ------------------------------------------------------------------ between people and tensors

    @abstractmethod
    def fit(self, values: Iterable[Any]) -> "TargetBlock":
        """A block that has learnt what it must from the *training* values, for example its vocabulary.

        It reads only as many values as it needs, since reading one may cost a file.
        """

    @abstractmethod
    def encode(self, value: Any, warp: Warp | None = None) -> Shaped[Tensor, "..."]:
        """The value as the loss wants it.

        Args:
            value: what `read` gave.
            warp: the warp through which the network sees the image; None: the user's own image, unwarped.
        """

    def check(self, value: Any) -> None:
        """Nothing, where the value can be encoded; a block that can tell more quickly than by encoding says so here.

        Raises:
            LabelError: the value has a label that the vocabulary lacks.
        """
        self.encode(value)

    @abstractmethod
    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b ..."]:
        """What the model's outputs mean: probabilities, or values."""

    @abstractmethod
    def decode(
        self, answer: Shaped[Tensor, "..."], *, thresholds: Thresholds | None = None, warp: Warp | None = None
    ) -> Any:
        """What a person would write, from one activated (or encoded) row.

        Args:
            answer: one row of what `activate` gives, or what `encode` gave.
            thresholds: from probabilities to decisions, where that applies; None: 0.5.
            warp: the warp that `encode` was given; the answer comes back in the user's own pixels.
        """

    # ------------------------------------------------------------------ what a model and a training need

    @property
    @abstractmethod
    def width(self) -> int:
        """How many outputs the model needs."""

    @abstractmethod
    def loss(self) -> nn.Module:
        """The default loss, of the model's raw outputs and encoded targets."""

    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """The scores that a person would want to see for this kind of answer; the first one leads."""

    # ------------------------------------------------------------------ words and files

    @abstractmethod
    def words(self, value: Any) -> str:
        """The value as a caption."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything that was set or fitted; ``type(block).from_json`` brings it back."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: dict[str, Any]) -> "TargetBlock":
        """The block that `to_json` described."""

    def marks(self, value: Any) -> Points | None:
        """The points to draw on the image, where the value has some."""
        return None

    @property
    def classes(self) -> Vocab | None:
        """The names of the model's outputs, where they have names."""
        return None


def as_block(given: Any) -> Block:
    """The block that was meant: blocks are given as ``ImageBlock`` or as ``ImageBlock()``.

    Raises:
        DataError: it is neither.
    """
    made = given() if inspect.isclass(given) else given
    if not isinstance(made, Block):
        raise DataError(f"blocks are ImageBlock, CategoryBlock, MultiCategoryBlock, ... ; got {given!r}")
    return made


def fitted_vocab(vocab: Vocab | None, block: str) -> Vocab:
    """The vocabulary, or an error that says that the block has not seen any data."""
    if vocab is None:
        raise InputError(
            f"this {block} has no vocabulary yet; it is fitted by DataBlock.datasets, or given as vocab=[...]"
        )
    return vocab


def is_missing(raw: Any) -> bool:
    """True for None, NaN of any width, pandas' NA and NaT: how a table says that nothing stands there."""
    if isinstance(raw, str):  # nearly always, and pandas asks for longer
        return False
    return bool(pd.api.types.is_scalar(raw) and pd.isna(raw))


def target_text(target: TargetBlock | None) -> str:
    """A target block and its classes on one line."""
    if target is None:
        return "no target"
    try:
        names = target.classes
        outputs = f"{target.width} outputs" if names is None else f"{len(names)} classes: {listing(names)}"
    except EyebrightError:
        return f"{type(target).__name__}, not fitted yet"
    return f"{type(target).__name__} with {outputs}"
