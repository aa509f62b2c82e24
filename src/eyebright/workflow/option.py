"""What an option is: an annotated field of a frozen dataclass, from which everything about it is made.

    @dataclass(frozen=True)
    class Options:
        epochs: Annotated[int, Option("Epochs with all layers.", group="Training", at_least=1)] = 5

The field's name, type and default and its `Option` are the only declaration. The command line, its help, the check of
the values, the JSON form and the table in ``docs/options.md`` are made from it.

Messages name an option in backticks, as it is written in Python: ```skip_bad=True` leaves them out``. The command line
turns each into its flag.
"""

import dataclasses
import functools
import math
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeVar

from eyebright.errors import InputError, did_you_mean

T = TypeVar("T")


@dataclass(frozen=True)
class Option:
    """What is to be said of an option besides its name, type and default.

    Args:
        help: what it does, one or two sentences.
        group: the heading that it is listed under; empty for what every user of the command needs.
        at_least: the smallest value of a number.
        above: numbers are larger than this.
        at_most: the largest value of a number.
        below: numbers are smaller than this.
        choices: the values of a text.
        unset: what happens where the value is None, or an empty tuple.
        metavar: stands for the value in the help; empty: made from the type.
        read: makes the value from text, from JSON or from what Python code gives; raises an `InputError` whose message
            goes on after the option's name. None: the type says it.
        aliases: names that the library's own functions have for it.
        positional: it is given by its place, not by a flag.
        python_only: the command line does not offer it.
    """

    help: str
    group: str = ""
    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    choices: tuple[str, ...] = ()
    unset: str = ""
    metavar: str = ""
    read: Callable[[Any], Any] | None = None
    aliases: tuple[str, ...] = ()
    positional: bool = False
    python_only: bool = False

    @property
    def range(self) -> str:
        """The allowed numbers in words, for example ``"at least 1"`` or ``"0 to 0.9"``; empty without a limit."""
        if self.at_least is not None and self.at_most is not None:
            return f"{_number(self.at_least)} to {_number(self.at_most)}"
        limits = (("above", self.above), ("at least", self.at_least), ("at most", self.at_most), ("below", self.below))
        return ", ".join(f"{words} {_number(limit)}" for words, limit in limits if limit is not None)


@dataclass(frozen=True)
class Declared:
    """One option of a dataclass.

    Args:
        name: of the field.
        kind: its type, without None and without the tuple around repeated values.
        optional: None is a value.
        repeated: the value is a tuple of `kind`.
        default: ``dataclasses.MISSING`` where the option must be given.
        option: what was declared.
    """

    name: str
    kind: Any
    optional: bool
    repeated: bool
    default: Any
    option: Option

    @property
    def default_text(self) -> str:
        """The default in words; empty where there is none, and for a switch that is off."""
        if self.default is True:
            return "on"
        if self.default is dataclasses.MISSING or self.default is False:
            return ""
        if self.default is None or self.default == ():
            return self.option.unset
        return text_of(self.default)

    @property
    def noun(self) -> str:
        """The type in words, for example ``"a whole number"``."""
        noun = _NOUNS.get(self.kind, "a value")
        return f"{noun}, may be given several times" if self.repeated else noun

    def value(self, given: Any) -> Any:
        """The value, in the field's own type.

        Raises:
            InputError: it is of another type, out of range or not among the choices.
        """
        if given is None and self.optional:
            return None
        if not self.repeated:
            return self._single(given)
        if isinstance(given, str | Path) or not isinstance(given, (list, tuple)):
            raise InputError(f"`{self.name}` is a list, got {given!r}")
        return tuple(map(self._single, given))

    def _single(self, given: Any) -> Any:
        option = self.option
        if option.read:
            try:
                return option.read(given)
            except InputError as error:
                raise InputError(f"`{self.name}` {error}") from None
        value = _typed(self.kind, given)
        if value is None or not _within(value, option):
            wanted = ", ".join(filter(None, [_NOUNS[self.kind], option.range]))
            raise InputError(f"`{self.name}` is {wanted}, got {given!r}")
        if option.choices and value not in option.choices:
            known = ", ".join(f"'{choice}'" for choice in option.choices)
            raise InputError(
                f"unknown `{self.name}` '{value}'.{did_you_mean(value, option.choices)} It is one of {known}"
            )
        return value


@functools.cache
def declared(cls: type) -> tuple[Declared, ...]:
    """The options of a dataclass, in the order of its fields.

    Raises:
        TypeError: a field without an `Option`.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(_declared(field, hints[field.name]) for field in dataclasses.fields(cls))


def documented(cls: type[T]) -> type[T]:
    """The same dataclass, whose docstring lists its options."""
    lines = [f"    {each.name}: {each.option.help}" for each in declared(cls)]
    cls.__doc__ = "\n".join([(cls.__doc__ or "").strip(), "", "Args:", *lines])
    return cls


def check_options(options: Any) -> None:
    """Brings every field of a dataclass of options to its type; for its ``__post_init__``.

    Raises:
        InputError: a value is of another type, out of range or not among the choices.
    """
    for each in declared(type(options)):
        object.__setattr__(options, each.name, each.value(getattr(options, each.name)))


def options_to_json(options: Any) -> dict[str, Any]:
    """The values of a dataclass of options as JSON: paths are texts, tuples are lists."""
    return {each.name: _json(getattr(options, each.name)) for each in declared(type(options))}


def options_from_json(cls: type[T], values: Mapping[str, Any], *, file: str) -> T:
    """The options that `options_to_json` wrote; those that are missing have their defaults.

    Args:
        cls: the dataclass.
        values: by name.
        file: where they were read, for messages.

    Raises:
        InputError: an unknown name, or a value that the option cannot have.
    """
    known = [each.name for each in declared(cls)]
    for name in values:
        if name not in known:
            raise InputError(
                f"{file} has an unknown option '{name}'.{did_you_mean(name, known)} Known: {', '.join(known)}"
            )
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def text_of(value: Any) -> str:
    """A value as it is typed on the command line."""
    if isinstance(value, tuple):
        return ",".join(map(text_of, value))
    return _number(value) if isinstance(value, float) else str(value)


def _declared(field: "dataclasses.Field[Any]", hint: Any) -> Declared:
    found = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Option)]
    if len(found) != 1:
        raise TypeError(f"the field '{field.name}' needs an Option: {field.name}: Annotated[..., Option(...)]")
    kind = hint.__origin__
    parts = typing.get_args(kind) if isinstance(kind, types.UnionType) else (kind,)
    optional = type(None) in parts
    parts = tuple(part for part in parts if part is not type(None))
    kind = parts[0]
    repeated = typing.get_origin(kind) is tuple and found[0].read is None
    return Declared(
        field.name, typing.get_args(kind)[0] if repeated else kind, optional, repeated, field.default, found[0]
    )


_NOUNS: Mapping[Any, str] = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "True or False",
    Path: "a path",
}


def _typed(kind: Any, given: Any) -> Any:
    """The value as ``kind``; None where it is of another type."""
    if isinstance(given, bool):
        return given if kind is bool else None
    if kind is Path and isinstance(given, str | Path):
        return Path(given)
    if kind is str and isinstance(given, str):
        return given
    if kind is int and isinstance(given, Integral):
        return int(given)
    if kind is float and isinstance(given, Real) and math.isfinite(given):
        return float(given)
    return None


def _within(value: Any, option: Option) -> bool:
    return not isinstance(value, int | float) or (
        (option.above is None or value > option.above)
        and (option.at_least is None or value >= option.at_least)
        and (option.at_most is None or value <= option.at_most)
        and (option.below is None or value < option.below)
    )


def _number(value: float) -> str:
    short = f"{value:g}"
    return short if float(short) == value and isinstance(value, float) else str(value)


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json(part) for part in value]
    return str(value) if isinstance(value, Path) else value
