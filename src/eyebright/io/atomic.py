"""Atomic writing of files: after an error or a crash, a file is the old one or the new one, never a partial one."""

import contextlib
import os
import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], Any], *, flush: bool = True) -> None:
    """Writes a temporary file in the folder of ``path``, flushes it to the disk, and renames it to ``path``.

    Args:
        path: the file to write.
        write: called with the path of the temporary file; writes the content.
        flush: False skips the flush to the disk; then a crash of the machine can leave a partial file.

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

    The temporary file is written when the ``with`` is entered, and deleted at its end if it was not renamed.

    Args:
        path: the file to write.
        write: called with the path of the temporary file; writes the content.
        flush: False skips the flush to the disk; then a crash of the machine can leave a partial file.

    Raises:
        OSError: the file cannot be written or renamed; the error names ``path``, which is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")

    def rename() -> None:
        with _errors_name(path, temporary):
            temporary.replace(path)

    try:
        with _errors_name(path, temporary):
            _write_file(temporary, write, flush=flush)
        yield rename
    finally:
        with contextlib.suppress(OSError):  # must not replace an earlier exception
            temporary.unlink(missing_ok=True)


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
    """Makes an `OSError` that names no file, such as that of a full disk, or the temporary one, name ``path``."""
    try:
        yield
    except OSError as error:
        if error.filename not in (None, str(temporary)):
            raise
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
