"""Adds a command to the command line, with the parameters and the help generated from dataclasses of options.

The default of every parameter is None here, so that a command can distinguish an option that was given from one that
was not, and take the latter from a file of options or from the defaults.
"""

import dataclasses
import inspect
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import typer

from eyebright.cli.help import Given, HelpLines, command_class
from eyebright.cli.option_strings import option_string, with_option_strings
from eyebright.cli.output import say
from eyebright.errors import InputError
from eyebright.workflow.option import OptionField, option_fields
from eyebright.workflow.shared_options import GROUPS

T = TypeVar("T")

_CHOICES_WIDTH = 20  # characters of choices in the left column of the help; longer lists are in the right column


@dataclasses.dataclass(frozen=True)
class CommandArguments:
    """The arguments of one command line, by the names of the options; None for an option that was not given."""

    values: Mapping[str, Any]

    def parse(self, cls: type[T], base: T | None = None) -> T:
        """The dataclass ``cls`` with the values that were given.

        Args:
            cls: a dataclass of options.
            base: has the values of the other options; None for their defaults.

        Raises:
            InputError: a value is invalid.
        """
        values = self.given(cls)
        return cls(**values) if base is None else dataclasses.replace(base, **values)  # type: ignore[type-var]

    def given(self, cls: type) -> dict[str, Any]:
        """The values that were given for the options of a dataclass, by name."""
        names = [field.name for field in option_fields(cls)]
        return {name: self.values[name] for name in names if self.values.get(name) is not None}


def add_command(app: typer.Typer, run: Callable[[CommandArguments], None], *classes: type) -> None:
    """Adds a command to the app, with the name of the function.

    Args:
        app: the app.
        run: the command; its docstring is the help.
        classes: the dataclasses that declare its options; no two of them have an option of the same name.
    """
    fields = [field for cls in classes for field in option_fields(cls) if not field.option.python_only]

    def command(**values: Any) -> None:
        paths = {field.name: _with_home(values.get(field.name)) for field in fields if field.values.type is Path}
        run(CommandArguments(values | {name: path for name, path in paths.items() if name in values}))

    parameters = [_parameter(field) for field in fields]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__name__, command.__doc__ = run.__name__, run.__doc__
    app.command(cls=command_class(_help_lines(fields), partial(_check_given, fields)))(command)


def _with_home(value: Any) -> Any:
    """A path, or each of several, with the home folder for ``~``, which shells leave as it is in ``--out=~/model``.

    A file or folder that is called so stays.
    """
    if isinstance(value, (list, tuple)):
        return [_with_home(each) for each in cast("list[Any]", value)]
    if not isinstance(value, Path) or not str(value).startswith("~") or os.path.lexists(value.parts[0]):
        return value
    try:
        return value.expanduser()
    except RuntimeError:  # there is no such user
        return value


def _check_given(fields: list[OptionField], given: Given) -> None:
    """Reports options that are given more than once, of which the last one counts.

    Raises:
        InputError: a path is empty, as that of a variable of the shell that is not set; it would be the working folder.
    """
    for field in fields:
        typed, times = given.get(field.name, (None, 0))
        if field.values.type is Path and "" in (typed if isinstance(typed, (list, tuple)) else [typed]):
            raise InputError(f"{option_string(field)} is an empty path; give a name, or . for the working folder")
        if times > 1 and not field.values.repeated and not field.option.positional and field.values.type is not bool:
            say(f"{option_string(field)} is given {times} times; the last one counts", err=True)


def _parameter(field: OptionField) -> inspect.Parameter:
    """The parameter that typer makes the argument or the option from."""
    value_type: Any = str if field.option.convert else field.values.type
    required = field.default is dataclasses.MISSING
    annotation = list[value_type] if field.values.repeated else value_type
    if field.option.positional:
        info = typer.Argument(metavar=option_string(field), show_default=False)
    else:
        states = (False, True) if value_type is bool else (False,)
        info = typer.Option(
            "/".join(option_string(field, off=off) for off in states),
            metavar=_metavar(field) or None,
            show_default=False,
        )
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[annotation if required else annotation | None, info],
        default=inspect.Parameter.empty if required else None,
    )


def _help_lines(fields: list[OptionField]) -> HelpLines:
    """The lines of the help by group: first the arguments, then the options without a group."""
    groups: dict[str, list[tuple[str, str]]] = {name: [] for name in ("Arguments", "Options", *GROUPS)}
    for field in fields:
        group = "Arguments" if field.option.positional else field.option.group or "Options"
        groups.setdefault(group, []).append((_usage(field), with_option_strings(help_text(field), fields)))
    return groups


def _usage(field: OptionField) -> str:
    """The left column of the help: the option and its value."""
    if field.option.positional:
        return option_string(field) + ("..." if field.values.repeated else "")
    if field.values.type is bool and field.default is not False:
        return option_string(field).replace("--", "--[no-]", 1)
    return " ".join(filter(None, [option_string(field), _metavar(field)]))


def help_text(field: OptionField) -> str:
    """The right column of the help: what the option does, its choices, its default and its limits."""
    choices = ", ".join(field.values.choices)
    facts = [
        choices if choices and not field.option.metavar and _metavar(field) == "TEXT" else "",
        field.default_text and f"default: {field.default_text}",
        field.values.range_text,
    ]
    text = "; ".join(filter(None, facts))
    return field.help + (f"  [{text}]" if text else "")


def _metavar(field: OptionField) -> str:
    """The placeholder of the value; empty for a flag."""
    if field.values.type is bool:
        return ""
    names: Mapping[Any, str] = {int: "INTEGER", float: "NUMBER", Path: "PATH"}
    choices = "|".join(field.values.choices)
    return (
        field.option.metavar
        or (choices if len(choices) <= _CHOICES_WIDTH else "")
        or names.get(field.values.type, "TEXT")
    )
