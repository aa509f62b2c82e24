"""Deprecated names that still work and warn with the new name.

The category is `FutureWarning`, which Python shows to users. Old names occur in notebooks, where `DeprecationWarning`
is often hidden or turned into an error, and where `PendingDeprecationWarning` is never shown.
"""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def warn_renamed(old: str, new: str, *, stacklevel: int = 2) -> None:
    """Warns that a name is a former one.

    Args:
        old: the former name.
        new: the name of today.
        stacklevel: as in `warnings.warn`; 2 is the line that calls the caller of this function.
    """
    warnings.warn(f"{old} has been renamed to {new}", FutureWarning, stacklevel=stacklevel + 1)


def renamed(old: str, function: Callable[P, R]) -> Callable[P, R]:
    """The function under an old name; a call warns, at the caller's line, with the new name.

    Args:
        old: the old name.
        function: the function under its new name.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        warn_renamed(old, function.__name__)
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = old
    return call
