"""Long tables: the most important rows are shown, and the whole table is collapsed."""

from collections.abc import Sequence

from eyebright.web.blocks import Collapsed, Table

MAX_ROWS = 100
"""The maximum number of rows of a table that is not collapsed."""

MAX_EXPANDED = 20
"""Rows of a longer table that are shown."""

MAX_CARDS = 24
"""Images of a gallery."""

MAX_EXPANDED_CARDS = 8
"""Images or diagrams of a longer gallery that are shown."""


def collapsed(table: Table, importance: Sequence[float], *, which: str) -> list[Table | Collapsed]:
    """The table; if it is long, its most important rows, and the whole table collapsed.

    Args:
        table: the table.
        importance: the sort key of each row; the smallest is shown first, NaN is not shown.
        which: the rows that are shown, for the caption: ``"labels with the lowest F1"``.
    """
    if len(table.rows) <= MAX_ROWS:
        return [table]
    known = [i for i, value in enumerate(importance) if value == value]
    first = sorted(known, key=lambda i: importance[i])[:MAX_EXPANDED]
    caption = f"The {len(first)} {which}. {table.caption}"
    shown = Table(caption, table.columns, [table.rows[i] for i in first])
    return [*([shown] if first else []), Collapsed(f"All {len(table.rows):,} rows", [table])]
