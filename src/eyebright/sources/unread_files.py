"""Files beside the label files of a folder that are not read: an empty or damaged one is an error.

A folder can hold a label file for each part, or thousands of shards. If one of them is cut off by a copy or a full
disk, it has no format any more; without a message its images would be missing, and perhaps the whole validation set.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from eyebright.errors import InputError, listing
from eyebright.io.containers import Signature, tar_members
from eyebright.sources.label_file import LabelFile

_COMPRESSED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"PK\x03\x04")


def is_beside(path: Path, files: Sequence[Path]) -> bool:
    """True for a file with the extension of one of the files, in its folder, that is none of them.

    Args:
        path: the file.
        files: the label files that are read.
    """
    return path not in files and any(
        path.parent == file.parent and path.suffix.lower() == file.suffix.lower() for file in files
    )


def check_readable(file: LabelFile, title: str) -> None:
    """Raises `InputError` for a file that cannot be read as what its extension states.

    Args:
        file: a file beside label files.
        title: the format of these, for the message.
    """
    if problem := _problem(file):
        raise InputError(
            f"'{file.path}' {problem}, and the other {file.suffix} files in its folder are {title}: restore it, or take"
            " it out of the folder"
        )


def unread_message(files: Sequence[Path], title: str) -> str:
    """The message about files that are not read; empty without any.

    Args:
        files: the files.
        title: the format of the others.
    """
    names = listing([file.name for file in files])
    return f"label files that are not read, since they are not {title}: {names}" if files else ""


def too_many_message(files: Sequence[Path], path: Path) -> str:
    """The message about files that were not looked at, since there are many in one folder; empty without any.

    Args:
        files: the files.
        path: the folder that is read.
    """
    if not files:
        return ""
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in Counter(file.suffix for file in files).most_common())
    return (
        f"files that are not read, since so many in one folder are taken for files of one image each: {kinds} (such as "
        f"'{files[0].relative_to(path).as_posix()}'); if they are label files, `format` reads all of them"
    )


def _problem(file: LabelFile) -> str:
    try:
        head = file.head
        if file.suffix == ".tar" and head:
            tar_members(Signature.of(file.path))
    except InputError as error:
        return f"cannot be read ({error})"
    if not head.strip():
        return "is empty"
    if head.startswith(_COMPRESSED):
        return "is compressed"
    if file.suffix == ".parquet" and not head.startswith(b"PAR1"):
        return "is not Parquet"
    is_json = file.begin.startswith((b"{", b"[", b"\xff\xfe{", b"\xff\xfe["))
    return "is not JSON" if file.suffix in (".json", ".jsonl", ".ndjson") and not is_json else ""
