"""`file_findings`: image files that no row names, and rows that no file has."""

import os
import posixpath
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from eyebright.check.facts import FactTable
from eyebright.check.finding import MAX_FILES, Finding, files_at
from eyebright.errors import count_text, listing
from eyebright.io.files import IMAGE_EXTENSIONS
from eyebright.sources.source import Source

MISSING = "there is no such file"
"""The reason of `eyebright.errors.ImageError` for a file that does not exist."""

MAX_ENTRIES = 10_000_000
"""Files and folders that are gone through; of a folder with more, the finding has "at least"."""


def file_findings(source: Source, facts: FactTable | None = None, *, unnamed: bool = True) -> list[Finding]:
    """Images that are named and not there, that are there and not named, and that the data leave out.

    Args:
        source: the labelled images.
        facts: the facts of the same images; None: it is unknown whether the files exist.
        unnamed: False to leave out images that no row names, for which all folders are gone through.
    """
    return [*_missing(source, facts), *(_unnamed(source) if unnamed else []), *_left_out(source)]


def _missing(source: Source, facts: FactTable | None) -> list[Finding]:
    rows = sorted(row for row, why in facts.errors.items() if why == MISSING) if facts is not None else []
    if not rows:
        return []
    files = files_at(source, rows)
    lines = {} if source.lines is None else {"lines": [int(source.lines[row]) for row in rows[:MAX_FILES]]}
    return [
        Finding(
            kind="missing_files",
            severity="error",
            sentence=f"{count_text(len(rows), 'image')} of {len(source):,} named in the data and not there: "
            f"{listing(files, limit=3)}.",
            remedy=f"Look for them, or remove their rows; the images are searched for in '{source.root}', and the "
            "option `images` names another folder.",
            figure=len(rows),
            files=files,
            details=lines,
        )
    ]


def _unnamed(source: Source) -> list[Finding]:
    root = str(source.root.absolute())
    named = (str(file) for file in (*source.files, *source.left_out, *source.skipped))
    known = {posixpath.normpath(os.path.relpath(file, root) if file.startswith(os.sep) else file) for file in named}
    count = n_entries = 0
    files: list[str] = []
    folders: Counter[str] = Counter()
    for folder, names, n_seen in _images_by_folder(source.root):
        prefix = f"{folder}/" if folder else ""
        unnamed = [name for name in names if prefix + name not in known]
        if unnamed:
            count += len(unnamed)
            folders[folder or "."] += len(unnamed)
            files += (prefix + name for name in sorted(unnamed)[: MAX_FILES - len(files)])
        n_entries += n_seen
        if n_entries >= MAX_ENTRIES:
            break
    if not count:
        return []
    least = "at least " if n_entries >= MAX_ENTRIES else ""
    where = ", ".join(f"'{name}' ({number:,})" for name, number in folders.most_common(3))
    return [
        Finding(
            kind="unnamed_files",
            severity="note",
            sentence=f"No row names {least}{count_text(count, 'image')} in '{source.root}': {listing(files, limit=3)}; "
            f"folders: {where}{', ...' if len(folders) > 3 else ''}.",
            remedy="They are not used. If they should be, add rows with their labels.",
            figure=count,
            files=tuple(files),
            details={"folders": dict(folders.most_common(100))},
        )
    ]


def _left_out(source: Source) -> list[Finding]:
    if not source.left_out:
        return []
    reasons = Counter(source.left_out.values())
    return [
        Finding(
            kind="left_out",
            severity="note",
            sentence=f"{count_text(len(source.left_out), 'image')} named in the data and not used: "
            + ", ".join(f"{why} ({count:,})" for why, count in reasons.most_common(5))
            + ".",
            remedy="If they should be used, complete what the reason names.",
            figure=len(source.left_out),
            files=tuple(source.left_out)[:MAX_FILES],
            details={"reasons": dict(reasons.most_common(100))},
        )
    ]


def _images_by_folder(root: Path) -> Iterator[tuple[str, list[str], int]]:
    """(folder relative to the root, its image files, number of its entries) of each folder that is not hidden.

    Symbolic links are not followed, so that no folder outside of the root is searched.
    """
    pending = [""]
    while pending:
        folder = pending.pop()
        names: list[str] = []
        folders: list[str] = []
        n_entries = 0
        for entry in _entries(root / folder):
            n_entries += 1
            if n_entries > MAX_ENTRIES:
                break
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(f"{folder}/{entry.name}" if folder else entry.name)
            elif entry.name.lower().endswith(IMAGE_EXTENSIONS) and entry.is_file(follow_symlinks=False):
                names.append(entry.name)
        yield folder, names, n_entries
        pending += sorted(folders, reverse=True)


def _entries(folder: Path) -> Iterator["os.DirEntry[str]"]:
    """The content of a folder; empty if it cannot be read or is not a folder."""
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError:
        return
