"""`ReviewSession`: the values of all images with the actions of the journal applied, and the actions themselves.

All requests of all browsers meet here, one at a time. An action is written to the journal before it is applied, and
names for each value what it was: if that is no longer true, because another browser was faster, nothing is applied.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from eyebright.errors import ArtifactError, InputError, count_text, listing
from eyebright.review.entry import Change, Entry
from eyebright.review.history import ActionHistory
from eyebright.review.items import NO_SUSPECTS, Answers, ReviewItems, Suspects
from eyebright.review.journal import Journal, JournalContent
from eyebright.review.refusal import Refusal
from eyebright.review.values import UNKNOWN, Vocabulary, name_problem, unknown_values


def utc_now() -> str:
    """The time, as ISO 8601 has it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class Action:
    """The action that a browser requests.

    Args:
        name: its identifier, by which a repeated request is recognised.
        changes: the changes, with the rows of the images.
        reviewed: rows of images that are confirmed.
        unreviewed: rows of images that are no longer confirmed.
    """

    name: str
    changes: Sequence[Change] = ()
    reviewed: Sequence[int] = ()
    unreviewed: Sequence[int] = ()


@dataclass(eq=False)
class ReviewSession:
    """The state of a review; its methods may be called from many threads.

    Args:
        items: the images with their given values.
        journal: the journal of actions.
        who: the person.
        suspects: labels that are probably wrong.
        answers: the predictions of a model; None: there is no model yet.
        now: the function that returns the time of an action.
        columns: the column names of the label file, which cannot be names of labels.
    """

    items: ReviewItems
    journal: Journal
    who: str
    suspects: Suspects = NO_SUSPECTS
    answers: Answers | None = None
    now: Callable[[], str] = utc_now
    lock: threading.RLock = field(default_factory=threading.RLock)
    columns: Collection[str] = ()
    model: int = 0
    revision: int = 0
    history: ActionHistory = field(default_factory=ActionHistory)

    def __post_init__(self) -> None:
        self.vocabulary: Vocabulary = self.items.vocabulary
        self.given: Float[np.ndarray, "n c w"] = self.items.given
        self.current: Float[np.ndarray, "n c w"] = self.items.given.copy()
        count = len(self.items)
        self.unlabelled: Bool[np.ndarray, " n"] = np.asarray(np.isnan(self.items.given).all(axis=(1, 2)))
        self.reviewed: Bool[np.ndarray, " n"] = np.zeros(count, dtype=np.bool_)
        self.changed: Bool[np.ndarray, " n"] = np.zeros(count, dtype=np.bool_)
        self.row_of = {file: row for row, file in enumerate(self.items.files)}

    # ------------------------------------------------------------------ the journal of former sessions

    def replay(self, content: JournalContent) -> list[str]:
        """Applies the actions of a journal, in their order; returns sentences for the user.

        Raises:
            ArtifactError: a line is not an action.
            InputError: the journal is of other images.
        """
        named, absent, gone = set[str](), set[str](), list[str]()
        for number, line in enumerate(content.entries, 2):
            try:
                entry = Entry.from_json(line, lambda file: self.row_of.get(file, -1))
                self._grow_for(entry)
                gone += [change.cell for change in entry.changes if self._is_gone(change)]
                self._apply(
                    replace(
                        entry, changes=[cell_change for cell_change in entry.changes if not self._is_gone(cell_change)]
                    )
                )
            except (KeyError, TypeError, ValueError, AttributeError, Refusal) as error:
                raise ArtifactError(f"line {number:,} of '{self.journal.path}' is not an action of a review") from error
            files = {change.file for change in entry.changes}.union(entry.reviewed, entry.unreviewed)
            named |= files
            absent |= {file for file in files if file not in self.row_of}
        if named and len(absent) == len(named):
            raise InputError(
                f"'{self.journal.path}' is the journal of other images ({listing(sorted(named), limit=3)}), none of "
                f"which is here; give another folder with `journal`"
            )
        sentences = list(content.notices)
        if self.history.entries:
            sentences.append(
                f"continued: {count_text(len(self.history.entries), 'action')} on {count_text(len(named), 'image')}"
            )
        if absent:
            sentences.append(
                f"images of the journal that are not among these: {len(absent):,}; their actions stay in the journal"
            )
        if gone:
            sentences.append(
                f"changes of {self.vocabulary.kind} that there are no more ({listing(sorted(set(gone)), limit=3)}): "
                f"{len(gone):,}; they stay in the journal"
            )
        return sentences

    def _is_gone(self, change: Change) -> bool:
        """Whether a change is of a point or number that these images do not have."""
        return not self.vocabulary.has_probabilities and change.cell not in self.vocabulary.cells

    def _grow_for(self, entry: Entry) -> None:
        """Adds labels of the journal that the images do not have, such as those of an earlier model."""
        if not self.vocabulary.has_probabilities:
            return
        if self.vocabulary.is_exclusive:
            names = [value for change in entry.changes for value in (change.was, change.now) if value != UNKNOWN]
        else:
            names = [change.cell for change in entry.changes]
        for name in dict.fromkeys([*names, *filter(None, [entry.add])]):
            if name not in self.vocabulary.names:
                self._grow(name)

    # ------------------------------------------------------------------ actions

    def change(self, action: Action) -> int | None:
        """Carries out an action; returns its revision, or None if it changes nothing.

        Raises:
            Refusal: a value is not what the browser thinks (409), or the journal cannot be written (507).
        """
        with self.lock:
            if (former := self.history.former(action.name)) is not None:
                return former.revision
            self._check_current(action.changes)
            changes = tuple(change for change in action.changes if change.was != change.now)
            reviewed = [row for row in dict.fromkeys(action.reviewed) if not self.reviewed[row]]
            unreviewed = [row for row in dict.fromkeys(action.unreviewed) if self.reviewed[row]]
            if not (changes or reviewed or unreviewed):
                return None
            entry = self._new(action.name, changes=changes, reviewed=reviewed, unreviewed=unreviewed)
            self._write(entry)
            return entry.revision

    def undo(self, action: str, reference: int | str | None) -> tuple[int, Entry]:
        """Takes an action back; returns (the new revision, what was taken back).

        Args:
            action: the identifier of the request.
            reference: the revision or the identifier of the action; None: the newest of this person that is not undone.

        Raises:
            Refusal: there is none, or a later action changed the same values.
        """
        with self.lock:
            if (former := self.history.former(action)) is not None and former.undoes is not None:
                return former.revision, self.history.entry(former.undoes)
            target = self.history.named(reference) if reference is not None else self.history.newest_undoable(self.who)
            if target is None:
                raise Refusal(409, "there is nothing to undo")
            if not target.can_be_undone or self.history.is_undone(target):
                raise Refusal(409, f"action {target.revision} cannot be undone: it sets nothing, or is undone already")
            return self._reverse(action, target, undoes=target.revision), target

    def redo(self, action: str, reference: int | str | None) -> tuple[int, Entry]:
        """Takes an undo back; returns (the new revision, the undo that was taken back).

        Args:
            action: the identifier of the request.
            reference: the revision or the identifier of the undo; None: the newest of this person, unless something was
                changed since.

        Raises:
            Refusal: there is none, or a later action changed the same values.
        """
        with self.lock:
            if (former := self.history.former(action)) is not None and former.redoes is not None:
                return former.revision, self.history.entry(former.redoes)
            target = self.history.named(reference) if reference is not None else self.history.newest_undo(self.who)
            if target is None or target.undoes is None or self.history.is_undone(target):
                raise Refusal(409, "there is nothing to redo")
            return self._reverse(action, target, redoes=target.revision), target

    def add_name(self, action: str, name: str) -> int:
        """Adds a label or class; returns the revision.

        Raises:
            Refusal: it is there already, too long, or these images have points or numbers.
        """
        with self.lock:
            if (former := self.history.former(action)) is not None:
                return former.revision
            name = name.strip()
            if not self.vocabulary.has_probabilities:
                raise Refusal(400, f"{self.vocabulary.kind} cannot be added here, only labels and classes")
            if name in self.vocabulary.names:
                raise Refusal(409, f"there is a label '{name}' already")
            if problem := name_problem(name, self.vocabulary.names, self.columns):
                raise Refusal(400, problem)
            entry = self._new(action, add=name)
            self.journal.append(entry.to_json())
            self._grow(name)
            self._apply(entry)
            return entry.revision

    def note_saved(self, saved: Mapping[str, Any]) -> int:
        """Notes in the journal that a table was written; returns the revision.

        Raises:
            Refusal: the journal cannot be written.
        """
        with self.lock:
            entry = self._new(f"saved-{self.revision + 1}", saved=saved)
            self._write(entry)
            return entry.revision

    # ------------------------------------------------------------------ answers of a model

    def set_answers(self, answers: Answers) -> None:
        """Replaces a model's predictions for the images."""
        with self.lock:
            self.answers = answers
            self.model += 1

    # ------------------------------------------------------------------ what is known

    def known(self) -> Bool[np.ndarray, " n"]:
        """The images of which something is known."""
        return np.asarray(~np.isnan(self.current).all(axis=(1, 2)))

    def left(self) -> Bool[np.ndarray, " n"]:
        """The images that nobody has confirmed or changed."""
        return ~(self.reviewed | self.changed)

    def counts(self) -> dict[str, int]:
        """Numbers of images for the page."""
        return {
            "items": len(self.items),
            "reviewed": int(self.reviewed.sum()),
            "changed": int(self.changed.sum()),
            "unlabelled": int((~self.known()).sum()),
        }

    def changed_since(self, revision: int) -> list[int]:
        """The images that actions after a revision concern."""
        rows = set[int]()
        for entry in self.history.after(revision):
            rows.update(self.rows(entry))
        return sorted(rows)

    def rows(self, entry: Entry) -> set[int]:
        """The images that an entry concerns, those that are here."""
        files = (*entry.reviewed, *entry.unreviewed)
        found = {self.row_of.get(file, -1) for file in files} | {change.row for change in entry.changes}
        return found - {-1}

    # ------------------------------------------------------------------ private

    def _check_current(self, changes: Sequence[Change]) -> None:
        """Raises `Refusal` with the images as they are now if a value is not what it was thought to be."""
        wrong = sorted(
            {
                cell_change.row
                for cell_change in changes
                if self._value(cell_change.row, cell_change.cell) != cell_change.was
            }
        )
        if wrong:
            raise Refusal(409, "changed meanwhile, in another browser or window; look again", {"rows": wrong})

    def _value(self, row: int, cell: str) -> Any:
        return self.vocabulary.decode(self.current[row, self.vocabulary.column(cell)].tolist())

    def _new(
        self,
        action: str,
        *,
        changes: Sequence[Change] = (),
        reviewed: Sequence[int] = (),
        unreviewed: Sequence[int] = (),
        **further: Any,
    ) -> Entry:
        files = self.items.files
        confirmed, withdrawn = (tuple(files[row] for row in rows) for rows in (reviewed, unreviewed))
        return Entry(self.revision + 1, action, self.now(), self.who, tuple(changes), confirmed, withdrawn, **further)

    def _reverse(self, action: str, target: Entry, **what: int) -> int:
        changes = tuple(change.reversed() for change in reversed(target.changes) if change.row >= 0)
        wrong = {
            cell_change.row
            for cell_change in changes
            if self._value(cell_change.row, cell_change.cell) != cell_change.was
        }
        wrong |= self._confirmed_since(target)
        if wrong:
            raise Refusal(409, "it cannot be taken back: something else was set there since", {"rows": sorted(wrong)})
        rows = [[self.row_of[file] for file in files if file in self.row_of] for files in self._flags(target)]
        entry = self._new(action, changes=changes, reviewed=rows[0], unreviewed=rows[1], **what)
        self._write(entry)
        return entry.revision

    def _confirmed_since(self, target: Entry) -> set[int]:
        """The images of an entry that a later action, which is still in effect, confirmed, or no longer confirms."""
        files = {*target.reviewed, *target.unreviewed} & self.row_of.keys()
        later = set[str]()
        for entry in self.history.after(target.revision) if files else ():
            if entry.can_be_undone and not self.history.is_undone(entry):
                later |= files.intersection((*entry.reviewed, *entry.unreviewed))
        return {self.row_of[file] for file in later}

    def _flags(self, target: Entry) -> tuple[Sequence[str], Sequence[str]]:
        """(files to be confirmed, files to be not confirmed any more) by taking an entry back."""
        return target.unreviewed, target.reviewed

    def _write(self, entry: Entry) -> None:
        self.journal.append(entry.to_json())
        self._apply(entry)

    def _apply(self, entry: Entry) -> None:
        for change in entry.changes:
            if change.row >= 0:
                self.current[change.row, self.vocabulary.column(change.cell)] = self.vocabulary.encode(change.now)
        for files, value in ((entry.reviewed, True), (entry.unreviewed, False)):
            self.reviewed[[self.row_of[file] for file in files if file in self.row_of]] = value
        rows = np.array(sorted({change.row for change in entry.changes if change.row >= 0}), dtype=np.int64)
        now, given = self.current[rows], self.given[rows]
        self.changed[rows] = ~((now == given) | (np.isnan(now) & np.isnan(given))).all(axis=(1, 2))
        self.history.add(entry)
        self.revision = entry.revision

    def _grow(self, name: str) -> None:
        self.vocabulary = self.vocabulary.with_name(name)
        if not self.vocabulary.is_exclusive:
            column = unknown_values(Vocabulary(self.vocabulary.kind, (name,)), len(self.items))
            self.given = np.concatenate([self.given, column], axis=1)
            self.current = np.concatenate([self.current, column], axis=1)
