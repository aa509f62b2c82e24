"""`Journal`: a file with one JSON line for each action, which is only appended to.

A line is written with one call and flushed to disk before an action is answered, so that killing the process at any
moment loses nothing that the page has shown as saved. Images are identified by their files, not by numbers, so the
journal stays valid when a model is trained again. The first line describes the journal.
"""

import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError, InputError, os_reason
from eyebright.io.atomic import make_folder
from eyebright.review.refusal import Refusal

FORMAT = "eyebright review journal"
VERSION = 1

JOURNAL = "journal.jsonl"
"""The name of a journal, in its folder."""


@dataclass(frozen=True)
class JournalContent:
    """The content of a journal when it was opened.

    Args:
        entries: the actions, oldest first.
        notices: sentences for the user, such as that a half-written line was set aside.
    """

    entries: Sequence[Mapping[str, Any]]
    notices: Sequence[str]


class Journal:
    """A journal that this process has locked; created by `open`.

    Args:
        path: the path of the file.
        descriptor: the descriptor of the file, open for appending.
        size: the size of the file, in bytes.
    """

    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path = path
        self._descriptor = descriptor
        self._size = size
        self._is_half = False

    @staticmethod
    def open(path: Path, kind: str) -> tuple["Journal", JournalContent]:
        """(the journal, its content); the file and its folder are created if they are missing.

        Args:
            path: the path of the file.
            kind: the kind of targets; a journal of another kind is rejected.

        Raises:
            ArtifactError: another process has it open, it cannot be read or written, or it is damaged.
            InputError: the file is of a newer version, of another kind of targets, or not a journal.
        """
        try:
            make_folder(path.parent)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
        except OSError as error:
            raise ArtifactError(
                f"cannot write the journal of the review '{path}': {os_reason(error)}; `journal` names another folder"
            ) from None
        try:
            _lock(descriptor, path)
            content, size = _read(descriptor, path, kind)
            journal = Journal(path, descriptor, size)
            if not size:
                journal.append({"format": FORMAT, "version": VERSION, "kind": kind})
        except OSError as error:
            os.close(descriptor)
            raise ArtifactError(f"cannot read the journal of the review '{path}': {os_reason(error)}") from None
        except Refusal as refusal:
            os.close(descriptor)
            raise ArtifactError(refusal.sentence) from None
        except BaseException:
            os.close(descriptor)
            raise
        return journal, content

    def append(self, entry: Mapping[str, Any]) -> None:
        """Adds a line, which is on the disk when this returns.

        Raises:
            Refusal: it cannot be written, for example because the disk is full, or it was moved or deleted; the file is
                unchanged.
        """
        if self._is_half and not self._take_back():
            raise Refusal(
                507,
                f"not saved: '{self.path.name}' ends in a half-written line that cannot be removed; make room on the "
                "disk, and start the review again",
            )
        if self._descriptor >= 0 and not self._is_at_its_path():
            raise Refusal(
                507,
                f"not saved: '{self.path}' was moved, deleted or replaced while this review had it open; put it back, "
                "or start the review again",
            )
        line = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        try:
            written = os.write(self._descriptor, line)
            if written < len(line):
                raise OSError(28, "No space left on device")
            os.fsync(self._descriptor)
        except OSError as error:
            self._take_back()
            raise Refusal(
                507, f"not saved: '{self.path.name}' cannot be written ({os_reason(error)}); nothing has changed"
            ) from None
        self._size += len(line)

    def close(self) -> None:
        """Closes the file, so that another process can open the journal; a second time it does nothing."""
        descriptor, self._descriptor = self._descriptor, -1  # the number may soon be another file's
        if descriptor >= 0:
            os.close(descriptor)

    def _is_at_its_path(self) -> bool:
        """Whether the next review will find the opened file; lines of a deleted one would be lost."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.stat(self.path))  # noqa: PTH116
        except OSError:
            return False

    def _take_back(self) -> bool:
        """Removes what was written after the last whole line; whether that went well."""
        try:
            os.ftruncate(self._descriptor, self._size)
            self._is_half = False
        except OSError:  # no further line may follow; the next start sets the half-written one aside
            self._is_half = True
        return not self._is_half


def files_in_journal(path: Path) -> frozenset[str]:
    """The reviewed images: those on which a person confirmed or set a value, even if it was reverted.

    The journal may be open in another process; nothing is written.

    Args:
        path: the path of the file.

    Raises:
        ArtifactError: it cannot be read, or a line is damaged.
        InputError: the file is not a journal, or of a newer version.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"cannot read the journal of the review '{path}': {os_reason(error)}") from None
    header, *entries = [_parsed(line, number, path) for number, line in enumerate(data.split(b"\n")[:-1], 1)] or [{}]
    _check_header(header, path, None)
    try:
        changed = (change["file"] for entry in entries for change in entry.get("changes", ()))
        return frozenset((*changed, *(file for entry in entries for file in entry.get("reviewed", ()))))
    except (KeyError, TypeError) as error:
        raise ArtifactError(f"a line of '{path}' is not an action of a review") from error


def _lock(descriptor: int, path: Path) -> None:
    try:
        import fcntl  # not on Windows
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ArtifactError(
            f"another `eyebright review` has '{path}' open; use its page (several browsers can), or end it first"
        ) from None
    except OSError:  # a file system without locks
        return


def _read(descriptor: int, path: Path, kind: str) -> tuple[JournalContent, int]:
    """(content, size of the file), without a half-written last line."""
    data = b""
    os.lseek(descriptor, 0, os.SEEK_SET)
    while block := os.read(descriptor, 1 << 24):
        data += block
    complete, end = data[: data.rfind(b"\n") + 1], data[data.rfind(b"\n") + 1 :]
    notices: list[str] = []
    lines = complete.split(b"\n")[:-1]
    if end:
        aside = path.with_name(f"{path.name}.half-line-{time.time_ns()}")
        aside.write_bytes(end)
        os.ftruncate(descriptor, len(complete))
        notices.append(
            f"the last line of '{path}' was half-written when the program ended, and was never shown as saved; it was "
            f"moved to '{aside.name}'"
        )
    entries = [_parsed(line, number, path) for number, line in enumerate(lines, 1)]
    if entries:
        _check_header(entries[0], path, kind)
    return JournalContent(entries[1:], notices), len(complete)


def _parsed(line: bytes, number: int, path: Path) -> Mapping[str, Any]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        entry = None
    if not isinstance(entry, dict):
        raise ArtifactError(
            f"line {number:,} of the journal '{path}' is damaged; restore it from a copy, or review in another folder"
        )
    return entry


def _check_header(header: Mapping[str, Any], path: Path, kind: str | None) -> None:
    """Raises `InputError` unless this is the first line of a journal of this kind of targets; None: of any kind."""
    if header.get("format") != FORMAT or not isinstance(header.get("version"), int):
        raise InputError(f"'{path}' is not a journal of a review; choose another folder or file")
    if header["version"] > VERSION:
        raise InputError(
            f"'{path}' was written by a newer version of Eyebright (journal {header['version']}, this version reads "
            f"{VERSION}); use that one, or choose another folder"
        )
    if kind is not None and header.get("kind") != kind:
        raise InputError(
            f"'{path}' is the journal of a review of {header.get('kind')}, but these images have {kind}; give another "
            "folder with `journal`"
        )
