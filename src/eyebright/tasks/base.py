"""The contract of every block: one field of a sample, and for a target everything that must agree about its answers.

An input block reads what the getter gave. A target block also owns how an answer is read, encoded and decoded, the
activation, the loss, the metrics, the width of the model's head, the names of its outputs, its columns in a table, its
JSON and its words. Blocks are immutable; `fit` returns a new one, and what was fitted is data (JSON), so a saved model
needs the block and the weights and nothing else.

No code outside of this package asks which class a block is. A layer that must have something per kind (the columns that
it is read from, its section of the report) keeps one table, and a block names its entry: `columns`, `section`.

The laws that every target block keeps are tested in ``tests/laws/test_tasks.py``.
"""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal

import pandas as pd
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright._choices import Balance
from eyebright.errors import DataError, InputError
from eyebright.image.warp import Warp
from eyebright.metrics.meter import Metric
from eyebright.types import Points, Size, Thresholds, Vocab

NO_LABEL = "(no label)"
"""The words for an empty set of labels."""

Columns = Literal["labels", "class", "points", "numbers"]
"""What a table's columns say of each image: any number of labels, one class, coordinates, or numbers."""

SectionName = Literal["labels", "classes", "points", "numbers"]
"""The sections that a report has for the kinds of answers."""


class Block(ABC):
    """One field of a sample."""

    name: ClassVar[str]  # in messages and in a saved model

    @abstractmethod
    def read(self, raw: Any) -> Any:
        """The field's value, from whatever the getter gave.

        Raises:
            InputError: the getter gave something that this field cannot be.
        """


class TargetBlock(Block):
    """A field that the model predicts."""

    columns: ClassVar[Columns]
    """How a table's columns are read as this kind; users ask by this word for the first kind that is read so."""
    also_called: ClassVar[str] = ""
    """Another name by which users ask for this kind."""
    section: ClassVar[SectionName]
    """The section of the report that shows this kind."""
    has_thresholds: ClassVar[bool] = False
    """Whether its probabilities become decisions by thresholds that can be tuned."""
    is_exact: ClassVar[bool] = False
    """Whether an answer is right or wrong, not near or far."""
    values_repeat: ClassVar[bool] = False
    """Whether equal values may share one object: they are immutable, hashable, and few."""
    is_geometric: ClassVar[bool] = False
    """Whether a value moves with the pixels of its image."""
    can_mix: ClassVar[bool] = False
    """Whether the targets of two images can be mixed, as mixup does; see `soft_targets`."""
    needs_whole_image: ClassVar[bool] = False
    """Whether a value may depend on all of its image, so that a crop may have another one."""
    y_range: ClassVar[tuple[float, float] | None] = None
    """The range of the outputs of a head that is made for the block; None: any number."""
    is_checked_early: ClassVar[bool] = False
    """Whether each different target is checked before training; reading all of them is then worth it."""

    @property
    def flip_hazard(self) -> str:
        """Why the value of a mirrored image may not be known; empty where it is."""
        return ""

    # ------------------------------------------------------------------ between values and tensors

    @abstractmethod
    def fit(self, values: Iterable[Any]) -> "TargetBlock":
        """The block, fitted to the *training* values, for example with its vocabulary.

        It reads only as many values as it needs, since reading one may cost a file.
        """

    @abstractmethod
    def encode(self, value: Any, warp: Warp | None = None) -> Shaped[Tensor, "..."]:
        """The value as the loss wants it; NaN (or -1 for a class) where it is unknown.

        Args:
            value: what `read` gave.
            warp: from the user's image to what the network sees; None: the value in the user's own units.
        """

    def check(self, value: Any) -> None:
        """Nothing, where the value can be encoded; overridden where that can be told more quickly than by encoding.

        Raises:
            LabelError: the value has a label that the vocabulary lacks.
        """
        self.encode(value)

    def own_units(self, rows: Shaped[Tensor, "b ..."], warps: Sequence[Warp]) -> Shaped[Tensor, "b ..."]:
        """Outputs, or encoded targets, in the user's own units: points in the pixels of the user's own image.

        Args:
            rows: a model's raw outputs, or what `encode` gave with these warps.
            warps: from the user's image to what the network saw, one a row.
        """
        return rows

    @abstractmethod
    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b ..."]:
        """The scores that raw outputs stand for: probabilities, or values. Only `Decision` calls it."""

    @abstractmethod
    def decode(self, scores: Shaped[Tensor, "..."], thresholds: Thresholds | None = None) -> Any:
        """The value that one row of scores, or of encoded targets, stands for.

        Args:
            scores: one row of what `activate` gives, or of encoded targets, in the user's own units.
            thresholds: from probabilities to decisions, where the block has some; None: 0.5.
        """

    # ------------------------------------------------------------------ what a model and a training need

    @property
    @abstractmethod
    def width(self) -> int:
        """How many outputs the model needs.

        Raises:
            InputError: the block is not fitted.
        """

    @abstractmethod
    def loss(self) -> nn.Module:
        """The default loss, of the model's raw outputs and encoded targets."""

    def training_loss(
        self, values: Iterable[Any], *, label_smoothing: float = 0.0, balance: Balance = "none"
    ) -> nn.Module:
        """The loss of training with these options; validation uses `loss`.

        Args:
            values: the training values, counted where ``balance`` asks for it.
            label_smoothing: the share of each target that is spread evenly over the classes, or over yes and no.
            balance: how rare classes are weighted, see `eyebright.losses`.

        Raises:
            InputError: an option that this kind of target does not have.
        """
        if label_smoothing or balance != "none":
            raise InputError(
                "`label_smoothing` and `balance` are for labels and classes, and the target is a"
                f" {type(self).__name__}: leave them out"
            )
        return self.loss()

    def soft_targets(self, targets: Shaped[Tensor, "b ..."]) -> Float[Tensor, "b k"]:
        """Encoded targets as a share of each class, which the loss takes and which can be mixed; NaN where unknown.

        As they are, unless overridden; only kinds with ``can_mix`` are asked.
        """
        return targets

    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """The scores that a person wants to see for this kind of answer; the first one leads."""

    def check_learnable(self, train: Iterable[Any], valid: Iterable[Any]) -> None:
        """Nothing, where these values can be learnt and scored.

        Args:
            train: the values to train on.
            valid: the values to validate on.

        Raises:
            DataError: there is nothing to learn, or nothing to score.
        """

    def check_plausible(self, samples: Iterable[tuple[Any, Size]]) -> None:
        """Nothing, where the values of some training images can be what they are taken for.

        Args:
            samples: values, and the sizes of their images. Asking for them reads a header of an image for each, so a
                block that does not look at sizes leaves them alone.

        Raises:
            DataError: they can hardly be, such as points that are fractions of the image and not pixels.
        """

    @abstractmethod
    def training_summary(self, values: Sequence[Any]) -> dict[str, Any]:
        """What the report needs to know of the training targets, as JSON: counts, and the best constant answers.

        ``"images"`` is how many there are; ``"baseline"`` holds for each metric of the report, by name, the scores that
        ignore the image and do best on the training targets (under ``"*"`` for all metrics that are not named).

        Args:
            values: the values to train on.
        """

    # ------------------------------------------------------------------ names, words and files

    @property
    @abstractmethod
    def output_names(self) -> tuple[str, ...]:
        """A name for each output of the model.

        Raises:
            InputError: the block is not fitted.
        """

    @property
    def value_names(self) -> tuple[str, ...]:
        """A name for each class, point or number of an answer; as `output_names` unless overridden."""
        return self.output_names

    @property
    def target_names(self) -> tuple[str, ...]:
        """A name for each number of `target_row`; as `output_names` unless overridden."""
        return self.output_names

    def target_row(self, target: Shaped[Tensor, "..."]) -> Float[Tensor, " t"]:
        """An encoded target as numbers, one for each of `target_names`; NaN where it is unknown."""
        return target.reshape(-1).double()

    def target_of_row(self, row: Float[Tensor, " t"]) -> Shaped[Tensor, "..."]:
        """The encoded target that `target_row` wrote."""
        return row.float()

    @property
    def classes(self) -> Vocab:
        """The names of the classes.

        Raises:
            DataError: this kind of target has none.
        """
        raise DataError("there is no vocabulary: the target is not a category")

    def labels(self, value: Any) -> tuple[str, ...]:
        """The classes that a value names, to be counted and to be spread evenly by a split; none for other kinds."""
        return ()

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes that `labels` can name; none for other kinds, or before the block is fitted."""
        return ()

    @abstractmethod
    def words(self, value: Any) -> str:
        """The value as a caption."""

    def marks(self, value: Any) -> Points | None:
        """The points to draw on the image, where the value has some."""
        return None

    @property
    @abstractmethod
    def table_columns(self) -> tuple[str, ...]:
        """The columns of a table of predictions, besides the path."""

    @abstractmethod
    def table_row(self, value: Any, scores: Float[Tensor, "..."]) -> tuple[Any, ...]:
        """A prediction as cells, one for each of `table_columns`."""

    @abstractmethod
    def answer_json(self, value: Any, scores: Float[Tensor, "..."]) -> dict[str, Any]:
        """A prediction as JSON."""

    @abstractmethod
    def describe(self) -> str:
        """The block on one line: its class, and its classes or outputs."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """Everything that was set or fitted; ``type(block).from_json`` brings it back."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: dict[str, Any]) -> "TargetBlock":
        """The block that `to_json` described."""

    @classmethod
    @abstractmethod
    def from_columns(cls, names: Sequence[str], *, mirror: Sequence[int] | None = None) -> "TargetBlock":
        """A block for what was read from a table.

        Args:
            names: of the points or numbers, or of ordered classes from the lowest to the highest; empty: as fitted.
            mirror: for each point the index of the one whose name it takes in a mirrored image.
        """


def as_block(given: Any) -> Block:
    """The block that was meant: blocks are given as ``ImageBlock`` or as ``ImageBlock()``.

    Raises:
        DataError: it is neither.
    """
    made = given() if inspect.isclass(given) else given
    if not isinstance(made, Block):
        raise DataError(f"blocks are ImageBlock, CategoryBlock, MultiCategoryBlock, ... ; got {given!r}")
    return made


def as_input_and_target(blocks: Sequence[Any]) -> tuple[Block, TargetBlock]:
    """The blocks of a `DataBlock`, as instances.

    Args:
        blocks: classes or instances, as `as_block` takes them.

    Raises:
        DataError: they are not an input block and a target block.
    """
    instances = [as_block(block) for block in blocks]
    match instances:
        case [image, TargetBlock() as target] if not isinstance(image, TargetBlock):
            return image, target
        case _:
            raise DataError(
                "`blocks` must be an input and a target, for example (ImageBlock, MultiCategoryBlock); "
                f"got {tuple(type(block).__name__ for block in instances)}"
            )


def fitted_vocab(vocab: Vocab | None, block: str) -> Vocab:
    """The vocabulary.

    Raises:
        InputError: the block is not fitted.
    """
    if vocab is None:
        raise InputError(
            f"this {block} has no vocabulary yet; it is fitted by DataBlock.datasets, or given as vocab=[...]"
        )
    return vocab


def is_missing(raw: Any) -> bool:
    """True for None, NaN of any width, pandas' NA and NaT: an empty cell of a table."""
    if isinstance(raw, str):  # the usual case, and pandas takes longer
        return False
    return bool(pd.api.types.is_scalar(raw) and pd.isna(raw))
