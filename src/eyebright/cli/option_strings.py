"""Replaces option names in messages by options as they are typed: `skip_bad=True` becomes `--skip-bad`.

argparse calls the typed form, such as ``--skip-bad``, an option string.

The library writes an option in backticks, as in Python (```skip_bad=True` skips them``), since it does not know
whether it is called from Python or from the command line.
"""

import re
import shlex
from collections.abc import Iterable

from eyebright.workflow.option import OptionField

_QUOTES = "\"'"
_OPTION = re.compile(r"`(\w+)(?:=([^`]*))?`")


def option_string(field: OptionField, *, off: bool = False) -> str:
    """An option as it is typed, --skip-bad or (with off) --no-skip-bad; the upper-case name of a positional argument.

    Args:
        field: the option.
        off: True for the option that turns a flag off.
    """
    name = field.option.typed or field.name.replace("_", "-")
    return name.upper() if field.option.positional else f"--{'no-' if off else ''}{name}"


def with_option_strings(message: str, options: Iterable[OptionField]) -> str:
    """The message with all options that it names in backticks as they are typed; other names in backticks are kept.

    Args:
        message: a message of the library.
        options: the options of the command that shows it.
    """
    known = {name: field for field in options for name in (field.name, *field.option.aliases)}

    def replace(match: "re.Match[str]") -> str:
        field, value = known.get(match[1]), match[2]
        if field is None:
            return match[0]
        if value in (None, "True", "False"):
            return option_string(field, off=value == "False")
        return f"{option_string(field)} {shlex.quote(value.strip(_QUOTES))}"

    return _OPTION.sub(replace, message)
