"""``--help`` as plain text, with the options in groups; typer's own help, with frames, takes three times as long."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

HelpLines = Mapping[str, Sequence[tuple[str, str]]]
"""The lines of each group of options, by the group's heading: (the option and its value, what it does)."""


Given = Mapping[str, tuple[Any, int]]
"""By the name of the parameter: what was typed, and how many times it was given."""


def command_class(lines: HelpLines, check: Callable[[Given], None]) -> type[TyperCommand]:
    """A class of typer commands whose help shows these lines.

    Args:
        lines: the lines of each group.
        check: called with the arguments before they are converted.
    """

    class GroupedHelpCommand(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if "--help" in args:  # before typer converts the values, for which it imports rich
                typer.echo(self.get_help(ctx))
                ctx.exit()
            values, _, given = self.make_parser(ctx).parse_args(list(args))
            names = [parameter.name for parameter in given]
            check({name: (values.get(name), names.count(name)) for name in names})
            return super().parse_args(ctx, args)

        def format_options(self, ctx: Any, formatter: Any) -> None:
            for group, own in lines.items():
                shown = [*own, ("--help", "Show this message and exit.")] if group == "Options" else own
                if shown:
                    with formatter.section(group):
                        formatter.write_dl(shown)

    return GroupedHelpCommand
