"""Every error that Eyebright raises on purpose, and how it words itself.

    EyebrightError
    ├── InputError            bad input: what was asked, what is there, what to do   (exit code 2)
    │   ├── ImageError      an image that cannot be read; carries its path
    │   ├── TableError        a table of labels that cannot be understood; carries path and row
    │   ├── LabelError        a label that is not in the vocabulary
    │   └── DataError         a data block, split or batch that cannot work
    ├── ArtifactError         a model folder that cannot be read or written
    ├── WeightsError          pretrained weights that cannot be had
    ├── DownloadError         a download that failed or whose checksum is wrong
    └── TrainingError         training that cannot go on (a loss that is not a number, a resume that does not fit)

Messages are one sentence, lower case, and say what was asked, what is there and what to do.
An unknown keyword is a ``TypeError`` and a value of the wrong kind a ``ValueError``, as in any Python library.
"""

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class EyebrightError(Exception):
    """The root of the tree: catch it to catch everything that Eyebright raises on purpose."""

    exit_code = 2


class InputError(EyebrightError, ValueError):
    """Bad input: the message says what was asked, what is there and what to do."""


class ImageError(InputError):
    """An image that cannot be read.

    Args:
        path: where the image is, or a description of where it came from.
        reason: what is wrong with it, without the path.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(f"cannot read image '{path}': {reason}")
        self.path = str(path)
        self.reason = reason

    def __reduce__(self) -> tuple[type["ImageError"], tuple[str, str]]:
        return ImageError, (self.path, self.reason)


class TableError(InputError):
    """A table of labels that cannot be understood."""


class LabelError(InputError):
    """A label that is not in the vocabulary."""


class DataError(InputError):
    """A data block, a split or a batch that cannot work."""


class ArtifactError(EyebrightError):
    """A model folder that cannot be read or written."""


class WeightsError(EyebrightError):
    """Pretrained weights that cannot be had."""


class DownloadError(EyebrightError):
    """A download that failed, or whose checksum is wrong."""


class TrainingError(EyebrightError):
    """Training that cannot go on."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``" Did you mean 'hazy'?"`` when one of ``known`` is near ``word``, else the empty string."""
    near = difflib.get_close_matches(word, [str(k) for k in known], n=1, cutoff=0.6)
    return f" Did you mean '{near[0]}'?" if near else ""


def listing(names: Iterable[object], *, most: int = 12) -> str:
    """``"'bus', 'car', ... (20 in all)"``: some names for a message, never an endless line."""
    every = [f"'{name}'" for name in names]
    shown = ", ".join(every[:most])
    return shown if len(every) <= most else f"{shown}, ... ({len(every)} in all)"


def checked_keywords(function: Callable[P, R]) -> Callable[P, R]:
    """The same function; an unknown keyword is a ``TypeError`` that names the nearest real one."""
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
