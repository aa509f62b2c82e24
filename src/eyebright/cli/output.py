"""Everything that the command line prints goes through here, since names and labels can hold any character."""

import sys

import typer

from eyebright.errors import message_text, printable


def say(text: str, *, err: bool = False, whole: bool = False) -> None:
    """Prints one line, in which control characters are escapes, and whose middle is omitted if it is long.

    Args:
        text: the line.
        err: True for standard error.
        whole: True for a line that is printed whole, however long.
    """
    typer.echo(printable(text) if whole else message_text(text), err=err)


def print_data(text: str) -> None:
    """Prints text that a program may read: unchanged, except control characters on a terminal."""
    typer.echo(printable(text, keep="\n") if sys.stdout.isatty() else text, nl=False)
