"""The exceptions of Eyebright, and helpers for their messages.

    EyebrightError            (all: command-line exit code 2)
    ├── InputError            invalid input
    │   ├── ImageError        an image cannot be read
    │   ├── TableError        a table of labels cannot be parsed
    │   ├── LabelError        a label is not in the vocabulary
    │   └── DataError         a data block, split or batch cannot be built
    ├── ArtifactError         a saved model cannot be read or written
    ├── WeightsError          pretrained weights are not available
    ├── DownloadError         a download failed or has a wrong checksum
    ├── MissingExtraError     an optional package is not installed
    ├── CancelledError             the caller ended it before it was done
    └── TrainingError         training cannot continue (a loss that is not finite, a checkpoint that does not match)
        └── ProcessEndedError a process of distributed training ended without an error message

A message is one lower-case sentence: what was requested, what was found instead, and what to do. It quotes names and
cells, which may come from anybody: so every message is made printable and bounded here, by `message_text`.
As usual in Python, an unknown keyword argument is a ``TypeError``; an `InputError` is a ``ValueError`` and a
`MissingExtraError` an ``ImportError``.
"""

import difflib
import functools
import inspect
import math
import re
from collections.abc import Callable, Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import ParamSpec, TypeGuard, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


MESSAGE_LIMIT = 2000
"""Characters of the longest message."""

_MAX_NAME_LENGTH = 150  # characters of a name in a list

_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str, *, keep: str = "") -> str:
    r"""The text with escapes for what changes a terminal or the order of what it shows, such as ``\x1b``.

    These are control characters, line breaks, the marks that change the direction of writing, and what is not valid
    Unicode. Letters, emoji and marks of every script stay.

    >>> printable("red\x1b[31m\u202egpj")
    'red\\x1b[31m\\u202egpj'

    Args:
        text: a line, with names of files and labels in it.
        keep: characters that stay, such as a line break in a table.
    """
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] in keep else _escaped(found[0]), text)


def bounded(text: str, *, limit: int = MESSAGE_LIMIT) -> str:
    """The text, without its middle if it is longer than ``limit`` characters; a message begins and ends with the facts.

    >>> bounded("x" * 100_000, limit=60)
    'xxxxxxxxxxxxxxxx ... (99,978 characters omitted) ... xxxxxx'
    """
    if len(text) <= limit:
        return text
    room = limit - len(f" ... ({len(text):,} characters omitted) ... ")
    first = max(room * 3 // 4, 0)
    last = max(room - first, 0)
    return f"{text[:first]} ... ({len(text) - first - last:,} characters omitted) ... {text[len(text) - last :]}"


def os_reason(error: Exception) -> str:
    """The system's message for an error, such as "No space left on device"; the error's text if it has none.

    >>> os_reason(FileNotFoundError(2, "No such file or directory", "a.jpg")), os_reason(ValueError("no path"))
    ('No such file or directory', 'no path')
    """
    return getattr(error, "strerror", None) or str(error)


def message_text(text: str) -> str:
    """A message as it is shown: printable and bounded, whatever it quotes."""
    return bounded(printable(bounded(text)))


def _escaped(character: str) -> str:
    return character.encode("ascii", "backslashreplace").decode() if ord(character) > 127 else repr(character)[1:-1]


class EyebrightError(Exception):
    """The base class of all exceptions that Eyebright raises deliberately.

    Args:
        args: the message, which is made printable and bounded.
    """

    def __init__(self, *args: object) -> None:
        super().__init__(*(message_text(part) if isinstance(part, str) else part for part in args))


class InputError(EyebrightError, ValueError):
    """Invalid input."""


class ImageError(InputError):
    """An image cannot be read.

    Args:
        path: the path of the image, or a description of its source such as ``"<bytes>"``.
        reason: the reason, without the path.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"cannot read image '{path}': {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        return ImageError, (self.path, self.reason)


def not_copied(value: object, instead: str) -> InputError:
    """The error of an object that `pickle` and `copy` cannot copy; its ``__reduce__`` raises it.

    Args:
        value: the object.
        instead: what to do instead.
    """
    return InputError(f"a {type(value).__name__} cannot be pickled or copied; {instead}")


class TableError(InputError):
    """A table of labels cannot be parsed."""


class LabelError(InputError):
    """A label is not in the vocabulary."""


class DataError(InputError):
    """A data block, split or batch cannot be built."""


class ArtifactError(EyebrightError):
    """A saved model cannot be read or written."""


class WeightsError(EyebrightError):
    """Pretrained weights are not available."""


class DownloadError(EyebrightError):
    """A download failed or has a wrong checksum."""


class MissingExtraError(EyebrightError, ImportError):
    """An optional package is not installed; the message contains the pip command."""


class CancelledError(EyebrightError):
    """Something that runs long was ended by its caller before it was done."""


class TrainingError(EyebrightError):
    """Training cannot continue."""


class ProcessEndedError(TrainingError):
    """A process of distributed training was killed, or ended without an error message."""


def shortened(message: str, *, limit: int = 400) -> str:
    """The message on one line, without its end where it is longer than ``limit`` characters.

    >>> shortened("a list of 10,000 numbers", limit=16)
    'a list of 10,...'
    """
    line = " ".join(message[: 4 * limit].split())
    return line if len(line) <= limit else f"{line[: limit - 3]}..."


def short_repr(value: object, *, limit: int = 80) -> str:
    """The value as Python writes it; only its type and length if it is long, and no value of any size takes long.

    >>> short_repr([1, 2]), short_repr([0] * 10_000)
    ('[1, 2]', 'a list of 10,000 values')
    """
    if isinstance(value, (list, tuple, dict)) and len(value) > 8:  # pyright: ignore[reportUnknownArgumentType]
        return f"a {type(value).__name__} of {len(value):,} values"  # pyright: ignore[reportUnknownArgumentType, reportUnknownMemberType]
    if isinstance(value, int) and abs(value) >= 10**30:  # Python refuses to write the longest ones
        return "an integer of more than 30 digits"
    try:
        text = repr(value)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__}"  # pyright: ignore[reportUnknownMemberType]
    return text if len(text) <= limit else f"{text[:limit]}..."


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A suggestion for an unknown word, with a leading space; empty if no known word is similar.

    >>> did_you_mean("hzay", ["clear", "hazy"])
    " Did you mean 'hazy'?"
    """
    if len(word) > 200:
        return ""
    matches = difflib.get_close_matches(word, [str(k) for k in known], n=1, cutoff=0.6)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def listing(names: Iterable[object], *, limit: int = 12) -> str:
    """The quoted names joined by commas; of a long list only the first ones and the total number.

    Args:
        names: the names.
        limit: maximum number of names to show.

    >>> listing(["bus", "car", "cat"], limit=2)
    "'bus', 'car', ... (3 in all)"
    """
    quoted = [f"'{bounded(str(name), limit=_MAX_NAME_LENGTH)}'" for name in names]
    shown = ", ".join(quoted[:limit])
    return shown if len(quoted) <= limit else f"{shown}, ... ({len(quoted)} in all)"


def count_text(count: int, singular: str, plural: str | None = None) -> str:
    """A number with its noun: ``"1 image"``, ``"2,510 images"``.

    Args:
        count: the number.
        singular: the noun for a count of 1.
        plural: the noun for other counts; by default ``singular`` with an s.

    >>> count_text(2510, "class", "classes")
    '2,510 classes'
    """
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the name of its class if it has none."""
    return shortened((str(error).strip() or type(error).__name__).splitlines()[0])


def checked_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """The function, decorated: an unknown keyword argument is a ``TypeError`` that suggests the nearest known one."""
    known = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    caller = function.__qualname__.removesuffix(".__init__")

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        unknown = next((name for name in kwargs if name not in known), None)
        if unknown is not None:
            nearest = did_you_mean(unknown, known)
            raise TypeError(f"{caller} has no keyword '{unknown}'.{nearest} It has: {', '.join(known)}")
        return function(*args, **kwargs)

    return call


def check_choice(what: str, value: object, known: Iterable[str]) -> None:
    """Checks an argument that is one of several strings.

    Args:
        what: what it is, for the message; the name of an argument in backticks.
        value: what was given.
        known: the allowed strings.

    Raises:
        InputError: the value is none of them.

    >>> check_choice("`method`", "crops", ["crop", "pad"])
    Traceback (most recent call last):
    eyebright.errors.InputError: unknown `method` 'crops'. Did you mean 'crop'? Known: 'crop', 'pad'
    """
    names = list(known)
    if value not in names:
        meant = did_you_mean(str(value), names)
        raise InputError(f"unknown {what} {short_repr(value)}.{meant} Known: {listing(names)}")


def check_count(name: str, value: object, *, maximum: int = 1_000_000) -> None:
    """Checks an argument that counts something.

    Args:
        name: the name of the argument.
        value: what was given.
        maximum: the largest number that is allowed.

    Raises:
        InputError: it is not a whole number from 1 to ``most``.
    """
    if not is_whole(value) or not 1 <= value <= maximum:
        raise InputError(f"`{name}` must be a whole number from 1 to {maximum:,}, got {shortened(repr(value))}")


def check_minimum(name: str, value: object, minimum: int) -> None:
    """Checks an argument that is a whole number.

    Args:
        name: the name of the argument.
        value: what was given.
        minimum: the smallest number that is allowed.

    Raises:
        InputError: it is no whole number, such as 2.5 or True, or a smaller one.
    """
    if not is_whole(value) or value < minimum:
        raise InputError(f"`{name}` must be a whole number of {minimum} or more, got {shortened(repr(value))}")


def is_whole(value: object) -> TypeGuard[int]:
    """True for an integer of Python or NumPy; not for True and False, nor for a float."""
    return not isinstance(value, bool) and isinstance(value, Integral)


def is_number(value: object) -> TypeGuard[float]:
    """True for a finite number of Python or NumPy; not for True and False."""
    return not isinstance(value, bool) and isinstance(value, Real) and math.isfinite(value)


SMALLEST_FLOAT32 = 2.0**-126
"""The smallest positive number that float32, in which models are trained, holds in full precision: about 1.2e-38."""
MAX_FLOAT32 = 3.4e38
"""The largest number that float32 holds, rounded down."""


def check_not_tiny(name: str, value: float) -> None:
    """Raises `InputError` for a number that is not 0 and becomes 0, or nearly so, in float32: it has no effect.

    Args:
        name: the name of the argument.
        value: what was given.

    Raises:
        InputError: it is closer to 0 than `SMALLEST_FLOAT32`.
    """
    if 0 < abs(value) < SMALLEST_FLOAT32:
        raise InputError(f"`{name}` is {value!r}, which is 0 in float32; give at least {SMALLEST_FLOAT32:.2g}")
