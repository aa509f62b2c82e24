"""`Entry`: one action of a person, as it is in the journal, in the log of the page, and in memory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """The value of one cell of one image before and after an action.

    Args:
        row: the image; -1 if this session does not have it.
        file: the name of the image.
        cell: the label, point or number; empty for a class.
        was: the value before.
        now: the value after.
    """

    row: int
    file: str
    cell: str
    was: Any
    now: Any

    def reversed(self) -> "Change":
        """The change that reverts this one."""
        return Change(self.row, self.file, self.cell, self.now, self.was)

    def to_json(self) -> dict[str, Any]:
        """The change for the journal, which names the file."""
        return {"file": self.file, "cell": self.cell, "was": self.was, "now": self.now}


@dataclass(frozen=True, slots=True)
class Entry:
    """One action: one key press or click that sets anything, of one image or of many.

    Args:
        revision: a number, one greater than that of the action before.
        action: the identifier from the browser; a repeated request is not executed again.
        time: the time in UTC, as ISO 8601.
        who: the person.
        changes: the changes of values.
        reviewed: the images that a person confirmed.
        unreviewed: the images that are no longer confirmed.
        undoes: the revision that it reverts, or None.
        redoes: the revision of an undo that it reverts, or None.
        add: a label that it adds; empty: none.
        saved: the table that was written; empty: none.
    """

    revision: int
    action: str
    time: str
    who: str
    changes: Sequence[Change] = ()
    reviewed: Sequence[str] = ()
    unreviewed: Sequence[str] = ()
    undoes: int | None = None
    redoes: int | None = None
    add: str = ""
    saved: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def can_be_undone(self) -> bool:
        """Whether it sets anything by itself."""
        return bool(self.changes or self.reviewed or self.unreviewed) and self.undoes is None and self.redoes is None

    def to_json(self) -> dict[str, Any]:
        """A line of the journal; empty members are left out."""
        line: dict[str, Any] = {"revision": self.revision, "action": self.action, "time": self.time, "who": self.who}
        optional = {
            "changes": [change.to_json() for change in self.changes],
            "reviewed": list(self.reviewed),
            "unreviewed": list(self.unreviewed),
            "add": self.add,
            "saved": dict(self.saved),
        }
        line |= {name: value for name, value in optional.items() if value}
        numbers = {"undoes": self.undoes, "redoes": self.redoes}
        return line | {name: value for name, value in numbers.items() if value is not None}

    @staticmethod
    def from_json(line: Mapping[str, Any], row_of: Callable[[str], int]) -> "Entry":
        """The entry of a line of the journal.

        Args:
            line: the result of `to_json`.
            row_of: the row of the image with a name; -1 if there is none.

        Raises:
            KeyError, TypeError, ValueError: the line is not an entry.
        """
        changes = tuple(
            Change(row_of(change["file"]), str(change["file"]), str(change["cell"]), change["was"], change["now"])
            for change in line.get("changes", ())
        )
        return Entry(
            int(line["revision"]), str(line["action"]), str(line["time"]), str(line["who"]), changes,
            tuple(map(str, line.get("reviewed", ()))), tuple(map(str, line.get("unreviewed", ()))),
            line.get("undoes"), line.get("redoes"), str(line.get("add", "")), dict(line.get("saved", {})),
        )  # fmt: skip

    def shown(self, *, undone: bool) -> dict[str, Any]:
        """The entry for the log of the page.

        Args:
            undone: whether it was reverted.
        """
        changes = [{"id": change.row} | change.to_json() for change in self.changes]
        return self.to_json() | {"changes": changes, "undone": undone}
