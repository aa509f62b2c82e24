"""Sentences of the library as the command line says them: options become flags.

The library writes an option in backticks, as in Python: ```skip_bad=True` leaves them out``; a person at a terminal
reads ``--skip-bad leaves them out``.
"""

import re
from collections.abc import Iterable

from eyebright.workflow.option import Declared

_QUOTES = "\"'"
_OPTION = re.compile(r"`(\w+)(?:=([^`]*))?`")


def flag_of(each: Declared, *, off: bool = False) -> str:
    """As the option is typed: ``--skip-bad``, or ``--no-skip-bad``; upper case where its place says which it is."""
    dashed = each.name.replace("_", "-")
    return dashed.upper() if each.option.positional else f"--{'no-' if off else ''}{dashed}"


def with_flags(sentence: str, options: Iterable[Declared]) -> str:
    """The sentence with each option in backticks as its flag; other words in backticks stay.

    Args:
        sentence: of the library.
        options: of the command that says it.
    """
    known = {name: each for each in options for name in (each.name, *each.option.aliases)}

    def flag(found: "re.Match[str]") -> str:
        each, value = known.get(found[1]), found[2]
        if each is None:
            return found[0]
        if value in (None, "True", "False"):
            return flag_of(each, off=value == "False")
        return f"{flag_of(each)} {value.strip(_QUOTES)}"

    return _OPTION.sub(flag, sentence)
