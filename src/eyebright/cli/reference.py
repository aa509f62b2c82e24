"""``docs/options.md``: every option of every command in a table, made from their declarations.

python -m eyebright.cli.reference > docs/options.md
"""

import sys

from eyebright.cli.main import COMMANDS, options_of
from eyebright.cli.words import flag_of
from eyebright.workflow.option import Declared
from eyebright.workflow.options import GROUPS

_HEAD = """# Options

Every option of the command line. In Python a training takes the same names, with underscores, in `eyebright.Options`;
how its table or folder is read is said to `eyebright.read_source`. A switch that is on is turned off by its `--no-`
form: `--no-keep-statistics`.

A training writes its options into `options.json` beside its model, with what was chosen where nothing was given.
`eyebright train --options model/options.json` repeats it; options that are given beside that one replace those in the
file.

This page is made by `python -m eyebright.cli.reference`.
"""


def options_page() -> str:
    """The page, in Markdown."""
    return "\n".join([_HEAD, *(section for command in COMMANDS for section in _sections(command))])


def _sections(command: str) -> list[str]:
    """A heading for the command, and a table for each group of its options."""
    options = options_of(command)
    lines = [f"## eyebright {command}", ""]
    for group in ("", *GROUPS):
        found = [each for each in options if each.option.group == group]
        if found:
            lines += [f"### {group}", ""] if group else []
            lines += ["| option | what it does | value | default |", "|---|---|---|---|", *map(_row, found), ""]
    return lines


def _row(each: Declared) -> str:
    name = f"`{each.name}`, in Python only" if each.option.python_only else f"`{flag_of(each)}`"
    default = "off" if each.default is False else each.default_text
    cells = [name, each.option.help, _values(each), default]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _values(each: Declared) -> str:
    """What may be given, in words."""
    option = each.option
    if each.kind is bool:
        return "a switch"
    if option.choices:
        return ", ".join(option.choices)
    noun = option.metavar.replace("|", " or ") or each.noun
    return ", ".join(filter(None, [noun, option.range]))


if __name__ == "__main__":
    sys.stdout.write(options_page())
