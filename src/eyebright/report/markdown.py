"""Markdown in which names of labels and files are only text: no markup, no table cell, no HTML."""

import re
from collections.abc import Iterable, Sequence

from eyebright.errors import bounded, printable

# Character references are never markup in CommonMark; not every renderer supports backslash escapes.
_MARKUP = re.compile(r"[&<>|`*\[\]\\~$@#]|(?<![^\W_])_|_(?![^\W_])|:(?=//)|:(?=\w+:)|^[-+=]|(?<=\d)[.)](?=\s)")
_MAX_LENGTH = 200  # characters of a name


def escaped(text: str, *, limit: int = 2000) -> str:
    """Markdown that shows the text unchanged, on one line.

    >>> escaped("a|b <script> __init__ blue_car")
    'a&#124;b &#60;script&#62; &#95;&#95;init&#95;&#95; blue_car'

    Args:
        text: any text.
        limit: the maximum number of characters that is kept.
    """
    line = printable(bounded(" ".join(text.split()), limit=limit))
    return _MARKUP.sub(lambda match: f"&#{ord(match[0])};", line)


def name(text: str) -> str:
    """A name as Markdown; the middle of a very long one is left out."""
    return escaped(text, limit=_MAX_LENGTH)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table.

    Args:
        columns: the headings, already Markdown.
        rows: the cells, already Markdown.
    """
    lines = [columns, ["---"] * len(columns), *rows]
    return [f"| {' | '.join(cells)} |" for cells in lines]
