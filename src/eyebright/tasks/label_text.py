"""Converts and checks the labels that getters return, including spellings of one label that would be two classes."""

from collections.abc import Iterable, Iterator, Mapping, Set as AbstractSet
from typing import Any

import numpy as np

from eyebright.errors import InputError, LabelError, listing
from eyebright.tasks.columns import is_missing
from eyebright.types import Vocab, ordered_names, plain_spelling

_NUMBERS = (int, float, np.integer, np.floating)
_UNKNOWN = "?"  # an unknown label in label files
_SYNONYMS = (("1", "True"), ("0", "False"))


def label_text(raw: Any) -> str:
    """A label as text; empty for no label.

    Whole numbers are written without decimals whatever their type, since pandas reads 1 as 1.0 in a column with an
    empty cell. An array or tensor of one element is that element.

    >>> label_text("cat"), label_text(3), label_text(np.float64(3)), label_text(None)
    ('cat', '3', '3', '')

    Args:
        raw: the result of a getter, or an item of it.

    Raises:
        LabelError: the value is not a label, such as bytes, a list or an array of several elements.
    """
    if type(raw) is str:
        return raw if raw and not raw.isspace() else ""
    element = single_element(raw)
    if is_missing(element):
        return ""
    if isinstance(element, _NUMBERS) and not isinstance(element, bool) and element == element // 1:
        return str(int(element))
    if isinstance(element, _NO_LABELS) or callable(element) or not _has_text(element):
        raise LabelError(f"a label is a string or a number, got {type(raw).__name__}: {_shown(raw)}{_remedy(raw)}")
    text = str(raw if isinstance(raw, np.generic) else element)  # a float32 has fewer digits than its float
    return text if text and not text.isspace() else ""


def single_element(raw: Any) -> Any:
    """The only element of an array or tensor as a Python value; any other value unchanged."""
    shape = getattr(raw, "shape", None)
    return raw.item() if isinstance(shape, tuple) and hasattr(raw, "item") and np.prod(shape, dtype=int) == 1 else raw


def labels_of(raw: Any) -> list[str]:
    """The labels in a list that a getter returned; missing ones are left out.

    Raises:
        LabelError: the value is not a list, is a row of 0 and 1, or contains an item that is not a label.
    """
    if isinstance(raw, (bytes, bytearray, memoryview, Mapping)) or not hasattr(raw, "__iter__"):
        raise LabelError(
            f"the labels of an image are a list of strings, got {type(raw).__name__}: {_shown(raw)}{_remedy(raw)}"
        )
    values = raw.reshape(-1).tolist() if hasattr(raw, "reshape") else list(raw)
    labels = [label_text(value) for value in values]
    if not all(type(value) is str for value in values):
        _check_no_row(raw, map(single_element, values))
    return [label for label in labels if label]


def vocab_of(names: Iterable[Any]) -> Vocab:
    """A user's vocabulary as strings, in its order.

    Args:
        names: the labels.

    Raises:
        LabelError: the names have no order (a set), are a string, or repeat.
    """
    return Vocab(name if type(name) is str else label_text(name) for name in ordered_names(names))


def check_spellings(names: Iterable[Any]) -> None:
    """Raises `LabelError` for labels that look the same on a screen, that are True and 1, or that are not strings.

    As separate classes they would be trained against each other. Labels of tables already have one spelling here.

    Args:
        names: the labels of the training images, each once.
    """
    spelled: dict[str, str] = {}
    for name in names:
        if not isinstance(name, str):
            raise LabelError(f"a LabelSet contains strings, got {type(name).__name__}: {_shown(name)}")
        other = spelled.setdefault(plain_spelling(name), name)
        if other != name:
            raise LabelError(
                f"the labels {other!a} and {name!a} look the same but would be two classes; give them one spelling, "
                f"for example with unicodedata.normalize('NFC', label).strip()"
            )
    if _UNKNOWN in spelled:
        raise LabelError(
            "the label '?' means unknown in label files, but would be a class; leave images of unknown class out, "
            "return LabelSet(labels, unknown=labels_that_are_unknown) for any number of labels, or give a vocab that "
            "contains '?'"
        )
    for pair in _SYNONYMS:
        if all(name in spelled for name in pair):
            raise LabelError(
                f"the labels '{pair[0]}' and '{pair[1]}' mean the same but would be two classes; give them one type, "
                "for example with int(label)"
            )


def fitted_vocab(vocab: Vocab | None, block: str) -> Vocab:
    """The vocabulary of a block that is fitted.

    Args:
        vocab: the vocabulary; None before the block is fitted.
        block: the name of its class, for the message.

    Raises:
        InputError: the block is not fitted.
    """
    if vocab is None:
        raise InputError(f"this {block} has no vocabulary yet; DataBlock.datasets fits it, or give vocab=[...]")
    return vocab


def _check_no_row(raw: Any, labels: Iterable[Any]) -> None:
    """Raises `LabelError` for a row of 0 and 1, one for each class, that is given as the labels of an image.

    Args:
        raw: the result of the getter, for the message.
        labels: its items, as Python values.
    """
    labels = [label for label in labels if not is_missing(label)]
    numbers = [label for label in labels if isinstance(label, _NUMBERS)]
    flags = [number for number in numbers if number in (0, 1)]
    if any(isinstance(number, bool) for number in numbers) or (len(labels) > 1 and len(flags) == len(labels)):
        raise LabelError(
            f"the labels {_shown(raw)} may be a row of 0 and 1, one for each class, which needs "
            "MultiCategoryBlock(encoded=True, vocab=[...]), or the names '0' and '1', which the getter must return as "
            "text"
        )
    if any(number % 1 for number in numbers):
        raise LabelError(
            f"the labels {_shown(raw)} are numbers with decimals, not the names of labels; RegressionBlock predicts "
            "numbers, and names must be text"
        )


_NO_LABELS = (bytes, bytearray, memoryview, Mapping, list, tuple, AbstractSet, Iterator, np.ndarray)


def _has_text(value: Any) -> bool:
    return type(value).__str__ is not object.__str__ or type(value).__repr__ is not object.__repr__


def _remedy(raw: Any) -> str:
    if isinstance(raw, (bytes, bytearray)):
        return "; decode it to text"
    if isinstance(raw, Mapping):
        return f"; choose among its keys {listing(map(str, raw))}"
    return ""


def _shown(raw: Any) -> str:
    return f"{raw!r}"[:200]
