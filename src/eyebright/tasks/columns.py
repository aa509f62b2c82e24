"""Names of the columns of a table of predictions."""

from collections.abc import Iterable

_ALWAYS = ("path", "labels")


def distinct_columns(
    names: Iterable[str], *, taken: Iterable[str] = _ALWAYS, prefix: str = "probability_"
) -> list[str]:
    """A unique column name for each class: its own, with ``prefix`` before it if another column has that name.

    >>> distinct_columns(["cat", "path"])
    ['cat', 'probability_path']

    Args:
        names: of the classes or numbers, without duplicates: `Vocab` and `RegressionBlock` accept none.
        taken: the other columns of the table.
        prefix: put before a name that is taken, repeatedly if needed.
    """
    names = list(names)
    used = {*taken, *names}
    columns: list[str] = []
    for name in names:
        column = name
        while column in taken or (column != name and column in used):
            column = f"{prefix}{column}"
        used.add(column)
        columns.append(column)
    return columns
