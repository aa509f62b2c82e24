"""Listing of image files in folders.

The list is sorted, and the extensions are fixed instead of taken from the machine's MIME types, so that the same seed
gives the same split on every machine.
"""

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from eyebright.errors import InputError, did_you_mean, listing, os_reason

IMAGE_EXTENSIONS = (
    ".avif",
    ".bmp",
    ".gif",
    ".jfif",
    ".jpe",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".pnm",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)
"""File extensions of images, in lower case; they are compared without regard to case."""


_FIRST_BYTES = (b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"P5", b"P6")
_CONVERT = (
    ".heic",
    ".heif",
    ".dng",
    ".cr2",
    ".cr3",
    ".nef",
    ".arw",
    ".jp2",
    ".jxl",
    ".psd",
    ".dcm",
    ".svg",
    ".ico",
    ".tga",
)


_NO_DATA = re.compile(r"\.(git|hg|svn|cache|venv|ipynb_checkpoints|thumbnails|@__thumb|Trash(es)?|Trash-\d+)")
"""Hidden folders of programs, whose images are copies or not those of a person."""
_MAX_HIDDEN_FOLDERS = 1000  # of a hidden folder, in which an image is searched


class FolderContent(NamedTuple):
    """The files of a folder.

    Args:
        images: the paths of all images, sorted.
        others: the paths of all other files, sorted; hidden ones are in neither.
        outside: those of the images that symbolic links lead to outside of the folder.
        hidden: images, and folders with images, whose name begins with a dot; they are in none of the others.
    """

    images: list[Path]
    others: list[Path]
    outside: Sequence[Path] = ()
    hidden: Sequence[Path] = ()

    @property
    def messages(self) -> list[str]:
        """Sentences about files that are not read, and images that are read from elsewhere."""
        return [message for message in (self.ignored_message, self.hidden_message, self.symlink_message) if message]

    @property
    def hidden_message(self) -> str:
        """A sentence about hidden images and folders with images; empty if there are none."""
        if not self.hidden:
            return ""
        shown = listing(sorted(map(str, self.hidden)), limit=3)
        return f"names that begin with a dot, whose images are not read: {shown}; rename them if they should be"

    @property
    def symlink_message(self) -> str:
        """A sentence about images outside of the folder; empty if there are none."""
        if not self.outside:
            return ""
        return (
            "images outside of the folder that symbolic links lead to, which are read as well: "
            f"{len(self.outside)} ('{self.outside[0]}')"
        )

    @property
    def ignored_message(self) -> str:
        """A sentence about the other files, by extension; empty if there are none."""
        if not self.others:
            return ""
        counts = Counter(map(_kind_of_file, self.others))
        kinds = ", ".join(f"{count} {kind}" for kind, count in counts.most_common())
        convert = [extension for extension in counts if extension in _CONVERT]
        hints = [f"convert {listing(convert)} to JPEG or PNG"] if convert else []
        if _IMAGE_WITHOUT_EXTENSION in counts:
            hints.append("give images without an extension one, such as .jpg")
        return "; ".join([f"files that are not read as images, which are ignored: {kinds}", *hints])


def folder_content(path: str | Path, *, recurse: bool = True, folders: Sequence[str] | None = None) -> FolderContent:
    """The images and the other files in a folder, each sorted; the arguments and errors of `get_image_files`.

    Raises:
        InputError: the folder does not exist, cannot be read, or contains no image.
    """
    content = folder_listing(path, recurse=recurse, folders=folders)
    if not content.images:
        where = f"'{path}'" if recurse else f"'{path}' itself (its subfolders were not searched)"
        raise InputError(f"there is no image in {where}; {_describe_content(content.others)}")
    return content


def folder_listing(path: str | Path, *, recurse: bool = True, folders: Sequence[str] | None = None) -> FolderContent:
    """The images, if there are any, and the other files in a folder, each sorted; the arguments of `get_image_files`.

    Raises:
        InputError: the folder does not exist, or cannot be read.
    """
    root = Path(path)
    _check(root, folders)
    images: list[Path] = []
    others: list[Path] = []
    outside: list[Path] = []
    hidden: list[Path] = []
    for folder, name, leads_out in _visible_files(root, folders, hidden, recurse=recurse):
        extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - much faster than Path for a million names
        file = Path(folder, name)
        (images if extension in IMAGE_EXTENSIONS else others).append(file)
        if leads_out and extension in IMAGE_EXTENSIONS:
            outside.append(file)
    for files in (images, others, outside, hidden):
        files.sort(key=lambda file: file.parts)  # comparing Paths would ignore case on Windows
    return FolderContent(images, others, outside, hidden)


def get_image_files(
    path: str | Path,
    recurse: bool = True,  # noqa: FBT001 - fastai's signature
    folders: Sequence[str] | None = None,
) -> list[Path]:
    """The paths of all images in a folder, sorted; hidden files and folders are skipped.

    Args:
        path: the folder.
        recurse: include the images in subfolders; symbolic links to folders are followed, so an image that links lead
            to in several places has several paths.
        folders: names of direct subfolders of ``path`` to search, instead of all; ``"."`` is ``path`` itself.

    Raises:
        InputError: the folder does not exist, cannot be read, or contains no image.

    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("b.JPG", "a.png", "notes.txt"):
    ...     (folder / name).touch()
    >>> [path.name for path in get_image_files(folder)]
    ['a.png', 'b.JPG']
    """
    return folder_content(path, recurse=recurse, folders=folders).images


CHOOSE_ANOTHER = "choose another file for `out`, or remove this one"


def check_replaceable(
    path: Path,
    beginnings: Sequence[str],
    what: str,
    *,
    further: Callable[[str], bool] = lambda _: True,
    remedy: str = CHOOSE_ANOTHER,
) -> None:
    """Raises `InputError` if an existing file has other content, such as an image or a table of labels.

    Args:
        path: the file to write; it need not exist, and may be empty.
        beginnings: strings with which a file begins that may be replaced, in lower case; white space does not count,
            since programs that show JSON indent it anew.
        what: it would hold, for the message: ``"predictions"``.
        further: whether the first mebibyte of a file that begins so is of one that may be replaced.
        remedy: what to do, for the message.

    Raises:
        InputError: the file exists and begins in another way.
    """
    try:
        if not path.is_file():
            return
        with path.open("rb") as file:
            content = file.read(2**20).removeprefix(b"\xef\xbb\xbf").lstrip()
            start = b"".join(content[:1000].lower().split())
    except OSError:  # writing reports it
        return
    may_be = start.startswith(tuple("".join(text.split()).encode() for text in beginnings))
    if content and not (may_be and further(content.decode("utf-8", "replace"))):
        raise InputError(f"'{path}' exists and holds no {what}; {remedy}")


def common_folder(paths: Sequence[str]) -> Path:
    """The common parent folder of all files; the working folder if there is none."""
    try:
        return Path(os.path.commonpath([os.path.dirname(path) for path in paths]))  # noqa: PTH120 - many paths
    except ValueError:  # none, absolute and relative ones, or several drives
        return Path()


def relative_name(path: str, root: Path) -> str:
    """The path relative to what `common_folder` returned, with slashes."""
    return Path(os.path.relpath(path, root)).as_posix() if root != Path() else path


def _check(root: Path, folders: Sequence[str] | None) -> None:
    if not os.path.exists(root):  # noqa: PTH110 - Path.exists raises for a name that is too long
        raise InputError(f"there is no folder '{root}'")
    if not root.is_dir():
        raise InputError(f"expected a folder of images, but '{root}' is a file")
    for name in folders or ():
        if not os.path.isdir(root / name):  # noqa: PTH112
            inside = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
            known = f"It has the folders {listing(inside)}" if inside else "It has no folders"
            raise InputError(f"there is no folder '{name}' in '{root}'.{did_you_mean(name, inside)} {known}")


def _visible_files(
    root: Path, folders: Sequence[str] | None, hidden: list[Path], *, recurse: bool
) -> Iterator[tuple[str, str, bool]]:
    """(folder, file name, whether a symbolic link leads out of the root) of every file that is not hidden.

    Hidden images, and hidden folders with images, are appended to ``hidden``.
    """
    inside = os.path.join(os.path.realpath(root), "")  # noqa: PTH118 - kept as text
    seen: set[str] = set()
    for start in (".",) if folders is None else folders:
        descend = recurse and (folders is None or start != ".")
        pending: list[tuple[str, frozenset[str]]] = [(str(root / start), frozenset())]
        while pending:
            folder, above = pending.pop()
            real = os.path.realpath(folder)
            above |= {real}
            # Below a second visit, no link to a folder that was seen is followed: n folders with links to each other
            # would have n! paths.
            closed = seen if real in seen else above
            seen.add(real)
            leads_out = not os.path.join(real, "").startswith(inside)  # noqa: PTH118
            every = _entries(folder)
            entries = [entry for entry in every if not entry.name.startswith(".")]
            if len(entries) < len(every):
                is_below = [entry for entry in every if entry.name.startswith(".") and _hides_images(entry, descend)]
                hidden += [Path(entry.path) for entry in is_below]
            subfolders = [entry.name for entry in entries if _is_folder(entry)]
            pending += [
                (os.path.join(folder, name), above)  # noqa: PTH118
                for name in reversed(subfolders)
                if descend and not _leads_to(folder, name, closed)
            ]
            for entry in entries:
                if not _is_folder(entry):
                    linked = entry.is_symlink() and not os.path.realpath(entry.path).startswith(inside)
                    yield folder, entry.name, leads_out or linked


def _entries(folder: str) -> list["os.DirEntry[str]"]:
    """The content of a folder, sorted by name."""
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"cannot read the folder '{error.filename}': {os_reason(error)}") from error


def _hides_images(entry: "os.DirEntry[str]", descend: bool) -> bool:  # noqa: FBT001 - private
    """Whether a hidden file is an image, or a hidden folder has one in itself or the first of its subfolders."""
    if not _is_folder(entry):
        is_image = entry.name.lower().endswith(IMAGE_EXTENSIONS)
        return is_image and not entry.name.startswith("._")  # what macOS writes beside each file of an archive
    if not descend or _NO_DATA.fullmatch(entry.name):
        return False
    searched = islice(os.walk(entry.path), _MAX_HIDDEN_FOLDERS)
    return any(name.lower().endswith(IMAGE_EXTENSIONS) for _, _, files in searched for name in files)


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _leads_to(folder: str, name: str, folders: Set[str]) -> bool:
    """True for a link to one of these folders, such as a parent folder: links can form cycles."""
    inner = Path(folder, name)
    return inner.is_symlink() and os.path.realpath(inner) in folders


def _describe_content(others: Sequence[Path]) -> str:
    if not others:
        return "it is empty"
    counts = Counter(map(_kind_of_file, others))
    kinds = ", ".join(f"{extension} ({count})" for extension, count in counts.most_common(8))
    archive = next((file.name for file in others if file.suffix.lower() in _COMPRESSED), None)
    hint = f"; decompress '{archive}', if the images are in it" if archive else ""
    return f"it contains {kinds}; image extensions are {' '.join(IMAGE_EXTENSIONS)}{hint}"


_COMPRESSED = frozenset({".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"})
_IMAGE_WITHOUT_EXTENSION = "without extension that are images by their first bytes"


def _kind_of_file(file: Path) -> str:
    """The extension in lower case; of a file without one, whether it begins like an image."""
    if extension := file.suffix.lower():
        return extension
    try:
        with file.open("rb") as opened:
            first = opened.read(12)
    except OSError:
        return "no extension"
    known = first.startswith(_FIRST_BYTES) or first[8:12] == b"WEBP" or first[4:8] == b"ftyp"
    return _IMAGE_WITHOUT_EXTENSION if known else "no extension"
