"""Column names for tables of predictions."""

from collections.abc import Iterable

_ALWAYS = ("path", "labels")


def distinct_columns(
    names: Iterable[str], *, taken: Iterable[str] = _ALWAYS, prefix: str = "probability_"
) -> list[str]:
    """A column name for each class that no other column has: ``prefix`` is put before a name that is taken.

    >>> distinct_columns(["cat", "path"])
    ['cat', 'probability_path']

    Args:
        names: the classes.
        taken: the other columns of the table.
        prefix: put before a name, as often as it takes.
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
