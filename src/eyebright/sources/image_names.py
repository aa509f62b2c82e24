"""`ImageNames`: finds the files of the names and addresses that label files have for images.

Exports name an image as its server did: by an address (``gs://bucket/a/1.jpg``), by a path on another machine, with
characters escaped, without its folder or its extension. On the user's disk only the end of that path exists.
"""

import os
import posixpath
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from eyebright.errors import TableError
from eyebright.io.files import IMAGE_EXTENSIONS, folder_listing

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://[^/]*/?")
_DRIVE = re.compile(r"[A-Za-z]:/")


class ImageNames:
    """Finds the image files that a label file names.

    Args:
        folder: the folder of the images; what is found is relative to it.
        label_file: the label file, whose folder is tried first if it lies in ``folder``.
    """

    def __init__(self, folder: Path, label_file: Path) -> None:
        self._folder, self._label_file = folder, label_file
        self._prefix = f"{folder}/"
        self._beside = self._inner(label_file)
        self._index: dict[str, list[str]] | None = None
        self._elsewhere: tuple[int, str, str] = (0, "", "")
        self._outside: tuple[int, str] = (0, "")
        self._missing: tuple[int, str] = (0, "")

    def find(self, *names: str, line: int | None = None, beside: Path | None = None) -> str:
        """The path of the image, relative to the folder, with forward slashes.

        A name without a file is returned without the address; reading the images reports it.

        Args:
            names: the name in the label file, and other names that the image may have, the likelier first.
            line: the line of the label file, for an error.
            beside: the label file of this image, if each image has its own.

        Raises:
            TableError: the name is empty, or several images may be meant.
        """
        if beside is not None:
            self._label_file, self._beside = beside, self._inner(beside)
        plain = [_plain(name) for name in names]
        if not plain[0]:
            raise self._error("an image has no name", line)
        if path := self._as_written(plain):
            return path
        if path := self._by_path_suffix(plain) or self._in_any_folder(plain, line):
            count, first, first_path = self._elsewhere
            self._elsewhere = (count + 1, first or plain[0], first_path or path)
            return path
        outside = posixpath.normpath(plain[0] if _is_absolute(plain[0]) else self._beside + plain[0])
        if not _is_inside(outside) and self._exists(outside):
            self._outside = (self._outside[0] + 1, self._outside[1] or outside)
            return outside
        self._missing = (self._missing[0] + 1, self._missing[1] or names[0])
        return _path_suffixes(plain[0])[0]

    def messages(self) -> list[str]:
        """Sentences for the user on how the images were found."""
        count, name, path = self._elsewhere
        messages = (
            [f"file names found by their last part, or in another folder: {count} ('{name}' is '{path}')"]
            if count
            else []
        )
        outside, first = self._outside
        if outside:
            messages.append(
                f"images outside of the folder '{self._folder}', which are read as well: {outside} ('{first}')"
            )
        missing, first = self._missing
        if missing:
            messages.append(
                f"file names without an image in '{self._folder}': {missing} (such as '{first}'); `images` names"
                " the folder of the images"
            )
        return messages

    def _inner(self, label_file: Path) -> str:
        """The folder of a label file relative to that of the images, with a slash; empty where it is not in it."""
        parent = label_file.parent
        inner = parent.relative_to(self._folder).as_posix() if parent.is_relative_to(self._folder) else "."
        return "" if inner == "." else f"{inner}/"

    def _exists(self, path: str) -> bool:
        # Path.is_file raises for some names, and joining Paths takes longer than looking for the file
        return os.path.isfile(path if path[:1] == "/" else self._prefix + path)  # noqa: PTH113

    def _as_written(self, names: Sequence[str]) -> str:
        for name in names:
            for path in (self._beside + name, name) if self._beside else (name,):
                normal = posixpath.normpath(path) if "./" in path or "//" in path else path
                if _is_inside(normal) and self._exists(normal):
                    return normal
        return ""

    def _by_path_suffix(self, names: Sequence[str]) -> str:
        for name in names:
            for end in _path_suffixes(name):
                for path in dict.fromkeys((f"{self._beside}{end}", end)):
                    if self._exists(path):
                        return path
        return ""

    def _in_any_folder(self, names: Sequence[str], line: int | None) -> str:
        for name in names:
            if files := self._indexed(name):
                files = self._nearest(files)
                if len(files) > 1:
                    raise self._error(
                        f"'{names[0]}' may be '{files[0]}' or '{files[1]}' in '{self._folder}'; name the folder of the"
                        " images with `images`",
                        line,
                    )
                return files[0]
        return ""

    def _nearest(self, files: list[str]) -> list[str]:
        """The only one below the folder of the label file, or in a folder of its name; else all of them."""
        if len(files) < 2:
            return files
        below = [file for file in files if self._beside and file.startswith(self._beside)]
        own = self._label_file.parent.name  # Annotations/train/1.xml is of images/train/1.jpg
        alike = [file for file in files if PurePosixPath(file).parent.name == own]
        return below if len(below) == 1 else alike if len(alike) == 1 else files

    def _indexed(self, name: str) -> list[str]:
        """The images in any folder that have the last part of the name, with or without an extension."""
        if self._index is None:
            self._index = {}
            for file in folder_listing(self._folder).images:
                path = file.relative_to(self._folder).as_posix()
                self._index.setdefault(file.name, []).append(path)
                self._index.setdefault(f"{file.stem}/", []).append(path)  # a name has no slash
                if (same := _same_spelling(file.name)) != file.name:
                    self._index.setdefault(same, []).append(path)
        last = PurePosixPath(name).name
        if last.lower().endswith(IMAGE_EXTENSIONS):
            return self._index.get(last, []) or self._index.get(_same_spelling(last), [])
        return self._index.get(last, []) or self._index.get(f"{last}/", [])

    def _error(self, problem: str, line: int | None) -> TableError:
        place = "" if line is None else f" line {line}"
        return TableError(f"'{self._label_file}'{place}: {problem}")


def _plain(name: str) -> str:
    """The name with forward slashes, without server and query of an address, and without ``./`` before it."""
    name = name.strip().replace("\\", "/")
    if match := _ADDRESS.match(name):
        name = re.split(r"[?#]", name[match.end() :], maxsplit=1)[0]
    return name.removeprefix("./")


def _same_spelling(name: str) -> str:
    """The name without outer spaces, which table readers strip, and with composed accents (Unicode's NFC).

    Some systems and archives store file names with the accents as characters of their own.
    """
    return unicodedata.normalize("NFC", name.strip())


def _is_absolute(name: str) -> bool:
    return name.startswith("/") or _DRIVE.match(name) is not None


def _is_inside(path: str) -> bool:
    """True for a normal path that does not lead out of the folder that it is relative to."""
    return not _is_absolute(path) and path != ".." and not path.startswith("../")


def _path_suffixes(name: str) -> list[str]:
    """The name without its first folders, from the longest to only the file, and the same with escapes resolved.

    None of them is outside the folder.
    """
    ends: list[str] = []
    for text in dict.fromkeys((name, unquote(name))):
        parts = [part for part in _DRIVE.sub("", text).split("/") if part not in ("", ".")]
        while ".." in parts:
            parts = parts[parts.index("..") + 1 :]
        ends += ["/".join(parts[i:]) for i in range(len(parts))]
    return ends or [PurePosixPath(name).name or name]
