"""Options: annotated fields of a frozen dataclass, which define the command line and the saved form.

    @dataclass(frozen=True)
    class Options:
        epochs: Annotated[int, Range(at_least=1), Option("Epochs with all layers.", group="Training")] = 5

The field's name, type, default and `Option` are the only declaration. The command line, its help, the validation, the
JSON form and the table in ``docs/options.md`` are generated from it.

Error messages name an option in backticks, as it is written in Python: ```skip_bad=True` skips them``. The command line
replaces it by ``--skip-bad``.
"""

import dataclasses
import functools
import os
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

from eyebright._choices import exact_text
from eyebright._value_type import ValueType
from eyebright.errors import InputError, bounded, did_you_mean

T = TypeVar("T")

TARGETS_WITH: Mapping[str, str] = {
    "has_thresholds": "any number of labels per image",
    "can_calibrate": "labels and classes",
    "can_mix": "labels and classes",
    "has_vocab": "labels and classes",
    "is_geometric": "points",
}
"""The targets that have a property which an option needs, as text, see `Option`."""


@dataclass(frozen=True)
class Option:
    """The declaration of an option.

    Its name, type, choices, range and default are those of the dataclass field, see `eyebright._value_type`.

    Args:
        help: the description of the option, in one or two sentences.
        group: the heading under which the help lists it; empty for the options that most users need.
        unset: the meaning of None, or of an empty tuple, in the help, for example ``"one per CPU"``.
        metavar: the placeholder of the value in the help; empty: derived from the type.
        convert: returns the option's value for a string from the command line, a value from JSON or one from Python
            code; raises an `InputError` whose message continues a sentence that begins with the option's name
            (``"must be ..., got ..."``). None: by the type only.
        aliases: other names of the option as an argument of the library's functions: ``num_workers`` for ``workers``.
            The command line replaces them in messages too.
        typed: the name on the command line, without dashes, if it differs: ``from``, which Python reserves.
        positional: True for an argument that is given by its position, without a name.
        python_only: True for an option that the command line does not have.
        writes: True for the path of what a command writes: two such options of a command cannot be the same path.
        needs: the property of a target block without which the option has no effect; empty for none.
        needs_epochs: True if the option has no effect without trained epochs.
        head: the only head of `TrainOptions.head` that the option applies to and selects; empty for both.
    """

    help: str
    group: str = ""
    unset: str = ""
    metavar: str = ""
    convert: Callable[[Any], Any] | None = None
    aliases: tuple[str, ...] = ()
    typed: str = ""
    positional: bool = False
    python_only: bool = False
    writes: bool = False
    needs: Literal["", "has_thresholds", "can_calibrate", "can_mix", "has_vocab", "is_geometric"] = ""
    needs_epochs: bool = False
    head: Literal["", "linear", "book"] = ""


@dataclass(frozen=True)
class OptionField:
    """An option with its name, type and default: one field of a dataclass of options.

    Args:
        name: the name of the field.
        values: the type of its value, with choices and range.
        default: the default; ``dataclasses.MISSING`` for a required option.
        option: its declaration.
    """

    name: str
    values: ValueType
    default: Any
    option: Option

    @property
    def help(self) -> str:
        """The description of the option, with the targets or the head that it is limited to."""
        targets = TARGETS_WITH.get(self.option.needs)
        only = f"head {self.option.head}" if self.option.head else targets
        return f"{self.option.help} Only for {only}." if only else self.option.help

    @property
    def default_text(self) -> str:
        """The default as text; empty for a required option and for a flag that is off by default."""
        if self.default is True:
            return "on"
        if self.default is dataclasses.MISSING or self.default is False:
            return ""
        if self.default is None or self.default == ():
            return self.option.unset
        return command_line_text(self.default)

    def convert(self, value: Any) -> Any:
        """The value converted to the type of the field, and checked.

        Args:
            value: a value from the command line, from JSON or from Python code.

        Raises:
            InputError: the value has another type, is out of range or not among the choices.
        """
        if self.option.convert is None or (value is None and self.values.optional):
            return self.values.checked(self.name, value)
        try:
            return self.option.convert(value)
        except InputError as error:
            raise InputError(f"`{self.name}` {error}") from None


@functools.cache
def option_fields(cls: type) -> tuple[OptionField, ...]:
    """The options of a dataclass, in the order of its fields.

    Raises:
        TypeError: a field has no `Option`.
    """
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(_option_field(field, hints[field.name]) for field in dataclasses.fields(cls))


def with_options_in_docstring(cls: type[T]) -> type[T]:
    """Class decorator that adds the options to the docstring as ``Args``."""
    lines = [f"    {field.name}: {field.help}" for field in option_fields(cls)]
    cls.__doc__ = "\n".join([(cls.__doc__ or "").strip(), "", "Args:", *lines])
    return cls


def check_options(options: Any) -> None:
    """Checks all fields of a dataclass of options and converts them to their types; called by its ``__post_init__``.

    Args:
        options: an instance of the dataclass; its fields are replaced by the converted values.

    Raises:
        InputError: a value has another type, is out of range or not among the choices; or two options name the same
            file to write, so that one result would replace the other.
    """
    for field in option_fields(type(options)):
        object.__setattr__(options, field.name, field.convert(getattr(options, field.name)))
    written: dict[str, str] = {}
    for name in (field.name for field in option_fields(type(options)) if field.option.writes):
        path = getattr(options, name)
        if path is not None and (other := written.setdefault(os.path.realpath(path), name)) != name:
            raise InputError(f"`{other}` and `{name}` name the same file, '{path}'; give each a file of its own")


def options_to_json(options: Any) -> dict[str, Any]:
    """The values of a dataclass of options as a dictionary for JSON: paths are strings, tuples are lists."""
    return {field.name: _json(getattr(options, field.name)) for field in option_fields(type(options))}


def options_from_json(cls: type[T], values: Mapping[str, Any], *, file: str) -> T:
    """The options in a dictionary that `options_to_json` returned; missing ones have their defaults.

    Args:
        cls: the dataclass.
        values: the values by name.
        file: the name of the file that contains them, for error messages.

    Raises:
        InputError: a name is unknown, or a value is invalid.
    """
    known = [field.name for field in option_fields(cls)]
    for name in values:
        if name not in known:
            raise InputError(
                f"{file} has an unknown option '{bounded(name, limit=80)}'.{did_you_mean(name, known)} "
                f"Known: {', '.join(known)}"
            )
    try:
        return cls(**values)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None


def command_line_text(value: Any) -> str:
    """A value as it is written on the command line."""
    if isinstance(value, tuple):
        return ",".join(map(command_line_text, value))
    return exact_text(value) if isinstance(value, float) else str(value)


def _option_field(field: "dataclasses.Field[Any]", hint: Any) -> OptionField:
    found = [extra for extra in getattr(hint, "__metadata__", ()) if isinstance(extra, Option)]
    if len(found) != 1:
        raise TypeError(f"the field '{field.name}' needs an Option: {field.name}: Annotated[..., Option(...)]")
    return OptionField(field.name, ValueType.of(hint), field.default, found[0])


def _json(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_json(part) for part in value]
    return str(value) if isinstance(value, Path) else value
