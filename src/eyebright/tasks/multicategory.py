"""`MultiCategoryBlock`: any number of labels per image, with sigmoid and binary cross-entropy."""

from collections import Counter
from collections.abc import Iterable, Sequence, Set as AbstractSet
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float, Shaped
from torch import Tensor, nn

from eyebright._all_but import AllBut, count_labels
from eyebright._choices import Balance, CalibrationKind, HeadObjective
from eyebright.errors import DataError, InputError, LabelError, count_text, listing
from eyebright.image.warp import Warp
from eyebright.losses import BCEWithLogitsLossFlat, pos_weights
from eyebright.metrics.labels import (
    f1_macro,
    f1_micro,
    f1_samples,
    hamming_loss_metric,
    mean_ap,
    subset_accuracy_metric,
)
from eyebright.metrics.meter import Metric
from eyebright.tasks.base import KNOWN_NO_SUFFIX, UNKNOWN_SUFFIX, TargetBlock
from eyebright.tasks.columns import is_missing
from eyebright.tasks.label_text import check_spellings, fitted_vocab, labels_of, vocab_of
from eyebright.tasks.task_type import TaskType
from eyebright.types import LabelSet, Thresholds, Vocab

_MAX_BASELINE_LABELS = 20  # for the baseline, constant label sets of up to 20 labels are tried, and that of all labels
_BASELINE_IMAGES = 10_000  # the constant label set is chosen on at most twice as many training images


@dataclass(frozen=True, init=False)
class MultiCategoryBlock(TargetBlock):
    """The target field with any number of labels, also none: sigmoid and binary cross-entropy.

    None, NaN, ``''`` and ``[]`` mean *no label*; there is never a class called ''. A `LabelSet` can also mark a label
    as unknown: it is then masked in the loss and in every metric.

    Args:
        encoded: True if the getter returns a row of 0 and 1, one for each class of ``vocab``; NaN for unknown.
        vocab: the classes, in the order of the outputs; None: the sorted labels of the training images.
        add_na: kept for fastai's signature; an image without a label needs no separate class here.
    """

    name: ClassVar[str] = "multicategory"
    task_type: ClassVar[TaskType] = "labels"
    has_thresholds: ClassVar[bool] = True
    calibrations: ClassVar[tuple[CalibrationKind, ...]] = get_args(CalibrationKind)
    is_categorical: ClassVar[bool] = True
    can_mix: ClassVar[bool] = True
    has_vocab: ClassVar[bool] = True
    is_checked_early: ClassVar[bool] = True
    head_objective: ClassVar[HeadObjective] = "binary"
    encoded: bool
    vocab: Vocab | None

    def __init__(self, encoded: bool = False, vocab: Sequence[str] | None = None, *, add_na: bool = False) -> None:  # noqa: FBT001  # fastai's signature
        if encoded and vocab is None:
            raise InputError("MultiCategoryBlock(encoded=True) needs the names of the columns: vocab=[...]")
        if add_na:
            raise InputError("MultiCategoryBlock needs no add_na: an image without a label is a row of zeros")
        object.__setattr__(self, "encoded", encoded)
        object.__setattr__(self, "vocab", None if vocab is None else vocab_of(vocab))

    def read(self, raw: Any) -> LabelSet:
        """The set of labels.

        Raises:
            LabelError: the value is not a list of labels, a row of 0 and 1 without ``encoded``, or a row that does not
                match the vocabulary.
        """
        if isinstance(raw, LabelSet):
            return raw
        if self.encoded:
            return self._label_set_of_row(np.asarray(raw, dtype=np.float64).reshape(-1))
        if is_missing(raw) or (isinstance(raw, str) and not raw.strip()):
            return LabelSet()
        if isinstance(raw, str):
            raise LabelError(
                f"the labels of an image must be a list, but the getter returned the text '{raw}'; split it, for "
                f"example get_y=ColReader('labels', label_delim=' ')"
            )
        return LabelSet(labels_of(raw))

    def fit(self, values: Iterable[LabelSet]) -> "MultiCategoryBlock":
        """The block with all labels of ``values`` as its vocabulary; a given vocabulary is kept.

        Raises:
            LabelError: two labels look the same.
        """
        if self.vocab is not None:
            return self
        names = set(chain.from_iterable(values))
        check_spellings(names)
        return MultiCategoryBlock(vocab=sorted(names))

    def encode(self, value: LabelSet, warp: Warp | None = None) -> Float[Tensor, " k"]:
        """0, 1 or NaN (unknown) for each class, float32."""
        row = torch.zeros(self.n_out)
        for label in value:
            row[self.classes.index_of(label)] = 1.0
        for label in value.unknown:
            if label in self.classes:  # other unknown labels have no output
                row[self.classes.index_of(label)] = torch.nan
        return row

    def check(self, value: LabelSet) -> None:
        """Raises `LabelError` unless every label is in the vocabulary."""
        for label in value:
            self.classes.index_of(label)

    def activate(self, outputs: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
        """The probability of each class (sigmoid)."""
        return outputs.sigmoid()

    def decode(self, activated: Shaped[Tensor, " k"], thresholds: Thresholds | None = None) -> LabelSet:
        """The labels whose probability is above their threshold; those between two thresholds and NaN are unknown."""
        thresholds, known = thresholds or Thresholds(), activated.nan_to_num(0.0)
        given, open_ = thresholds.decide(known), thresholds.abstains(known) | activated.isnan()
        unknown = self.classes[open_] if bool(open_.any()) else ()
        return LabelSet(self.classes[given], unknown=unknown)

    def abstains(self, activated: Float[Tensor, "n k"], thresholds: Thresholds) -> Bool[Tensor, "n k"]:
        """True for the labels between the two thresholds."""
        return thresholds.abstains(activated)

    def abstained_text(self, names: Sequence[str], activated: Float[Tensor, " k"]) -> str:
        """The labels in the same form as in the column of predicted labels."""
        return self.names_text(names)

    @property
    def n_out(self) -> int:
        """One output for each class."""
        return len(self.classes)

    def loss(self) -> nn.Module:
        """Binary cross-entropy, each class on its own."""
        return BCEWithLogitsLossFlat()

    def training_loss(
        self, values: Iterable[LabelSet], *, label_smoothing: float = 0.0, balance: Balance = "none"
    ) -> nn.Module:
        """Binary cross-entropy with smoothed targets and weighted positives (`eyebright.losses.pos_weights`)."""
        if balance == "none":
            return BCEWithLogitsLossFlat(label_smoothing=label_smoothing)
        images, positive, unknown = _counts(values)
        positives = torch.tensor([float(positive[name]) for name in self.classes])
        negatives = images - positives - torch.tensor([float(unknown[name]) for name in self.classes])
        weights = pos_weights(positives, negatives, balance)
        return BCEWithLogitsLossFlat(pos_weight=weights, label_smoothing=label_smoothing)

    def metrics(self) -> tuple[Metric, ...]:
        """Mean average precision, which needs no threshold, then F1 and exact match."""
        return (mean_ap, f1_macro, f1_micro, subset_accuracy_metric)

    def check_learnable(self, train: Iterable[LabelSet], valid: Iterable[LabelSet]) -> tuple[str, ...]:
        """The labels that all or none of the training images have, as far as they are known.

        Raises:
            DataError: these are all labels, or no validation image has a label.
        """
        if not self.n_out:
            raise DataError("no image to train on has a label")
        if len(constant := self._constant_labels(train)) == self.n_out:
            raise DataError(
                f"nothing can be learnt: all or none of the training images have each of the labels "
                f"{listing(constant)}; a label is learnt from images that have it and images that do not have it"
            )
        count, any_label = 0, False
        for value in valid:
            count, any_label = count + 1, any_label or bool(value)
        if not any_label:
            raise DataError(
                f"none of the {count} images for validation has a label, so nothing can be scored; choose others"
            )
        return constant

    def _constant_labels(self, train: Iterable[LabelSet]) -> tuple[str, ...]:
        images, positive, unknown = _counts(train)
        return tuple(name for name in self.classes if positive[name] in (0, images - unknown[name]))

    def training_summary(self, values: Sequence[LabelSet]) -> dict[str, Any]:
        """The number of images of each label; baselines: the label frequencies, and the best constant label set."""
        _, counts, unknown = _counts(values)
        each = [counts[name] for name in self.classes]
        known = [max(len(values) - unknown[name], 1) for name in self.classes]
        step = len(values) // _BASELINE_IMAGES + 1
        sample = torch.stack([self.encode(values[i]) for i in range(0, len(values), step)])
        constant = {
            metric.name: _best_constant(metric, sample)
            for metric in (f1_macro, f1_micro, f1_samples, subset_accuracy_metric, hamming_loss_metric)
        }
        frequencies = [count / all_known for count, all_known in zip(each, known, strict=True)]
        return {"images": len(values), "counts": each, "baseline": {mean_ap.name: frequencies, **constant}}

    @property
    def output_names(self) -> tuple[str, ...]:
        """The classes."""
        return tuple(self.classes)

    @property
    def classes(self) -> Vocab:
        """The names of the model's outputs."""
        return fitted_vocab(self.vocab, "MultiCategoryBlock")

    def labels(self, value: LabelSet) -> tuple[str, ...]:
        """The labels, sorted."""
        return tuple(sorted(value))

    def strata(self, value: LabelSet) -> tuple[str, ...]:
        """The labels and the unknown labels; if most are unknown, the known ones instead, which is equivalent."""
        unknown = value.unknown
        if not unknown:
            return tuple(value)
        if isinstance(unknown, AllBut):
            return (*value, *(f"{name}{KNOWN_NO_SUFFIX}" for name in unknown.known if name not in value))
        return (*value, *(f"{name}{UNKNOWN_SUFFIX}" for name in unknown))

    @property
    def label_names(self) -> tuple[str, ...]:
        """The classes; empty before the block is fitted."""
        return tuple(self.vocab or ())

    def text(self, value: LabelSet) -> str:
        """The labels in the order of the vocabulary, joined as in fastai."""
        known = [label for label in self.vocab or () if label in value]
        return ";".join(known + sorted(set(value) - set(known)))

    def table_row(self, value: LabelSet, activated: Float[Tensor, " k"]) -> tuple[Any, ...]:
        """The labels as text, and the probability of each; the text is a list of JSON if a class has ; in its name."""
        return (self.names_text([name for name in self.classes if name in value]), *activated.tolist())

    def prediction_json(self, value: LabelSet, activated: Float[Tensor, " k"]) -> dict[str, Any]:
        """``{"labels": [...], "probabilities": {label: probability}}``."""
        given = [label for label in self.classes if label in value]
        return {"labels": given, "probabilities": dict(zip(self.classes, activated.tolist(), strict=True))}

    def describe(self) -> str:
        """The block and its classes on one line."""
        if self.vocab is None:
            return "MultiCategoryBlock, not fitted yet"
        return f"MultiCategoryBlock with {count_text(len(self.vocab), 'class', 'classes')}: {listing(self.vocab)}"

    def to_json(self) -> dict[str, Any]:
        """The vocabulary and the form of the targets."""
        return {"encoded": self.encoded, "vocab": None if self.vocab is None else list(self.vocab)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "MultiCategoryBlock":
        """The block that `to_json` described."""
        return cls(data["encoded"], data["vocab"])

    @classmethod
    def from_columns(cls, names: Sequence[str], *, mirror: Sequence[int] | None = None) -> "MultiCategoryBlock":
        """A block whose vocabulary is fitted."""
        return cls()

    def _label_set_of_row(self, row: np.ndarray[Any, np.dtype[np.float64]]) -> LabelSet:
        if len(row) != self.n_out or not (np.isin(row, (0, 1)) | np.isnan(row)).all():
            raise LabelError(
                f"an encoded row is {self.n_out} times 0, 1 or NaN (unknown), one for each class; got {row.tolist()}"
            )
        return LabelSet(self.classes[row == 1], unknown=self.classes[np.isnan(row)])


def _counts(values: Iterable[LabelSet]) -> tuple[int, Counter[str], Counter[str]]:
    """(number of images, images with each label, images where each label is unknown)."""
    positive: Counter[str] = Counter()
    unknown: list[AbstractSet[str]] = []
    for value in values:
        positive.update(value)
        unknown.append(value.unknown)
    return len(unknown), positive, count_labels(unknown)


def _best_constant(metric: Metric, targets: Float[Tensor, "n k"]) -> list[float]:
    """The label set, 0 or 1 for each class, that scores best as the prediction for every image."""
    sets = _nested_sets(targets)
    scored = [metric(labels.expand(targets.shape), targets) for labels in sets]
    best = max(range(len(sets)), key=lambda i: scored[i] if metric.higher_is_better else -scored[i])
    return sets[best].float().tolist()


def _nested_sets(targets: Float[Tensor, "n k"]) -> list[Bool[Tensor, " k"]]:
    """No label, the most frequent one, the two most frequent ones, ... and all."""
    order = targets.nansum(dim=0).argsort(descending=True, stable=True)
    sizes = [*range(min(len(order), _MAX_BASELINE_LABELS) + 1), len(order)]
    rank = torch.empty_like(order)
    rank[order] = torch.arange(len(order))
    return [rank < size for size in dict.fromkeys(sizes)]
