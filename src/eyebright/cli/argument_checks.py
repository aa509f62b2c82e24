"""Checks command-line arguments as they were typed: an empty path would become the working folder."""

from collections.abc import Sequence
from pathlib import Path

from eyebright.cli.option_strings import option_string
from eyebright.errors import InputError
from eyebright.workflow.option import OptionField


def check_arguments(arguments: Sequence[str], fields: Sequence[OptionField]) -> None:
    """Raises `InputError` if a path is the empty string, as from a variable of the shell that is not set.

    Args:
        arguments: the arguments after the name of the command.
        fields: the options of the command.

    Raises:
        InputError: there is such a path.
    """
    end = list(arguments).index("--") if "--" in arguments else len(arguments)
    field_of = {option_string(field): field for field in fields if not field.option.positional}
    previous: OptionField | None = None  # the option whose value is the next argument
    for i, argument in enumerate(arguments):
        if previous is not None or i >= end or not argument.startswith("--"):
            if not argument and (previous is None or previous.value_type is Path):
                raise InputError("a path is empty (''); give '.' for the working folder")
            previous = None
            continue
        name, equals, value = argument.partition("=")
        field = field_of.get(name)
        if field is None:
            continue
        if equals and not value and field.value_type is Path:
            raise InputError(f"`{field.name}` is empty; give '.' for the working folder")
        previous = None if equals or field.value_type is bool else field
