"""`LabelSet` and `Vocab`: the labels of an image, and the names of a model's classes; and how labels are spelled."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set as AbstractSet
from typing import Any, final, overload

import numpy as np
from torch import Tensor

from eyebright._all_but import AllBut
from eyebright.errors import InputError, LabelError, did_you_mean, listing

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

    >>> Vocab(["bus", "car", "cat"])[[2, 0]]
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
