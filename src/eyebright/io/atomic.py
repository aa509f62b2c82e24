"""Atomic writing of files: after an error or a crash, a file is the old one or the new one, never a partial one.

A file is written in a temporary folder next to it, ``.NAME.XXXXXXXX``, and then renamed. The folder is locked by the
process that writes: if that is killed, the system releases the lock, and whoever writes next in that place removes the
folder with everything in it, including files that a library has written there under other names.
"""

import contextlib
import errno
import os
import re
import shutil
import time
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError, os_reason

_TEMPORARY = re.compile(r"\.[^.].*\.(?=\d*[a-f])[0-9a-f]{8}")  # eight digits alone may be a date
_WRITTEN_AS_FILES = re.compile(
    r".*\.(safetensors|json|parquet|csv|html|md|onnx|xml|bin|pt2|py|png|jsonl|txt)\.[0-9a-f]{8}"
)  # by older versions
UNPACKED = ".unpacked"
"""Extension of the paths next to which a temporary folder is for unpacking, with any content."""
_ATTEMPTS_TAKE = 1.0  # seconds
_STALE_AFTER = 3600  # seconds; where nothing can be locked, what is older was left by a process that was killed


def write_atomically(path: Path, write: Callable[[Path], Any], *, flush: bool = True) -> None:
    """Writes a temporary file in the folder of ``path``, flushes it to the disk, and renames it to ``path``.

    Args:
        path: the file to write.
        write: called with the path of the temporary file; writes the content.
        flush: False for many small files that can be recomputed: no flush to disk, so that a crash of the machine can
            leave a partial file; and remains of killed processes are not searched.

    Raises:
        OSError: the file cannot be written, for example because the disk is full. The error names ``path``, and an
            existing file is unchanged.
    """
    with prepared_file(path, write, flush=flush) as rename:
        rename()


@contextmanager
def prepared_file(
    path: Path, write: Callable[[Path], Any], *, flush: bool = True
) -> Generator[Callable[[], None], None, None]:
    """A function that renames a complete temporary file to ``path``; for several files that belong together.

    The temporary file is written when the ``with`` is entered, and deleted at its end if it was not renamed. What
    killed processes have left in the folder is removed first.

    Args:
        path: the file to write.
        write: called with the path of the temporary file; writes the content.
        flush: as in `write_atomically`.

    Raises:
        OSError: the file cannot be written or renamed; the error names ``path``, which is unchanged.
    """
    with _file_in_folder(path) if flush else _temporary_file(path) as temporary:

        def rename() -> None:
            with _errors_name(path, temporary):
                temporary.replace(path)

        with _errors_name(path, temporary):
            _write_file(temporary, write, flush=flush)
        yield rename


@contextmanager
def temporary_folder(path: Path) -> Generator[Path, None, None]:
    """A new folder next to ``path``, locked by this process and deleted at the end of the ``with``.

    Remains of killed processes next to ``path`` are removed first.

    Args:
        path: the path that is written; its folder exists. If the folder gets no file of its own name, the extension
            is `UNPACKED`, by which `remove_stale` knows it.

    Raises:
        OSError: the folder cannot be created; the error names ``path``.
    """
    remove_stale(path.parent)
    lock, folder = None, path
    while lock is None:
        folder = _beside(path)
        with _errors_name(path, folder):
            folder.mkdir()
        lock = _locked(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock >= 0:
            os.close(lock)


def attempts() -> Generator[None, None, None]:
    """Yields for one second, with pauses; the caller tries to read at each, and stops when it succeeds.

    For files that another process replaces one after the other: between two of its renames they are inconsistent.
    """
    end = time.monotonic() + _ATTEMPTS_TAKE
    pause = 0.0
    while True:
        yield
        if time.monotonic() > end:
            return
        time.sleep(pause)
        pause = min(pause + 0.001, 0.02)


@contextmanager
def exclusive_folder(folder: Path, *, wait: float = 0.0) -> Generator[bool, None, None]:
    """A context manager that locks a folder; its value is False if another process, or this one, already has.

    No file is written for it, and the system releases it if the process is killed. Where folders cannot be locked (on
    Windows, on some network drives) nothing is locked.

    Args:
        folder: the folder.
        wait: how long another process may keep it locked, in seconds.
    """
    try:
        import fcntl  # not on Windows

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield True
        return
    try:
        is_free, end = _is_locked(descriptor), time.monotonic() + wait
        while not is_free and time.monotonic() < end:
            time.sleep(0.05)
            is_free = _is_locked(descriptor)
        yield is_free
    finally:
        with contextlib.suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)  # also for worker processes that were forked in the meantime
        os.close(descriptor)


def link_target(path: Path) -> Path:
    """The file that a symbolic link leads to, which need not exist; the path itself if it is not a link.

    For files that a user names: the link stays, and the file that it leads to is written. What belongs to a model
    folder replaces a link, since that may lead into a store whose files must not change, as the cache of a hub does.

    Args:
        path: where a file is to be written.
    """
    try:
        return path.resolve() if path.is_symlink() else path
    except (OSError, RuntimeError):  # it leads to itself
        return path


def output_path(path: Path) -> Path:
    """The file to write for a path that a user names: the one that a link leads to; its folder is made.

    Raises:
        OSError: as in `make_folder`.
    """
    target = link_target(path)
    make_folder(target.parent)
    return target


def make_folder(folder: Path) -> None:
    """Creates a folder, and those above it, if necessary.

    Raises:
        OSError: it cannot be created; a file in its place is a `NotADirectoryError` that names it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        file = next((path for path in (folder, *folder.parents) if path.is_file()), folder)
        raise NotADirectoryError(errno.ENOTDIR, f"'{file}' is a file, not a folder", str(file)) from None


def remove_stale(folder: Path) -> None:
    """Removes the temporary folders that killed processes have left; never those of a living one.

    Args:
        folder: where files are written.
    """
    try:
        with os.scandir(folder) as entries:
            stale = [Path(entry.path) for entry in entries if _TEMPORARY.fullmatch(entry.name) and _is_temporary(entry)]
    except OSError:  # the folder does not exist yet, or cannot be listed: nothing to remove
        return
    for place in stale:
        _remove_unless_in_use(place)


def _is_temporary(entry: os.DirEntry[str]) -> bool:
    """Whether something named like a temporary folder is one: it holds nothing, or what is written for its path."""
    try:
        if not entry.is_dir(follow_symlinks=False):
            return _WRITTEN_AS_FILES.fullmatch(entry.name) is not None
        path = entry.name[1:-9]
        with os.scandir(entry.path) as items:
            inside = list(items)  # libraries put files of their own beside the one that they write
        is_written = any(item.name == entry.name for item in inside)
        return is_written or path.endswith(UNPACKED) or all(_is_written_for(path, item) for item in inside)
    except OSError:  # another process has removed it
        return False


def _is_written_for(path: str, item: os.DirEntry[str]) -> bool:
    """Whether an item of a temporary folder is the file of the path, or something temporary for it."""
    is_file = item.name == path and item.is_file(follow_symlinks=False)
    return is_file or (item.name.startswith(f".{path}.") and _TEMPORARY.fullmatch(item.name) is not None)


def _beside(path: Path) -> Path:
    """A new hidden path beside another one, of the form of `_TEMPORARY`."""
    return path.with_name(f".{path.name}.{uuid.uuid4().hex[:7]}f")


@contextmanager
def _temporary_file(path: Path) -> Generator[Path, None, None]:
    temporary = _beside(path)
    try:
        yield temporary
    finally:
        with contextlib.suppress(OSError):  # must not replace an earlier exception
            temporary.unlink(missing_ok=True)


@contextmanager
def _file_in_folder(path: Path) -> Generator[Path, None, None]:
    with temporary_folder(path) as folder:
        yield folder / folder.name


def _is_locked(descriptor: int) -> bool:
    """Locks an opened folder; False if somebody else has, True also where nothing can be locked."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _locked(folder: Path) -> int | None:
    """An open descriptor of the folder that holds its lock; -1 where folders cannot be locked; None if it is gone."""
    try:
        import fcntl  # not on Windows

        descriptor = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        return -1 if folder.exists() else None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError:
        os.close(descriptor)
        return -1
    if folder.exists():
        return descriptor
    os.close(descriptor)  # another process has removed it before it was locked
    return None


def _remove_unless_in_use(place: Path) -> None:
    """Removes a temporary folder that nobody has locked; by its age where folders cannot be locked.

    Older versions wrote temporary files, without a lock; of these, too, only old ones are removed.
    """
    with contextlib.suppress(OSError):  # another process has removed it, or it belongs to another user
        old = time.time() - place.stat().st_mtime > _STALE_AFTER
        if not place.is_dir():
            if old:
                place.unlink()
            return
        try:
            import fcntl  # not on Windows

            descriptor = os.open(place, os.O_RDONLY)
        except ImportError:
            if old:
                shutil.rmtree(place, ignore_errors=True)
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(place, ignore_errors=True)
        except BlockingIOError:
            pass
        finally:
            os.close(descriptor)


def _write_file(temporary: Path, write: Callable[[Path], Any], *, flush: bool) -> None:
    temporary.touch()
    # The permissions that the user's umask gives; some writers create files that only the user can read.
    mode = temporary.stat().st_mode
    write(temporary)
    temporary.chmod(mode)
    if flush:
        with temporary.open("rb") as written:
            os.fsync(written.fileno())


@contextmanager
def _errors_name(path: Path, temporary: Path) -> Generator[None, None, None]:
    """A context manager in which an `OSError` names ``path``, also one without a file or with the temporary one."""
    try:
        yield
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, os_reason(error), str(path)) from error


def write_text(path: Path, text: str, what: str, *, follow_link: bool = True, errors: str = "strict") -> None:
    """Writes a file of text, whole or not at all; its folder is made.

    Args:
        path: the file.
        text: its content.
        what: what it is, for the message: "cannot write the ...".
        follow_link: where ``path`` is a symbolic link, write the file that it leads to (`link_target`).
        errors: how characters that UTF-8 lacks are written, as in `open`.

    Raises:
        ArtifactError: it cannot be written; what was there stays.
    """
    try:
        target = link_target(path) if follow_link else path
        make_folder(target.parent)
        write_atomically(target, lambda file: file.write_text(text, encoding="utf-8", errors=errors))
    except OSError as error:
        raise ArtifactError(f"cannot write the {what} '{path}': {os_reason(error)}") from error
