"""`Block` and `TargetBlock`: one field of a sample, and for a target everything that must agree about its values.

An input block reads what the getter returned. A target block also owns how a value is encoded and decoded, the
activation, the loss, the metrics, the number of the model's outputs and their names, its columns in a table, its JSON
and its text. Blocks are immutable; `fit` returns a new one with its fitted values as JSON data, so a saved model needs
only the block and the weights.

No code outside of this package checks the class of a block. A layer that needs something per kind (how columns are
read, a section of the report) keeps one table; its key is the `task_type` of the block.

The properties that every target block has are tested in ``tests/laws/test_tasks.py``.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor, nn

from eyebright._choices import Balance, CalibrationKind, HeadObjective
from eyebright._deprecate import FormerAttribute
from eyebright.errors import DataError, InputError
from eyebright.image.warp import Warp
from eyebright.metrics.meter import Metric
from eyebright.tasks.columns import distinct_columns
from eyebright.tasks.task_type import KIND_WORDS, TaskType
from eyebright.types import Points, Size, Thresholds, Vocab

NO_LABEL_CAPTION = "(no label)"
"""The text for an empty set of labels."""

UNKNOWN_SUFFIX = "\0unknown"
"""The suffix of the name of the stratum of images with an unknown label, point or number."""

KNOWN_NO_SUFFIX = "\0no"
"""The suffix of the name of the stratum of images that are known not to have a label, where most are unknown."""


class Block(ABC):
    """One field of a sample."""

    name: ClassVar[str]  # in messages and in a saved model

    @abstractmethod
    def read(self, raw: Any) -> Any:
        """The field's value from the result of the getter.

        Raises:
            InputError: the result of the getter cannot be such a value.
        """


class TargetBlock(Block):
    """A field that the model predicts."""

    task_type: ClassVar[TaskType]
    """The key of this kind in every table with an entry per kind; ratings are classes."""
    also_called: ClassVar[str] = ""
    """The value of the option `kind` for this block, where it is not the one in `KIND_WORDS`; empty: it is."""
    form = FormerAttribute("task_type", lambda block: KIND_WORDS[block.task_type])
    has_thresholds: ClassVar[bool] = False
    """Whether its probabilities become decisions by thresholds that can be tuned."""
    calibrations: ClassVar[tuple[CalibrationKind, ...]] = ("none",)
    """The calibrations that its outputs can have."""
    is_categorical: ClassVar[bool] = False
    """Whether values are labels without an order: a prediction is right or wrong, and never nearly right."""
    has_vocab: ClassVar[bool] = False
    """Whether values are labels of a vocabulary: hashable and few, so that equal ones can be stored once."""
    is_exclusive: ClassVar[bool] = False
    """Whether each image has exactly one label, which is its class."""
    is_geometric: ClassVar[bool] = False
    """Whether a value moves with the pixels of its image."""
    can_abstain: ClassVar[bool] = False
    """Whether the answer for an image is one class, so that a person can be asked below a probability."""
    can_mix: ClassVar[bool] = False
    """Whether the targets of two images can be mixed, as mixup does; see `soft_targets`."""
    needs_whole_image: ClassVar[bool] = False
    """Whether a crop may have another value than the whole image."""
    y_range: ClassVar[tuple[float, float] | None] = None
    """(low, high) range of the outputs of a model's head; None: unbounded."""
    zero_last_layer: ClassVar[bool] = False
    """Whether the weights of a new model's last layer are 0, so that training starts at the middle of the values."""
    head_objective: ClassVar[HeadObjective]
    """The loss that a linear head is fitted with, on `head_targets`."""
    head_pool_size: ClassVar[int] = 1
    """Height and width of the pooled feature maps of a linear head; more than 1 if it must distinguish positions."""
    min_steps: ClassVar[int] = 4
    """Steps of an epoch, at least, when a fitted head is fine-tuned; more than 4 while batches have 8 images."""
    is_checked_early: ClassVar[bool] = False
    """Whether every unique target is read and checked with `check` before training."""

    @property
    def can_calibrate(self) -> bool:
        """Whether its outputs become probabilities that can be calibrated."""
        return len(self.calibrations) > 1

    @property
    def no_flip_reason(self) -> str:
        """Why horizontal flips are off by default: the target of a mirrored image is not known; empty if it is."""
        return ""

    # ------------------------------------------------------------------ between values and tensors

    @abstractmethod
    def fit(self, values: Iterable[Any]) -> "TargetBlock":
        """A copy of the block fitted to the *training* values, for example with its vocabulary.

        It iterates only as far as necessary, since reading a value may open a file.
        """

    @abstractmethod
    def encode(self, value: Any, warp: Warp | None = None) -> Shaped[Tensor, "..."]:
        """The value as a tensor for the loss; NaN (-1 for a class) where it is unknown.

        Args:
            value: the result of `read`.
            warp: the warp from the original image to the model's input; None: the value in the user's own units.

        Raises:
            InputError: the value has the wrong number of points or numbers.
            LabelError: it has a label that the vocabulary lacks.
        """

    def check(self, value: Any) -> None:
        """Raises `LabelError` unless the value can be encoded; overridden if a check is faster than encoding.

        Raises:
            LabelError: the value has a label that the vocabulary lacks.
        """
        self.encode(value)

    def to_user_units(self, rows: Shaped[Tensor, "b ..."], warps: Sequence[Warp]) -> Shaped[Tensor, "b ..."]:
        """Raw outputs or encoded targets in the user's own units; the same tensor for kinds with only one unit.

        Points are in pixels of the original image, and numbers are not standardized.

        Args:
            rows: the model's raw outputs, or targets that `encode` returned with these warps.
            warps: one per row, from the original image to the model's input.
        """
        return rows

    @abstractmethod
    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b ..."]:
        """Probabilities or values from raw outputs. Only `Decision` calls it."""

    @abstractmethod
    def decode(self, activated: Shaped[Tensor, "..."], thresholds: Thresholds | None = None) -> Any:
        """The value of one row of activated outputs or of encoded targets.

        Args:
            activated: one row of activated outputs or of encoded targets, in the user's own units.
            thresholds: the thresholds of the probabilities, if the block uses any; None: 0.5.
        """

    def predicted(self, activated: Float[Tensor, "n k"]) -> Int[Tensor, " n"]:
        """The index of the class that `decode` returns for each row, for targets with one class per image.

        Raises:
            InputError: the target does not have exactly one class per image.
        """
        raise InputError(f"a {type(self).__name__} has no single class per image")

    def abstains(self, activated: Float[Tensor, "n *k"], thresholds: Thresholds) -> Bool[Tensor, "n *k"]:
        """True where the model abstains and a person is to be asked; nowhere unless overridden.

        Args:
            activated: activated outputs.
            thresholds: three-way thresholds; with others the model never abstains.
        """
        return torch.zeros_like(activated, dtype=torch.bool)

    def names_text(self, names: Sequence[str]) -> str:
        """Any number of labels as a cell of a table: joined by ;, or a list of JSON if a label has ; in its name.

        Args:
            names: the labels; without labels the cell is empty.
        """
        if names and any(";" in name for name in self.value_names):
            return json.dumps(list(names), ensure_ascii=False)
        return ";".join(names)

    def abstained_text(self, names: Sequence[str], activated: Float[Tensor, "..."]) -> str:
        """The labels on which the model abstains, as a cell of a table.

        Args:
            names: the labels.
            activated: one row of activated outputs.
        """
        return ", ".join(names)

    # ------------------------------------------------------------------ for the model and its training

    @property
    @abstractmethod
    def n_out(self) -> int:
        """The number of outputs that a model needs.

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
            values: the training values, counted if ``balance`` needs it.
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
        """Encoded targets as a probability for each class, which can be mixed; NaN where unknown.

        By default the unchanged targets. Called only for kinds with ``can_mix``.
        """
        return targets

    def head_targets(self, targets: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, "n ..."]:
        """Encoded targets in the form for fitting a linear head with `head_objective`.

        Indices of classes for "multinomial" (-1 where unknown), otherwise a column for each output (NaN where unknown).
        By default the unchanged targets.
        """
        return targets

    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """The default metrics of this kind; the first is the main one."""

    def check_learnable(self, train: Iterable[Any], valid: Iterable[Any]) -> tuple[str, ...]:
        """The labels, numbers or points that cannot be learnt: the same, or unknown, in all training images.

        Args:
            train: the values to train on; read once.
            valid: the values for validation; read once.

        Raises:
            DataError: there is nothing to learn at all, or nothing to score.
        """
        return ()

    def check_plausible(self, samples: Iterable[tuple[Any, Size]]) -> None:
        """Raises `DataError` if the values of some training images are implausible.

        Args:
            samples: values with the sizes of their images. A size is read from an image header when the iterator
                reaches it, so a block that needs no sizes should not iterate.

        Raises:
            DataError: they are implausible, for example points that look like fractions of the image, not like pixels.
        """

    @abstractmethod
    def training_summary(self, values: Sequence[Any]) -> dict[str, Any]:
        """Counts of the training targets and the best constant predictions, as JSON for the report.

        ``"images"`` is their number. ``"baseline"`` maps the name of each metric of the report to the constant scores
        that the baseline predicts, fitted on the training targets; ``"*"`` is for all other metrics.

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
        """A name for each class, point or number of a value; as `output_names` unless overridden."""
        return self.output_names

    @property
    def has_names(self) -> bool:
        """False if `value_names` only number the points or numbers, which the data did not name."""
        return True

    @property
    def mirrored_names(self) -> dict[str, str]:
        """For each point whose name changes in a mirrored image, its other name; empty for kinds without points."""
        return {}

    def match_names(self, given: tuple[str, ...], count: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(names of the values of other data, those of this block): values of equal names are the same.

        Without the former the order of the values decides.

        Args:
            given: the names in the data; empty without any.
            count: the number of values in the data.
        """
        return given, tuple(self.value_names)

    @property
    def target_names(self) -> tuple[str, ...]:
        """A name for each number of `target_row`; as `output_names` unless overridden."""
        return self.output_names

    def target_row(self, target: Shaped[Tensor, "..."]) -> Float[Tensor, " t"]:
        """An encoded target as numbers, one for each of `target_names`; NaN where it is unknown."""
        return target.reshape(-1).double()

    def target_of_row(self, row: Float[Tensor, " t"]) -> Shaped[Tensor, "..."]:
        """The encoded target from its row in ``evaluation.parquet``; the inverse of `target_row`."""
        return row.float()

    @property
    def classes(self) -> Vocab:
        """The names of the classes.

        Raises:
            DataError: this kind of target has no classes.
        """
        raise DataError("there is no vocabulary: the target is not a category")

    def labels(self, value: Any) -> tuple[str, ...]:
        """The classes of a value, for counts; empty for kinds without classes."""
        return ()

    def strata(self, value: Any) -> tuple[str, ...]:
        """The strata of a value for a split: its labels; kinds with unknown labels add these with `UNKNOWN_SUFFIX`."""
        return self.labels(value)

    @property
    def label_names(self) -> tuple[str, ...]:
        """All classes that `labels` can return; empty for kinds without classes, or before the block is fitted."""
        return ()

    @abstractmethod
    def text(self, value: Any) -> str:
        """The value as text, for captions and tables; empty for no label."""

    def points_of(self, value: Any) -> Points | None:
        """The points of the value, to be drawn on its image; None for kinds without points."""
        return None

    @property
    def table_columns(self) -> tuple[str, ...]:
        """The columns of a table of predictions, besides the path; by default ``labels``, and one for each class."""
        return ("labels", *distinct_columns(self.classes))

    @abstractmethod
    def table_row(self, value: Any, activated: Float[Tensor, "..."]) -> tuple[Any, ...]:
        """A prediction as cells, one for each of `table_columns`."""

    @abstractmethod
    def prediction_json(self, value: Any, activated: Float[Tensor, "..."]) -> dict[str, Any]:
        """A prediction as JSON."""

    @abstractmethod
    def describe(self) -> str:
        """The block on one line: its class, and its classes or outputs."""

    @abstractmethod
    def to_json(self) -> dict[str, Any]:
        """All settings and fitted values; ``type(block).from_json`` restores the block."""

    @classmethod
    @abstractmethod
    def from_json(cls, data: dict[str, Any]) -> "TargetBlock":
        """The block that `to_json` described."""

    @classmethod
    @abstractmethod
    def from_columns(cls, names: Sequence[str], *, mirror: Sequence[int] | None = None) -> "TargetBlock":
        """A block for values that were read from a table.

        Args:
            names: the names of the points or numbers, or of ordered classes from the lowest to the highest; empty:
                fitted.
            mirror: for each point, the index of the point whose name it takes in a mirrored image.
        """
