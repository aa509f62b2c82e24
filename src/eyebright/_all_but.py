"""`AllBut`: the labels of a vocabulary but some, without a copy of the vocabulary for each image."""

from collections import Counter
from collections.abc import Iterable, Iterator, Set as AbstractSet
from typing import Any, final


@final
class AllBut(AbstractSet[str]):
    """The set of all labels of a vocabulary but some.

    In data where a label that nobody looked at is unknown, an image has hundreds of unknown labels, and few known ones.

    >>> unknown = AllBut(frozenset({"cat", "cow", "dog"}), ["cat"])
    >>> sorted(unknown), "cat" in unknown, len(unknown), unknown == {"cow", "dog"}
    (['cow', 'dog'], False, 2, True)

    Args:
        vocabulary: all labels; one object for all images.
        known: those that are not in the set; labels outside of the vocabulary are ignored.
    """

    __slots__ = ("known", "vocabulary")

    def __init__(self, vocabulary: frozenset[str], known: Iterable[str]) -> None:
        self.vocabulary = vocabulary
        self.known = frozenset(known) & vocabulary

    def __contains__(self, label: object) -> bool:
        return label in self.vocabulary and label not in self.known

    def __iter__(self) -> Iterator[str]:
        return (label for label in self.vocabulary if label not in self.known)

    def __len__(self) -> int:
        return len(self.vocabulary) - len(self.known)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, AllBut) and other.vocabulary is self.vocabulary:
            return self.known == other.known
        return isinstance(other, AbstractSet) and len(self) == len(other) and all(label in self for label in other)

    def __hash__(self) -> int:
        return hash(frozenset(self))

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> frozenset[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return frozenset(it)  # of a union or an intersection


def count_labels(sets: Iterable[AbstractSet[str]]) -> "Counter[str]":
    """In how many of the sets each label is; sets of all labels but some are not gone through.

    >>> count_labels([{"cat"}, AllBut(frozenset({"cat", "dog"}), ["dog"])])
    Counter({'cat': 2, 'dog': 0})
    """
    counts: Counter[str] = Counter()
    known: Counter[str] = Counter()
    whole: Counter[frozenset[str]] = Counter()
    for names in sets:
        if isinstance(names, AllBut):
            whole[names.vocabulary] += 1
            known.update(names.known)
        else:
            counts.update(names)
    for vocabulary, count in whole.items():
        counts.update(dict.fromkeys(vocabulary, count))
    counts.subtract(known)
    return counts
