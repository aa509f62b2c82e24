"""Atomic writing of files: after an error or a crash, a file is the old one or the new one, never a partial one."""

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], Any], *, flush: bool = True) -> None:
    """Write a temporary file in the folder of ``path``, flush it to the disk, and rename it to ``path``.

    Args:
        path: the file to write.
        write: called with the path of the temporary file; writes the content.
        flush: False skips the flush to the disk; then a crash of the machine can leave a partial file.

    Raises:
        OSError: the file cannot be written, for example because the disk is full. The error names ``path``, and an
            existing file is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.touch()
        mode = (
            temporary.stat().st_mode
        )  # the permissions of the user's umask; some writers create files that only the user can read
        write(temporary)
        temporary.chmod(mode)
        if flush:
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename != str(temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # not the temporary path
    finally:
        with contextlib.suppress(OSError):  # must not replace an earlier exception
            temporary.unlink(missing_ok=True)
