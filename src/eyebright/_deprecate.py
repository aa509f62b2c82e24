"""Deprecated names that still work and warn with the new name.

The category is `FutureWarning`, which Python shows to users. Old names occur in notebooks, where `DeprecationWarning`
is often hidden or turned into an error, and where `PendingDeprecationWarning` is never shown.
"""

import functools
import warnings
from collections.abc import Callable
from typing import Any, Generic, ParamSpec, TypeVar

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


class FormerAttribute(Generic[R]):
    """A class attribute under a former name: reading it from the class or an instance warns and returns a value.

    Args:
        new: the name of the attribute today.
        value: the function from the class to the value.
    """

    def __init__(self, new: str, value: Callable[[Any], R]) -> None:
        self._new = new
        self._value = value

    def __set_name__(self, owner: type, name: str) -> None:
        self._old = name

    def __get__(self, instance: object, owner: type) -> R:
        warn_renamed(f"{owner.__name__}.{self._old}", f"{owner.__name__}.{self._new}")
        return self._value(owner)
