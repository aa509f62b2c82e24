"""Basic values (sizes, points, label sets, vocabularies, thresholds, ...) and the coordinate convention.

Coordinates are continuous pixels: (0, 0) is the top-left *corner* of the image, the centre of the first
pixel is (0.5, 0.5), the bottom-right corner is (width, height). Points are (x, y); sizes are (height, width).
"""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, NamedTuple, final, overload

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eyebright import _html as html
from eyebright._all_but import AllBut
from eyebright.errors import InputError, LabelError, did_you_mean, listing

Say = Callable[[str], None]
"""Called with each sentence for the user about what was done and found."""


class Size(NamedTuple):
    """The size of an image in pixels, always (height, width)."""

    height: int
    width: int

    @staticmethod
    def of(value: "int | Sequence[int] | Size") -> "Size":
        """A size from one number (square) or from (height, width).

        Raises:
            InputError: ``value`` is neither, or smaller than one pixel.
        """
        if _is_whole(value):
            size = Size(int(value), int(value))  # type: ignore[arg-type]
        elif isinstance(value, Sequence) and len(value) == 2 and all(map(_is_whole, value)):
            size = Size(int(value[0]), int(value[1]))
        else:
            raise InputError(f"a size must be one number or (height, width), got {value!r}")
        if min(size) < 1:
            raise InputError(f"a size needs at least 1 x 1 pixel, got {size}")
        return size

    def __str__(self) -> str:
        return f"{self.height}x{self.width}"


MAX_SIDE = 8192
"""How many pixels a side of a model's input may have."""


def check_side(size: Size) -> None:
    """Raises `InputError` for an image size that no model's input can have.

    Raises:
        InputError: a side is longer than `MAX_SIDE`.
    """
    if max(size) > MAX_SIDE:
        raise InputError(f"a side of a model's input has at most {MAX_SIDE:,} pixels, got {max(size):.6g}")


def _is_whole(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True, eq=False)
class Points:
    """Points on one image.

    Args:
        xy: shape (n, 2), (x, y) in continuous pixels.
        known: shape (n,); False for a point that is unknown or outside of the image; its ``xy`` has no meaning.
    """

    xy: Float[Tensor, "n 2"]
    known: Bool[Tensor, " n"]

    @staticmethod
    def of(value: Any) -> "Points":
        """Points from an array of shape (n, 2), or (2,) for one point; a row that is None or not finite is unknown.

        Raises:
            InputError: the value is not numbers of such a shape.
        """
        if isinstance(value, Points):
            return value
        xy = torch.as_tensor(value if isinstance(value, Tensor) else _coordinates(value))
        xy = xy.to(torch.float64)
        if xy.ndim == 1 and xy.shape[0] == 2:
            xy = xy[None]
        if xy.ndim != 2 or xy.shape[1] != 2:
            raise InputError(f"points must have the shape (n, 2), one (x, y) per row; got {tuple(xy.shape)}")
        return Points(xy, torch.isfinite(xy).all(dim=1))

    def __len__(self) -> int:
        return len(self.xy)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Points) or len(self) != len(other):
            return False
        same = bool((self.known == other.known).all())
        return same and bool((self.xy[self.known] == other.xy[other.known]).all())

    __hash__ = None  # type: ignore[assignment]  # holds tensors

    def __str__(self) -> str:
        """``[(x, y), ...]``, rounded to a tenth of a pixel."""
        return str([tuple(round(value, 1) for value in xy) for xy in self.xy.tolist()])


def _coordinates(value: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Points given as lists, as an array; None stands for an unknown point."""
    if isinstance(value, (list, tuple)):
        value = [(math.nan, math.nan) if xy is None else xy for xy in value]
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(f"points must be pairs of numbers (x, y), got {str(value)[:200]}") from None


_NO_NAMES = frozenset[str]()
_LISTS = frozenset([list, tuple, set, frozenset])
_FEW_UNKNOWN = 64  # labels; more of them are not gone through for a hash


@final
class LabelSet(AbstractSet[str]):
    """The labels of one image, and the labels that it may have, which are unknown; immutable and hashable.

    As a set it holds the labels that the image has. It equals any set of the same labels if nothing is unknown.

    >>> labels = LabelSet(["cat"], unknown=["dog"])
    >>> "cat" in labels, "dog" in labels, sorted(labels.unknown)
    (True, False, ['dog'])
    >>> LabelSet(["cat"]) == {"cat"}
    True

    Args:
        labels: those that the image has.
        unknown: labels that the image may or may not have; they are masked in losses and metrics. A large `AllBut`
            is kept as it is.

    Raises:
        LabelError: a label is in both, or the labels are one text.
    """

    __slots__ = ("_labels", "_unknown")

    def __init__(self, labels: Iterable[str] = (), *, unknown: Iterable[str] = ()) -> None:
        _check_several(labels)
        self._labels = frozenset(labels)
        if isinstance(unknown, tuple) and not unknown:  # most images of most label files
            self._unknown: AbstractSet[str] = _NO_NAMES
            return
        _check_several(unknown)
        is_large = isinstance(unknown, AllBut) and len(unknown) > _FEW_UNKNOWN
        self._unknown = unknown if is_large else frozenset(unknown)  # pyright: ignore[reportAttributeAccessIssue]
        if both := self._labels & self._unknown:
            raise LabelError(f"{listing(sorted(both))} cannot be both a label of the image and unknown")

    @property
    def unknown(self) -> AbstractSet[str]:
        """The labels that the image may or may not have."""
        return self._unknown

    def __contains__(self, label: object) -> bool:
        return label in self._labels

    def __iter__(self) -> Iterator[str]:
        return iter(self._labels)

    def __len__(self) -> int:
        return len(self._labels)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LabelSet):
            return self._labels == other._labels and self._unknown == other._unknown
        return isinstance(other, AbstractSet) and not self._unknown and self._labels == other

    def __hash__(self) -> int:
        if not self._unknown:
            return hash(self._labels)
        return hash((self._labels, len(self._unknown) if len(self._unknown) > _FEW_UNKNOWN else self._unknown))

    def __str__(self) -> str:
        """The labels as a list, sorted."""
        return str(sorted(self._labels))

    def __repr__(self) -> str:
        unknown = f", unknown={sorted(self.unknown)}" if self.unknown else ""
        return f"LabelSet({sorted(self._labels)}{unknown})"


def _check_several(labels: Iterable[str]) -> None:
    """Raises `LabelError` for a string, bytes or a mapping."""
    if type(labels) in _LISTS:  # a million label sets are made in a second
        return
    if isinstance(labels, (bytes, Mapping)) or (isinstance(labels, str) and len(labels) > 1):
        raise LabelError(f"a LabelSet takes a list of labels, got {labels!r}; put a single label in a list")


def refuse_nan(values: Float[Tensor, "..."], name: str) -> None:
    """Raises `InputError` if a value is NaN: a comparison with NaN is False, which would be a decision.

    Args:
        values: predicted probabilities or values.
        name: what they are called in the message.
    """
    if values.is_floating_point() and bool((wrong := values.isnan()).any()):
        count = f"{int(wrong.sum()):,} of {values.numel():,}"
        raise InputError(
            f"{count} {name} are NaN, so there is no prediction; the outputs of the model are NaN or infinite"
        )


MAX_LABEL_LENGTH = 1000
"""Characters of the longest label: what is longer is running text, and would fill tables, charts and messages."""


def long_label(label: str) -> str:
    """The message for a label with more than `MAX_LABEL_LENGTH` characters."""
    shown = f"'{label[:60]}...'"
    return (
        f"a label has {len(label):,} characters, at most {MAX_LABEL_LENGTH:,} can be used: {shown}; is it running text?"
    )


def ordered_names(names: Iterable[Any]) -> tuple[Any, ...]:
    """The names as a tuple.

    Raises:
        LabelError: they have no order, as in a set, or they are one text.
    """
    if isinstance(names, (set, frozenset, LabelSet)):
        raise LabelError(
            f"a set has no order, and names are in the order of the model's outputs; give a list, sorted({names!r})"
        )
    if isinstance(names, (str, bytes, Mapping)):
        raise LabelError(f"names must be given as a list, got {type(names).__name__}: {names!r}")
    return tuple(names)


# Characters without an appearance of their own: controls, soft hyphens, spaces without width, fillers, selectors of a
# character's form (as text or emoji), and the marks, embeddings and isolates of text from right to left. Joiners
# (U+200C, U+200D) and tags, as in flags, change how text looks.
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f"
    "\u202a-\u202e\u2060-\u2064\u2066-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0100-\U000e01ef]"
)


def plain_spelling(label: str) -> str:
    """The label in Unicode's composed form (NFC), without invisible characters and with single spaces.

    >>> plain_spelling("cafe\u0301  noir\u200b") == "caf\u00e9 noir"
    True
    """
    return " ".join(unicodedata.normalize("NFC", _INVISIBLE.sub("", label)).split())


class Vocab(Sequence[str]):
    """The names of the classes in the order of the model's outputs; immutable.

    It can be indexed by an integer, a slice, or a list, array or tensor of integers or booleans.

    >>> Vocab(["bus", "car", "cat"])[torch.tensor([2, 0])]
    ['cat', 'bus']

    Raises:
        LabelError: the names have no order, or one is repeated or has more than `MAX_LABEL_LENGTH` characters.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = tuple(str(name) for name in ordered_names(names))
        if long := next((name for name in self._names if len(name) > MAX_LABEL_LENGTH), None):
            raise LabelError(long_label(long))
        self._index = {name: i for i, name in enumerate(self._names)}
        if len(self._index) != len(self._names):
            twice = sorted(name for name, count in Counter(self._names).items() if count > 1)
            raise LabelError(f"a vocabulary needs unique names; repeated: {listing(twice)}")

    @overload
    def __getitem__(self, key: int) -> str: ...
    @overload
    def __getitem__(self, key: Any) -> Any: ...
    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, slice):
            return list(self._names[key])
        array = np.asarray(key.cpu() if isinstance(key, Tensor) else key)
        if array.size and array.dtype.kind not in "iub":
            raise InputError(f"a vocabulary must be indexed by integers or by a mask, got {key!r}")
        if array.ndim == 0:
            return self._names[int(array)]
        if array.dtype == np.bool_:
            array = array.nonzero()[0]
        return [self._names[int(i)] for i in array.reshape(-1)]

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __contains__(self, name: object) -> bool:
        return name in self._index

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Vocab):
            return self._names == other._names
        return isinstance(other, (list, tuple)) and self._names == tuple(other)

    def __hash__(self) -> int:
        return hash(self._names)

    def __repr__(self) -> str:
        return f"(#{len(self)}) {list(self._names)}"

    def index_of(self, name: object) -> int:
        """The index of ``name`` in the model's outputs.

        Raises:
            LabelError: there is no such name; the message names the nearest one.
        """
        try:
            return self._index[name]  # type: ignore[index]
        except KeyError:
            same = [ascii(known) for known in self if plain_spelling(known) == plain_spelling(str(name))]
            hint = f" It looks the same as {same[0]}, but is {name!a}." if same else did_you_mean(str(name), self)
            raise LabelError(f"unknown label '{name}'.{hint} Known: {listing(self)}") from None

    @property
    def o2i(self) -> Mapping[str, int]:
        """The index of each name; fastai's name for it."""
        return dict(self._index)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Thresholds of probabilities: one for all classes, or one for each; two for three-way answers.

    A label is predicted if its probability is *greater than* its threshold (strictly, as in fastai), in metrics,
    predictions and plots alike. With ``lower``, an image does not have the label at ``lower`` or below, and between
    the two a person is to be asked.

    Args:
        values: one number in [0, 1], or one for each class in the order of the vocabulary.
        metric: the metric that they were tuned for; None: they were set by hand.
        names: the names of the classes, only for display; None: not known.
        lower: one number in [0, 1], or one for each class, none above its threshold; None: a label that is not
            predicted is answered no.

    Raises:
        InputError: a number is outside [0, 1], or a lower threshold is above the other.
    """

    values: float | tuple[float, ...] = 0.5
    metric: str | None = None
    names: tuple[str, ...] | None = field(default=None, compare=False)
    lower: float | tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _checked_thresholds(self.values))
        if self.lower is None:
            return
        object.__setattr__(self, "lower", _checked_thresholds(self.lower))
        lower, upper = np.atleast_1d(self.lower), np.atleast_1d(self.values)
        if len({len(lower), len(upper)} - {1}) > 1:
            raise InputError(f"there are lower thresholds for {len(lower)} classes, and upper ones for {len(upper)}")
        if (lower > upper).any():
            raise InputError("a lower threshold is above the upper one: a label cannot be answered yes and no at once")

    @property
    def is_three_way(self) -> bool:
        """Whether there are answers between yes and no, for which a person is to be asked."""
        return self.lower is not None

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        title = "Thresholds" if self.metric is None else f"Thresholds for {self.metric}"
        columns = (self.values,) if self.lower is None else (self.lower, self.values)
        heads = ("threshold",) if self.lower is None else ("lower threshold", "upper threshold")
        n_labels = max(len(column) if isinstance(column, tuple) else 0 for column in columns)
        if not n_labels:
            thresholds = ", ".join(f"{head} {value:.3f}" for head, value in zip(heads, columns, strict=True))
            return html.block(title, html.paragraph(f"{thresholds}, for all labels"), html.paragraph(self._meaning))
        names = self.names if self.names and len(self.names) == n_labels else range(n_labels)
        cells = [column if isinstance(column, tuple) else (column,) * n_labels for column in columns]
        rows = [(name, *(f"{value:.3f}" for value in row)) for name, *row in zip(names, *cells, strict=True)]
        return html.block(title, html.table(("label", *heads), rows), html.paragraph(self._meaning))

    @property
    def _meaning(self) -> str:
        """How probabilities become answers, in a sentence or two."""
        if self.lower is None:
            return "A label is predicted if its probability is above its threshold."
        return (
            "A label is predicted if its probability is above its upper threshold, and not if it is at or below its "
            "lower one; between them a person is asked."
        )

    def decide(self, probabilities: Float[Tensor, "*b k"]) -> Bool[Tensor, "*b k"]:
        """True where a probability is above its threshold.

        Raises:
            InputError: a probability is NaN, or there are per-class thresholds for another number of classes.
        """
        refuse_nan(probabilities, "probabilities")
        return probabilities > self.per_class(probabilities.shape[-1]).to(probabilities)

    def abstains(self, probabilities: Float[Tensor, "*b k"]) -> Bool[Tensor, "*b k"]:
        """True where the model abstains (asks a person): above the lower threshold, and not above the other.

        Raises:
            InputError: as in `decide`.
        """
        if self.lower is None:
            return torch.zeros_like(probabilities, dtype=torch.bool)
        lower = _per_class(self.lower, probabilities.shape[-1]).to(probabilities)
        return (probabilities > lower) & ~self.decide(probabilities)

    def check_count(self, classes: int) -> None:
        """Raises `InputError` if there are per-class thresholds for another number of classes."""
        for values in filter(None, (self.values, self.lower)):
            _per_class(values, classes)

    def per_class(self, classes: int) -> Float[Tensor, " k"]:
        """One threshold for each of ``classes`` classes, float64; `decide` rounds them to the probabilities' dtype.

        Raises:
            InputError: there are per-class thresholds for another number of classes.
        """
        return _per_class(self.values, classes)


def _checked_thresholds(values: Any) -> Any:
    """The thresholds as numbers, of an array or a tensor too.

    Raises:
        InputError: one is not a number in [0, 1].
    """
    given: Any = getattr(values, "tolist", lambda: values)()
    every: tuple[Any, ...] = tuple(given) if isinstance(given, (list, tuple)) else (given,)
    for value in every:
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or not 0 <= value <= 1:
            raise InputError(f"a threshold must be in [0, 1], got {value!r}")
    return every if isinstance(given, (list, tuple)) else given


def _per_class(values: float | tuple[float, ...], classes: int) -> Float[Tensor, " k"]:
    if not isinstance(values, tuple):
        return torch.full((classes,), values, dtype=torch.float64)
    if len(values) != classes:
        raise InputError(f"there are thresholds for {len(values)} classes, not for {classes}")
    return torch.tensor(values, dtype=torch.float64)


@dataclass(frozen=True, slots=True)
class InputDescription:
    """The input that a model expects; it is part of the model, so training and prediction use the same.

    Args:
        size: the image size that it was built or trained for.
        mean: the mean of each channel, for values in [0, 1].
        std: the standard deviation of each channel, for values in [0, 1].
        interpolation: ``"bilinear"`` or ``"bicubic"``, with which the weights were trained.
    """

    size: Size
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"


def is_finite_number(value: object) -> bool:
    """Whether a value of JSON is a finite number that a tensor can hold; true and false are none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    # JSON integers can have any length: one this large would overflow in isfinite or in a tensor.
    return abs(value) < 1e300 and math.isfinite(value)
