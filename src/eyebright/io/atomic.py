"""Files that are either the old ones or the new ones, never half of each."""

import contextlib
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any


def write_atomically(path: Path, write: Callable[[Path], Any], *, flush: bool = True) -> None:
    """Let ``write`` fill a temporary file beside ``path``, flush it to the disk, and rename it to ``path``.

    Args:
        path: what the file is to be called.
        write: writes into the path that it is given.
        flush: False leaves the flushing to the system: then a crash of the machine can still leave half a file.

    Raises:
        OSError: the disk is full, read-only, or the like; it names ``path``, and what was there is unchanged.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        temporary.touch()
        mode = temporary.stat().st_mode  # what the user's umask gives new files; some writers make private ones
        write(temporary)
        temporary.chmod(mode)
        if flush:
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.filename != str(temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # nobody has heard of the temporary one
    finally:
        with contextlib.suppress(OSError):  # what went wrong before counts, not this
            temporary.unlink(missing_ok=True)
