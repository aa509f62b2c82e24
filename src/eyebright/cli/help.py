"""``--help``: plain text with options in their groups; with frames around them it would take three times as long."""

from collections.abc import Mapping, Sequence
from typing import Any

import typer
from typer.core import TyperCommand

Records = Mapping[str, Sequence[tuple[str, str]]]
"""For each group of options its lines: what is typed, and what it does."""


def grouped(records: Records) -> type[TyperCommand]:
    """A class of commands whose help lists these records, each group under its name."""

    class Grouped(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            if "--help" in args:  # before typer converts values, for which it imports another library
                typer.echo(self.get_help(ctx))
                ctx.exit()
            return super().parse_args(ctx, args)

        def format_options(self, ctx: Any, formatter: Any) -> None:
            for name, lines in records.items():
                shown = [*lines, ("--help", "Show this message and exit.")] if name == "Options" else lines
                if shown:
                    with formatter.section(name):
                        formatter.write_dl(shown)

    return Grouped
