"""Old names that still work, and say their new one.

The category is `FutureWarning`, on purpose. Who meets an old name here reads a book and runs its notebook: Python's
`DeprecationWarning` is for the authors of libraries, many notebooks turn it into an error or hide it, and nobody should
be stopped by a name that works. `PendingDeprecationWarning` is never shown, so nobody would learn the new name.
"""

import functools
import warnings
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def renamed(old: str, function: Callable[P, R]) -> Callable[P, R]:
    """The function under its old name; calling it warns, at the caller's line, that it is called otherwise now."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        warnings.warn(f"{old} is called {function.__name__} now", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    call.__name__ = call.__qualname__ = old
    return call
