"""`ActionHistory`: the actions of a review in their order, and which of them are undone."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Any

from eyebright.review.entry import Entry
from eyebright.review.refusal import Refusal


class ActionHistory:
    """The entries of all actions that are applied, the oldest first; their revisions rise."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self._undone = set[int]()  # revisions
        self._of_action: dict[str, Entry] = {}

    def add(self, entry: Entry) -> None:
        """Adds the newest entry, which may undo or redo another one.

        Raises:
            Refusal: it redoes an entry that does not exist.
        """
        if entry.undoes is not None:
            self._undone.add(entry.undoes)
        if entry.redoes is not None:
            self._undone.add(entry.redoes)
            self._undone.discard(self.entry(entry.redoes).undoes or 0)
        self.entries.append(entry)
        self._of_action[entry.action] = entry

    def is_undone(self, entry: Entry) -> bool:
        """Whether an entry was taken back, and is not in effect again."""
        return entry.revision in self._undone

    def former(self, action: str) -> Entry | None:
        """The entry of an action that was sent before."""
        return self._of_action.get(action)

    def after(self, revision: int) -> Iterator[Entry]:
        """The entries after a revision, the newest first."""
        for entry in reversed(self.entries):
            if entry.revision <= revision:
                break
            yield entry

    def named(self, reference: int | str) -> Entry:
        """The entry of a revision, or of the identifier of an action.

        Raises:
            Refusal: there is none.
        """
        if isinstance(reference, int):
            return self.entry(reference)
        if (entry := self.former(reference)) is None:
            raise Refusal(409, "this action was not carried out, so there is nothing to take back")
        return entry

    def entry(self, revision: int) -> Entry:
        """The entry of a revision.

        Raises:
            Refusal: there is none.
        """
        place = bisect_left(self.entries, revision, key=lambda entry: entry.revision)
        if place == len(self.entries) or self.entries[place].revision != revision:
            raise Refusal(409, f"there is no action {revision}")
        return self.entries[place]

    def newest_undoable(self, who: str) -> Entry | None:
        """The newest action of a person that can be undone."""
        mine = (entry for entry in reversed(self.entries) if entry.who == who)
        return next((entry for entry in mine if entry.can_be_undone and not self.is_undone(entry)), None)

    def newest_undo(self, who: str) -> Entry | None:
        """The newest undo of a person that was not taken back, unless the person set something else after it."""
        for entry in reversed(self.entries):
            if entry.who == who and entry.can_be_undone:
                return None
            if entry.who == who and entry.undoes is not None and not self.is_undone(entry):
                return entry
        return None

    def last_saved(self) -> Mapping[str, Any] | None:
        """The table that was written last, with its revision; None: none was."""
        for entry in reversed(self.entries):
            if entry.saved:
                return {"path": entry.saved.get("path"), "revision": entry.revision}
        return None
