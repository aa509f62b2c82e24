"""A command of the command line, made from the dataclasses that declare its options.

A parameter that is not given is None here, whatever its default: so a command can tell what was given from what was
not, and fill the rest from a file or from the defaults.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from eyebright.cli.help import Records, grouped
from eyebright.cli.words import flag_of
from eyebright.workflow.option import Declared, declared
from eyebright.workflow.options import GROUPS

T = TypeVar("T")

_WIDEST = 20  # characters of choices in the left column of the help; more are listed at the right


@dataclasses.dataclass(frozen=True)
class Given:
    """What was given on the command line, by the names of the options."""

    values: Mapping[str, Any]

    def options(self, cls: type[T], start: T | None = None) -> T:
        """The dataclass ``cls``, filled with what was given.

        Args:
            cls: a dataclass of options.
            start: has the values of what was not given; None: the defaults.

        Raises:
            InputError: a value that the option cannot have.
        """
        names = [each.name for each in declared(cls)]
        values = {name: self.values[name] for name in names if self.values.get(name) is not None}
        return cls(**values) if start is None else dataclasses.replace(start, **values)  # type: ignore[type-var]


def add_command(app: typer.Typer, run: Callable[[Given], None], *classes: type) -> None:
    """Adds a command to the app; it is called like the function.

    Args:
        app: the app.
        run: the command; its docstring is the help.
        classes: the dataclasses that declare its options, none of which has a name twice.
    """
    options = [each for cls in classes for each in declared(cls) if not each.option.python_only]

    def command(**values: Any) -> None:
        run(Given(values))

    parameters = [_parameter(each) for each in options]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__name__, command.__doc__ = run.__name__, run.__doc__
    app.command(cls=grouped(_records(options)))(command)


def _parameter(each: Declared) -> inspect.Parameter:
    """The parameter that typer makes the argument or the flag from."""
    kind: Any = str if each.option.read else each.kind
    required = each.default is dataclasses.MISSING
    annotation = list[kind] if each.repeated else kind
    if each.option.positional:
        info = typer.Argument(metavar=flag_of(each), show_default=False)
    else:
        both = [flag_of(each), flag_of(each, off=True)] if kind is bool else [flag_of(each)]
        info = typer.Option("/".join(both), metavar=_metavar(each) or None, show_default=False)
    return inspect.Parameter(
        each.name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[annotation if required else annotation | None, info],
        default=inspect.Parameter.empty if required else None,
    )


def _records(options: list[Declared]) -> Records:
    """The lines of the help by group: arguments first, then what has no group."""
    groups: dict[str, list[tuple[str, str]]] = {name: [] for name in ("Arguments", "Options", *GROUPS)}
    for each in options:
        group = "Arguments" if each.option.positional else each.option.group or "Options"
        groups.setdefault(group, []).append((_written(each), help_text(each)))
    return groups


def _written(each: Declared) -> str:
    if each.option.positional:
        return flag_of(each) + ("..." if each.repeated else "")
    if each.kind is bool and each.default is not False:
        return flag_of(each).replace("--", "--[no-]", 1)
    return " ".join(filter(None, [flag_of(each), _metavar(each)]))


def help_text(each: Declared) -> str:
    """What the option does, its choices, its default and its range."""
    choices = ", ".join(each.option.choices)
    facts = [
        choices if choices and not each.option.metavar and _metavar(each) == "TEXT" else "",
        each.default_text and f"default: {each.default_text}",
        each.option.range,
    ]
    words = "; ".join(filter(None, facts))
    return each.option.help + (f"  [{words}]" if words else "")


def _metavar(each: Declared) -> str:
    if each.kind is bool:
        return ""
    names: Mapping[Any, str] = {int: "INTEGER", float: "NUMBER", Path: "PATH"}
    choices = "|".join(each.option.choices)
    return each.option.metavar or (choices if len(choices) <= _WIDEST else "") or names.get(each.kind, "TEXT")
