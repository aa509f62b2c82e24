"""Long tables: the rows that matter most are shown, and all of them are behind a click."""

from collections.abc import Sequence

from eyebright.web.blocks import Folded, Table

MOST_ROWS = 100
"""Rows of a table that is shown whole."""

_MAX_UNFOLDED = 20


def folded(table: Table, importance: Sequence[float], *, which: str) -> list[Table | Folded]:
    """The table; of a long one the rows that matter most, and the whole table folded.

    Args:
        table: the table.
        importance: of each row; the smallest is shown first, NaN is not shown.
        which: the rows that are shown, for the caption: ``"labels with the lowest F1"``.
    """
    if len(table.rows) <= MOST_ROWS:
        return [table]
    known = [i for i, value in enumerate(importance) if value == value]
    first = sorted(known, key=lambda i: importance[i])[:_MAX_UNFOLDED]
    caption = f"The {len(first)} {which}. {table.caption}"
    shown = Table(caption, table.columns, [table.rows[i] for i in first])
    return [*([shown] if first else []), Folded(f"All {len(table.rows):,} rows", [table])]
