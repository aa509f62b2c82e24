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


def renamed(old: str, function: Callable[P, R]) -> Callable[P, R]:
    """The function under an old name; a call warns, at the caller's line, with the new name.

    Args:
        old: the old name.
        function: the function under its new name.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        warnings.warn(f"{old} has been renamed to {function.__name__}", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = old
    return call
