"""`ValueType`: the type of an option's value, with its choices and its range, as an annotation declares them.

    epochs: Annotated[int, Range(at_least=1)] = 5
    optimizer: OptimizerName = "adamw"

Importing this module does not import torch.
"""

import functools
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, Literal

from eyebright._choices import Range
from eyebright.errors import InputError, check_choice, check_not_tiny

_TEXTS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a string",
    bool: "True or False",
    Path: "a path",
}


@dataclass(frozen=True)
class ValueType:
    """The type of the value of an option, or of each of several values.

    Args:
        type: the type, without None; str for a ``Literal`` of strings.
        optional: True if the value may be None.
        repeated: True if it is a tuple of any number of values.
        choices: the allowed strings of a ``Literal``; empty for any.
        range: the limits of a number; None without a limit.
    """

    type: Any
    optional: bool = False
    repeated: bool = False
    choices: tuple[str, ...] = ()
    range: Range | None = None

    @staticmethod
    def of(hint: Any) -> "ValueType":
        """The type that an annotation declares, such as ``Annotated[int, Range(at_least=1)] | None``."""
        hint, limits = _without_range(hint)
        members = typing.get_args(hint) if typing.get_origin(hint) in (types.UnionType, typing.Union) else (hint,)
        value_type, own_limits = _without_range(next(member for member in members if member is not type(None)))
        arguments = typing.get_args(value_type)
        repeated = typing.get_origin(value_type) is tuple and arguments[1:] == (...,)
        if repeated:
            value_type = arguments[0]
        choices = arguments if typing.get_origin(value_type) is Literal else ()
        return ValueType(str if choices else value_type, type(None) in members, repeated, choices, own_limits or limits)

    @property
    def text(self) -> str:
        """The type as text, for example ``"a whole number"``."""
        text = _TEXTS.get(self.type, "a value")
        return f"{text}, may be given several times" if self.repeated else text

    @property
    def range_text(self) -> str:
        """The limits of a number as text; empty without a limit."""
        return "" if self.range is None else self.range.text

    def checked(self, name: str, value: Any) -> Any:
        """The value converted to this type.

        Args:
            name: the name of the option, for error messages.
            value: the value, from the command line, from JSON or from Python code.

        Raises:
            InputError: the value has another type, is out of range or not among the choices.
        """
        if value is None and self.optional:
            return None
        if not self.repeated:
            return self._checked_single(name, value)
        if not isinstance(value, (list, tuple)):
            raise InputError(f"`{name}` must be a list, got {value!r}")
        return tuple(self._checked_single(name, element) for element in value)

    def _checked_single(self, name: str, given: Any) -> Any:
        value = _converted(self.type, given)
        if value is None or (self.range is not None and not self.range.contains(value)):
            subject = f"each value of `{name}`" if self.repeated else f"`{name}`"
            expected = ", ".join(filter(None, [_TEXTS[self.type], self.range_text]))
            raise InputError(f"{subject} must be {expected}, got {given!r}")
        if self.choices:
            check_choice(f"`{name}`", value, self.choices)
        if isinstance(value, float):
            check_not_tiny(name, value)
        return value


@functools.cache
def value_types(cls: type) -> Mapping[str, ValueType]:
    """The types of the fields of a class, by name."""
    return {name: ValueType.of(hint) for name, hint in typing.get_type_hints(cls, include_extras=True).items()}


def _without_range(hint: Any) -> tuple[Any, Range | None]:
    """(the hint without its metadata, the range among them)."""
    if typing.get_origin(hint) is not Annotated:
        return hint, None
    return hint.__origin__, next((extra for extra in hint.__metadata__ if isinstance(extra, Range)), None)


def _converted(value_type: Any, given: Any) -> Any:
    """The value converted to the type; None if it has another type."""
    if isinstance(given, bool):
        return given if value_type is bool else None
    if value_type is Path and isinstance(given, str | Path):
        return Path(given)
    if value_type is str and isinstance(given, str):
        return given
    if value_type is int and isinstance(given, Integral):
        return int(given)
    if value_type is float and isinstance(given, Real) and math.isfinite(given):
        return float(given)
    return None
