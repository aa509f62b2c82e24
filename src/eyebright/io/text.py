"""Text files that are written line by line while a computation runs, and text that every file and screen can hold.

Python represents the bytes of a file name that is not UTF-8 as lone surrogates, which no encoder accepts: written as
they are, one such name would end a computation of hours with a `UnicodeEncodeError`.
"""

import contextlib
import os
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from eyebright.errors import InputError, message_text, os_reason
from eyebright.io.atomic import output_path


def valid_unicode(text: str) -> str:
    r"""The text with escapes for what is not valid Unicode, such as ``\udcff`` for the byte 255 in a file name.

    >>> valid_unicode("caf\udce9")
    'caf\\udce9'
    """
    return text.encode("utf-8", "backslashreplace").decode()


def warn(message: str, *, stacklevel: int = 2) -> None:
    """Warns the user with a message that is printable and bounded, whatever it quotes.

    Args:
        message: the warning.
        stacklevel: as in ``warnings.warn``: 2 names the line that called the caller.
    """
    warnings.warn(message_text(message), stacklevel=stacklevel + 1)


class GrowingFile:
    """A text file that can be used only when it is complete; until then its lines are in a temporary file next to it.

    Args:
        path: the file that is written at the end.
        partial: the file that has the lines until then.

    Attributes:
        earlier: partial files of other processes, which were interrupted or still write.
    """

    def __init__(self, path: Path, partial: Path) -> None:
        self.path = path
        self.partial = partial
        self.earlier: list[Path] = []
        self._stream = partial.open("x", encoding="utf-8", errors="backslashreplace", newline="")

    def write(self, text: str) -> int:
        """Writes a string, which is then in the file even if the process is killed; returns its number of characters.

        Characters that are not valid Unicode become escapes.

        Raises:
            OSError: the file cannot be written, for example because the disk is full.
        """
        with self._errors_name_the_file():
            written = self._stream.write(text)
            self._stream.flush()
        return written

    def complete(self) -> None:
        """Flushes the file to the disk and renames it, which replaces an older one.

        Raises:
            OSError: the file cannot be written or renamed.
        """
        with self._errors_name_the_file():
            os.fsync(self._stream.fileno())
            self._stream.close()
            self.partial.replace(self.path)

    def close(self) -> None:
        """Closes the partial file."""
        with contextlib.suppress(OSError):  # of a full disk: an earlier exception is more important
            self._stream.close()

    @contextmanager
    def _errors_name_the_file(self) -> Generator[None, None, None]:
        try:
            yield
        except OSError as error:
            raise OSError(error.errno, os_reason(error), str(self.path)) from error


@contextmanager
def growing_file(path: Path) -> Generator[GrowingFile, None, None]:
    """A file next to ``path`` that is written line by line, and keeps the lines after an error.

    It is called ``NAME.part``; or ``NAME.part-2``, ..., if there is one of an earlier process, which is kept and is in
    `GrowingFile.earlier`. The caller calls `GrowingFile.complete` at the end. The partial file is deleted if nothing
    was written.

    Args:
        path: the file to write at the end; a symbolic link stays, and the file that it leads to is written.

    Raises:
        InputError: ``path`` can never be written: it is a folder or a device, its folder cannot be created, or there is
            no permission.
    """
    file = _opened(path)
    try:
        yield file
    finally:
        file.close()
        with contextlib.suppress(OSError):
            if file.partial.stat().st_size == 0:
                file.partial.unlink()


def _opened(path: Path) -> GrowingFile:
    try:
        path = output_path(path)
        if path.exists() and not path.is_file():
            kind = "a folder: name a file in it" if path.is_dir() else "a device or a pipe: print instead"
            raise InputError(f"cannot write '{path}', which is {kind}")
        partial = path.with_name(f"{path.name}.part")
        numbers = count(2)
        earlier: list[Path] = []
        while True:
            try:
                file = GrowingFile(path, partial)
                file.earlier = earlier
                return file
            except FileExistsError:
                earlier.append(partial)
                partial = path.with_name(f"{path.name}.part-{next(numbers)}")
    except OSError as error:
        raise InputError(f"cannot write '{path}': {os_reason(error).lower()}; choose another") from None
