"""Spellings of one label are merged; labels that differ only in case, or as 1 and 1.0, are reported.

Files from several systems spell one label in several ways that no screen shows: "é" as one character or as "e" with an
accent (as macOS writes folder names), zero-width characters, byte order marks from files that were joined, double
spaces. As different labels they would be trained and scored against each other.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import replace

from eyebright._all_but import AllBut
from eyebright.errors import listing
from eyebright.sources.categorical import Categorical
from eyebright.sources.cells import is_number
from eyebright.sources.source import Source
from eyebright.types import LabelSet, plain_spelling

_SEPARATORS = r"[\s_\-\u2010-\u2015]+"  # spaces, underscores and hyphens


def one_spelling(source: Source) -> Source:
    """The source with one spelling for labels that look the same, and messages about them; other targets as they are.

    Labels are only changed where two of them are the same text except for their Unicode form, invisible characters and
    the width of spaces.
    """
    targets = source.targets
    if not isinstance(targets, Categorical):
        return source
    labels = sorted(all_labels(targets.categories))
    spellings = _spellings(labels)
    kept = [spellings.get(label, label) for label in labels]
    messages = [
        f"labels that look the same are one: {listing([_escaped(label) for label in variants])} are '{spelling}'"
        for spelling, variants in _grouped(labels, kept)
    ]
    messages += [
        f"labels that differ in upper and lower case only, which stay different: {listing(twins)}"
        for _, twins in _grouped(sorted(set(kept)), [label.casefold() for label in sorted(set(kept))])
    ]
    numbers = [label for label in kept if is_number(label)]
    messages += [
        f"labels that are the same number, which stay different: {listing(equal)}"
        for _, equal in _grouped(sorted(set(numbers)), [str(float(label)) for label in sorted(set(numbers))])
    ]
    if spellings:
        source = replace(source, targets=targets.map(lambda target: _respelled(target, spellings)))
    return source.with_messages(*messages) if messages else source


def _escaped(label: str) -> str:
    """The label with escapes for all that is not ASCII, so that two that look the same look different."""
    return label.encode("ascii", "backslashreplace").decode()


def alike(labels: Iterable[str]) -> list[list[str]]:
    """Groups of labels that may be one label in several spellings, each sorted.

    They differ in case, Unicode form (NFKC), spaces, hyphens and underscores, in the form of a number (1 and 1.0), or
    one is the English plural of the other.

    >>> alike(["Ice cream", "ice_cream", "puppy", "puppies", "cat"])
    [['Ice cream', 'ice_cream'], ['puppies', 'puppy']]
    """
    by_key: dict[str, list[str]] = {}
    for label in sorted(set(labels)):
        by_key.setdefault(spelling_key(label), []).append(label)
    merged = {key: list(group) for key, group in by_key.items()}
    for key in by_key:
        for plural in _plurals(key):
            if plural in merged and key in merged and plural != key:
                merged[key] += merged.pop(plural)
    return sorted(sorted(group) for group in merged.values() if len(group) > 1)


def all_labels(targets: Iterable[LabelSet | str]) -> set[str]:
    """The labels or classes that occur in targets, also those that are only unknown."""
    all_targets = list(targets)
    several = [target for target in all_targets if not isinstance(target, str)]
    labels = {target for target in all_targets if isinstance(target, str)}.union(*several)
    unknown = {id(target.unknown): target.unknown for target in several}.values()  # most are one object
    large = {
        id(unknown_labels.vocabulary): unknown_labels.vocabulary
        for unknown_labels in unknown
        if isinstance(unknown_labels, AllBut)
    }
    return labels.union(
        *large.values(), *(unknown_labels for unknown_labels in unknown if not isinstance(unknown_labels, AllBut))
    )


def spelling_key(label: str) -> str:
    """A key that is equal for labels that differ only in case, Unicode form, separators or the form of a number."""
    plain = plain_spelling(unicodedata.normalize("NFKC", label)).casefold()
    if is_number(plain):
        return str(float(plain))
    return re.sub(_SEPARATORS, "", re.sub(rf"(?<=\d){_SEPARATORS}(?=\d)", ",", plain)) or plain


def _plurals(word: str) -> Sequence[str]:
    """The English plurals of a word of at least three letters."""
    if len(word) < 3 or not word[-1].isalpha():
        return ()
    return (f"{word}s", f"{word}es", *((f"{word[:-1]}ies",) if word.endswith("y") else ()))


def _spellings(labels: Iterable[str]) -> dict[str, str]:
    """For each label that has another spelling: the plain one."""
    plain = {label: plain_spelling(label) for label in labels}
    several = {spelling for spelling, variants in _grouped(plain.keys(), plain.values()) if len(variants) > 1}
    return {label: spelling for label, spelling in plain.items() if spelling in several}


def _grouped(labels: Iterable[str], keys: Iterable[str]) -> list[tuple[str, list[str]]]:
    """(key, labels) of each key that several labels have."""
    groups: dict[str, list[str]] = {}
    for label, key in zip(labels, keys, strict=True):
        groups.setdefault(key, []).append(label)
    return [(key, group) for key, group in groups.items() if len(group) > 1]


def _respelled(target: LabelSet | str, spellings: dict[str, str]) -> LabelSet | str:
    if isinstance(target, str):
        return spellings.get(target, target)
    labels = {spellings.get(label, label) for label in target}
    return LabelSet(labels, unknown={spellings.get(label, label) for label in target.unknown} - labels)
