"""What a notebook shows of a value: a little HTML, without templates, style sheets or scripts.

Every text is escaped, because names of labels and of files come from strangers. There are tables, sentences and small
images and nothing else, in the notebook's own colours, so that they can be read on light and on dark pages.
"""

import base64
from collections.abc import Mapping, Sequence
from html import escape

_HIGHEST = "36em"  # of a table; a longer one is scrolled


def block(title: str, *parts: str) -> str:
    """A title, where there is one, and under it parts that this module made."""
    head = f"<strong>{escape(title)}</strong>" if title else ""
    return f"<div>{head}{''.join(parts)}</div>"


def paragraph(text: object) -> str:
    """A line of text."""
    return f'<div style="margin:0.3em 0">{escape(str(text))}</div>'


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, text_columns: int = 1, left_out: int = 0) -> str:
    """A table.

    Args:
        columns: the headings; none for a table without.
        rows: as many cells in each.
        text_columns: number of columns, from the left, that hold text (left-aligned); the others hold numbers
            (right-aligned).
        left_out: how many more rows there would be; a line says so.
    """
    head = f"<thead>{_row('th', columns, text_columns)}</thead>" if columns else ""
    body = "".join(_row("td", row, text_columns) for row in rows)
    more = paragraph(f"… and {left_out:,} more") if left_out else ""
    return (
        f'<div style="max-height:{_HIGHEST};overflow:auto;margin:0.3em 0">'
        f'<table class="dataframe" style="margin:0">{head}<tbody>{body}</tbody></table></div>{more}'
    )


def name_value_table(values: Mapping[str, object]) -> str:
    """Names and what they stand for, below each other."""
    return table((), list(values.items()), text_columns=2)


def images(shown: Sequence[tuple[bytes | None, str]]) -> str:
    """Small images beside each other, inside the page itself.

    Args:
        shown: the bytes of a JPEG file (None: it cannot be shown), and the words under it.
    """
    figures = "".join(map(_figure, shown))
    return f'<div style="display:flex;flex-wrap:wrap;gap:0.6em;margin:0.3em 0">{figures}</div>'


def progress_bar(done: int, total: int, text: str) -> str:
    """How far something is, and words beside it."""
    return (
        f'<div style="margin:0.3em 0"><progress value="{done:d}" max="{total:d}" style="vertical-align:middle">'
        f"</progress> {escape(text)}</div>"
    )


def data_url(jpeg: bytes) -> str:
    """The file as a ``data:`` address, which needs no file beside the page."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _row(tag: str, cells: Sequence[object], text_columns: int) -> str:
    sides = ["left" if place < text_columns else "right" for place in range(len(cells))]
    return (
        "<tr>"
        + "".join(
            f'<{tag} style="text-align:{side}">{escape(str(cell))}</{tag}>'
            for side, cell in zip(sides, cells, strict=True)
        )
        + "</tr>"
    )


def _figure(shown: tuple[bytes | None, str]) -> str:
    jpeg, words = shown
    image = "" if jpeg is None else f'<img src="{data_url(jpeg)}" alt="{escape(words)}"><br>'
    return f'<div style="max-width:12em;overflow-wrap:anywhere">{image}{escape(words)}</div>'
