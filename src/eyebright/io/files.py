"""Finding images in folders: sorted, so that the same seed gives the same split on every machine.

The extensions are a fixed list, not the machine's table of MIME types, for the same reason.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from eyebright.errors import InputError, did_you_mean, listing

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
"""What makes a name the name of an image, in lower case; upper case counts too."""


def get_image_files(
    path: str | Path,
    recurse: bool = True,  # noqa: FBT001 - the book's signature
    folders: Sequence[str] | None = None,
) -> list[Path]:
    """The images in a folder, sorted by path; names that begin with a dot are skipped.

    Args:
        path: the folder.
        recurse: look into the folders inside as well; links to folders are followed.
        folders: only these of the folders directly inside ``path``; ``"."`` stands for the images directly inside.

    Raises:
        InputError: there is no such folder, it cannot be looked into, or no image is in it; the message says what is.
    """
    root = Path(path)
    _check(root, folders)
    images: list[Path] = []
    others: Counter[str] = Counter()
    for folder, name in _names(root, folders, recurse=recurse):
        extension = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a Path for each of a million names is slow
        if extension in IMAGE_EXTENSIONS:
            images.append(Path(folder, name))
        else:
            others[extension or "no extension"] += 1
    if not images:
        where = f"'{root}'" if recurse else f"'{root}' itself (its folders were not looked into)"
        raise InputError(f"there is no image in {where}; {_what_is_there(others)}")
    return sorted(images, key=lambda image: image.parts)  # Path's own order ignores case on Windows


def _check(root: Path, folders: Sequence[str] | None) -> None:
    if not root.exists():
        raise InputError(f"there is no folder '{root}'")
    if not root.is_dir():
        raise InputError(f"'{root}' is a file; a folder of images was expected")
    for name in folders or ():
        if not (root / name).is_dir():
            inside = sorted(entry.name for entry in root.iterdir() if entry.is_dir())
            there = f"It has the folders {listing(inside)}" if inside else "It has no folders"
            raise InputError(f"there is no folder '{name}' in '{root}'.{did_you_mean(name, inside)} {there}")


def _names(root: Path, folders: Sequence[str] | None, *, recurse: bool) -> Iterator[tuple[str, str]]:
    """(folder, name) of every file that is not hidden."""
    seen: set[str] = set()
    for start in (".",) if folders is None else folders:
        deep = recurse and (folders is None or start != ".")
        for folder, inside, names in os.walk(root / start, followlinks=True, onerror=_cannot_look):
            seen.add(os.path.realpath(folder))
            inside[:] = [name for name in sorted(inside) if deep and _is_new(folder, name, seen)]
            yield from ((folder, name) for name in names if not name.startswith("."))


def _is_new(folder: str, name: str, seen: set[str]) -> bool:
    """False for hidden folders, and for a link to a folder that has been walked: links can go round in circles."""
    if name.startswith("."):
        return False
    inner = Path(folder, name)
    return not inner.is_symlink() or os.path.realpath(inner) not in seen


def _cannot_look(error: OSError) -> NoReturn:
    raise InputError(f"cannot look into the folder '{error.filename}': {error.strerror}") from error


def _what_is_there(others: Counter[str]) -> str:
    if not others:
        return "it is empty"
    found = ", ".join(f"{extension} ({count})" for extension, count in others.most_common(8))
    return f"it holds: {found}; known are {' '.join(IMAGE_EXTENSIONS)}"
