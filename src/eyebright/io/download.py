"""Data sets by their names, and files from the net: checked, resumed, there completely or not at all.

Why the standard library and not a package: ``pooch`` checks sums and shows progress, but starts a 1.6 GB archive anew
after every interruption. ``huggingface_hub.http_get`` resumes, but it is no public interface (its arguments changed
between releases), words its errors for its own hub, and takes the rest of a file without asking whether it is still the
same file. What is needed on top of ``urllib``, which knows proxies and certificates, is one small file
(`eyebright.io.transfer`).

Nothing is checked against an invented sum: the sizes of fast.ai's archives are known, and who knows a sha256 can give
it.
"""

import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from eyebright.errors import DownloadError
from eyebright.io.archives import archive_stem, unpack
from eyebright.io.home import home
from eyebright.io.transfer import OnProgress, forget, forget_note, transfer

_FAST_AI = "https://s3.amazonaws.com/fast-ai-"
_RECIPES = "https://cvbp-secondary.z19.web.core.windows.net/datasets/image_classification/"


class URLs:
    """Addresses of data sets: those of the book, and those of the computer-vision recipes."""

    PETS: Final = f"{_FAST_AI}imageclas/oxford-iiit-pet.tgz"
    PASCAL_2007: Final = f"{_FAST_AI}imagelocal/pascal_2007.tgz"
    BIWI_HEAD_POSE: Final = f"{_FAST_AI}imagelocal/biwi_head_pose.tgz"

    FRIDGE_OBJECTS: Final = f"{_RECIPES}fridgeObjects.zip"
    FRIDGE_OBJECTS_TINY: Final = f"{_RECIPES}fridgeObjectsTiny.zip"
    FRIDGE_OBJECTS_WATERMARK: Final = f"{_RECIPES}fridgeObjectsWatermark.zip"
    FRIDGE_OBJECTS_WATERMARK_TINY: Final = f"{_RECIPES}fridgeObjectsWatermarkTiny.zip"
    FRIDGE_OBJECTS_NEGATIVE: Final = f"{_RECIPES}fridgeObjectsNegative.zip"
    FRIDGE_OBJECTS_NEGATIVE_TINY: Final = f"{_RECIPES}fridgeObjectsNegativeTiny.zip"
    MULTILABEL_FRIDGE_OBJECTS: Final = f"{_RECIPES}multilabelFridgeObjects.zip"
    MULTILABEL_FRIDGE_OBJECTS_TINY: Final = f"{_RECIPES}multilabelFridgeObjectsTiny.zip"
    MULTILABEL_FRIDGE_OBJECTS_WATERMARK: Final = f"{_RECIPES}multilabelFridgeObjectsWatermark.zip"
    MULTILABEL_FRIDGE_OBJECTS_WATERMARK_TINY: Final = f"{_RECIPES}multilabelFridgeObjectsWatermarkTiny.zip"


_SIZES = {URLs.PETS: 811_706_944, URLs.PASCAL_2007: 1_637_796_771, URLs.BIWI_HEAD_POSE: 452_316_199}  # bytes


def untar_data(
    url: str,
    archive: str | Path | None = None,
    data: str | Path | None = None,
    c_key: str = "data",
    force_download: bool = False,  # noqa: FBT001 - the book's signature
    base: str | Path | None = None,
) -> Path:
    """The folder of an unpacked data set, downloaded when it is not there yet.

    It is looked for as a folder with the archive's name (``pascal_2007``): first in the folder that the environment
    variable ``EYEBRIGHT_DATA`` names, then in ``data``. A bar shows how far a download is.

    Args:
        url: of a tar or zip archive, for example `URLs.PETS`.
        archive: the folder for archives; by default the folder ``archive`` in ``base``.
        data: the folder for unpacked sets; by default the folder ``c_key`` in ``base``.
        c_key: see ``data``.
        force_download: download and unpack it anew, whatever is there.
        base: by default what the environment variable ``EYEBRIGHT_HOME`` names, or ``~/.eyebright``.

    Raises:
        DownloadError: it cannot be downloaded or unpacked.
    """
    file_name = _file_name(url)
    name = archive_stem(file_name)
    sets = os.environ.get("EYEBRIGHT_DATA")
    if sets and not force_download and (unpacked := Path(sets).expanduser() / name).is_dir():
        return unpacked
    root = Path(base or home()).expanduser()
    folder = Path(data or root / c_key).expanduser() / name
    packed = Path(archive or root / "archive").expanduser() / file_name
    if folder.is_dir() and not force_download:
        return folder
    with _locked(folder):
        if force_download:
            packed.unlink(missing_ok=True)
        elif folder.is_dir():  # another process made it in the meantime
            return folder
        try:
            with _bar(file_name) as progress:
                download(url, packed, size=_SIZES.get(url), progress=progress)
        except DownloadError as error:
            hint = f"where it is unpacked already, let EYEBRIGHT_DATA name the folder that holds '{name}'"
            raise DownloadError(f"{error}; {hint}") from error
        return unpack(packed, folder)


def download(
    url: str,
    to: str | Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: OnProgress | None = None,
) -> Path:
    """The path ``to``, where the file now is: completely, or not at all.

    A file that is there already is kept when it has the size and the sum that were given (or none were). What arrived
    before an interruption is kept in ``<to>.part``, and the next call goes on from there.

    Args:
        url: http or https.
        to: the file to write; its folder is made.
        size: in bytes, where it is known.
        sha256: in hexadecimal, where it is known.
        progress: called with the bytes that are there and how many there will be (None when the server does not say).

    Raises:
        DownloadError: the server refuses or cannot be reached, the file is another one than was expected, or it cannot
            be written.
    """
    target = Path(to)
    part = target.with_name(f"{target.name}.part")
    with _locked(target):
        if target.is_file() and not _difference(target, size, sha256):
            return target
        transfer(url, part, size=size, progress=progress)
        if difference := _difference(part, size, sha256):
            forget(part)
            raise DownloadError(f"'{url}' is not the file that was expected: {difference}; what arrived was removed")
        part.replace(target)
        forget_note(part)
    return target


def _difference(path: Path, size: int | None, sha256: str | None) -> str | None:
    """What is wrong with a file, None when it is the one that is wanted."""
    there = path.stat().st_size
    if size is not None and there != size:
        return f"it has {there:,} bytes, not {size:,}"
    if sha256 is None:
        return None
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    return None if found == sha256.lower() else f"its sha256 is {found}, not {sha256.lower()}"


def _file_name(url: str) -> str:
    return unquote(urlsplit(url).path).rpartition("/")[2]


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """Only one process at a time: others wait, and then find the file or folder there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"))
        lock.acquire()
    except OSError as error:
        raise DownloadError(f"cannot write to '{path.parent}': {(error.strerror or str(error)).lower()}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _bar(name: str) -> Generator[OnProgress]:
    """A bar in a terminal or a notebook, nothing in a log file."""
    console = Console(stderr=True)
    seen = console.is_terminal or console.is_jupyter
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not seen) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
