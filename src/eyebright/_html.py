"""HTML for the display of values in notebooks: tables, paragraphs, progress bars and small images.

All text is escaped, because the names of labels and files are not trusted. No colours are set, so that the notebook's
light or dark theme applies.
"""

import base64
from collections.abc import Mapping, Sequence
from html import escape

_MAX_HEIGHT = "36em"  # of a table; a higher one gets a scroll bar


def block(title: str, *parts: str) -> str:
    """A title, if it is not empty, above other elements of this module."""
    head = f"<strong>{escape(title)}</strong>" if title else ""
    return f"<div>{head}{''.join(parts)}</div>"


def paragraph(text: object) -> str:
    """A paragraph of text."""
    return f'<div style="margin:0.3em 0">{escape(str(text))}</div>'


def table(
    columns: Sequence[str], rows: Sequence[Sequence[object]], *, text_columns: int = 1, n_omitted: int = 0
) -> str:
    """A table.

    Args:
        columns: the column headings; empty for a table without a header.
        rows: the cells of each row.
        text_columns: number of columns, from the left, that hold text (left-aligned); the others hold numbers
            (right-aligned).
        n_omitted: number of rows that are not shown; mentioned below the table.
    """
    head = f"<thead>{_row('th', columns, text_columns)}</thead>" if columns else ""
    body = "".join(_row("td", row, text_columns) for row in rows)
    omitted = paragraph(f"… and {n_omitted:,} more") if n_omitted else ""
    return (
        f'<div style="max-height:{_MAX_HEIGHT};overflow:auto;margin:0.3em 0">'
        f'<table class="dataframe" style="margin:0">{head}<tbody>{body}</tbody></table></div>{omitted}'
    )


def name_value_table(values: Mapping[str, object]) -> str:
    """A table of two columns, names and values."""
    return table((), list(values.items()), text_columns=2)


def images(thumbnails: Sequence[tuple[bytes | None, str]]) -> str:
    """Small embedded images with captions, side by side.

    Args:
        thumbnails: for each image the content of a JPEG file (None if there is none) and its caption.
    """
    figures = "".join(map(_figure, thumbnails))
    return f'<div style="display:flex;flex-wrap:wrap;gap:0.6em;margin:0.3em 0">{figures}</div>'


def progress_bar(done: int, total: int, text: str) -> str:
    """A progress bar with a text beside it."""
    return (
        f'<div style="margin:0.3em 0"><progress value="{done:d}" max="{total:d}" style="vertical-align:middle">'
        f"</progress> {escape(text)}</div>"
    )


def data_url(jpeg: bytes) -> str:
    """A JPEG file as a ``data:`` URL, for embedding in a page."""
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()


def _row(tag: str, cells: Sequence[object], text_columns: int) -> str:
    alignments = ["left" if column < text_columns else "right" for column in range(len(cells))]
    return (
        "<tr>"
        + "".join(
            f'<{tag} style="text-align:{alignment}">{escape(str(cell))}</{tag}>'
            for alignment, cell in zip(alignments, cells, strict=True)
        )
        + "</tr>"
    )


def _figure(thumbnail: tuple[bytes | None, str]) -> str:
    jpeg, caption = thumbnail
    image = "" if jpeg is None else f'<img src="{data_url(jpeg)}" alt="{escape(caption)}"><br>'
    return f'<div style="max-width:12em;overflow-wrap:anywhere">{image}{escape(caption)}</div>'
