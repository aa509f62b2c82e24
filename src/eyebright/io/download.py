"""Download of datasets and files, with resume and verification.

Why not a package: ``pooch`` verifies checksums and shows progress, but restarts a 1.6 GB archive after every
interruption. ``huggingface_hub.http_get`` resumes, but it is not a public interface (its arguments changed between
releases), its error messages are for its own hub, and it resumes without checking whether the file has changed. What
is needed in addition to ``urllib``, which handles proxies and certificates, is one small file
(`eyebright.io.transfer`).

Of fast.ai's archives only the size is verified; `download` can verify a sha256 too.
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

from eyebright.errors import DownloadError, os_reason
from eyebright.io.archive_limits import MAX_FILES
from eyebright.io.archives import archive_stem, unpack
from eyebright.io.home import home
from eyebright.io.transfer import OnProgress, check_url, delete_metadata, delete_partial, transfer

_FAST_AI = "https://s3.amazonaws.com/fast-ai-"
_IMAGES = f"{_FAST_AI}imageclas/"
_RECIPES = "https://cvbp-secondary.z19.web.core.windows.net/datasets/image_classification/"


class URLs:
    """URLs of fast.ai's datasets of classified images, and those of Microsoft's computer-vision recipes."""

    CALTECH_101: Final = f"{_IMAGES}caltech_101.tgz"
    CARS: Final = f"{_IMAGES}stanford-cars.tgz"
    CIFAR: Final = f"{_IMAGES}cifar10.tgz"
    CIFAR_100: Final = f"{_IMAGES}cifar100.tgz"
    CUB_200_2011: Final = f"{_IMAGES}CUB_200_2011.tgz"
    DOGS: Final = f"{_FAST_AI}sample/dogscats.tgz"
    FLOWERS: Final = f"{_IMAGES}oxford-102-flowers.tgz"
    FOOD: Final = f"{_IMAGES}food-101.tgz"
    IMAGENETTE: Final = f"{_IMAGES}imagenette2.tgz"
    IMAGENETTE_160: Final = f"{_IMAGES}imagenette2-160.tgz"
    IMAGENETTE_320: Final = f"{_IMAGES}imagenette2-320.tgz"
    IMAGEWOOF: Final = f"{_IMAGES}imagewoof2.tgz"
    IMAGEWOOF_160: Final = f"{_IMAGES}imagewoof2-160.tgz"
    IMAGEWOOF_320: Final = f"{_IMAGES}imagewoof2-320.tgz"
    MNIST: Final = f"{_IMAGES}mnist_png.tgz"
    MNIST_SAMPLE: Final = f"{_FAST_AI}sample/mnist_sample.tgz"
    MNIST_TINY: Final = f"{_FAST_AI}sample/mnist_tiny.tgz"
    PETS: Final = f"{_IMAGES}oxford-iiit-pet.tgz"
    PLANET_SAMPLE: Final = f"{_FAST_AI}sample/planet_sample.tgz"
    PLANET_TINY: Final = f"{_FAST_AI}sample/planet_tiny.tgz"
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
    force_download: bool = False,  # noqa: FBT001 - fastai's signature
    base: str | Path | None = None,
    *,
    max_bytes: int | None = None,
    max_files: int = MAX_FILES,
) -> Path:
    """Downloads and unpacks a dataset if it does not exist yet; returns its folder.

    The folder has the name of the archive without its suffix (``pascal_2007``). It is searched in the folder that
    the environment variable `EYEBRIGHT_DATA` names, and then in ``data``. A download shows a progress bar.

    Args:
        url: the URL of a tar or zip archive, for example `URLs.PETS`.
        archive: the folder for downloaded archives; by default the folder ``archive`` in ``base``.
        data: the folder for unpacked datasets; by default the folder ``c_key`` in ``base``.
        c_key: see ``data``.
        force_download: True downloads and unpacks again, and replaces existing files.
        base: by default the folder that the environment variable ``EYEBRIGHT_HOME`` names, or ``~/.eyebright``.
        max_bytes: the most that the files of the archive may have together; None for 20 times the size of the archive,
            and at least 1 GB.
        max_files: the most files, folders and links that it may hold.

    Raises:
        DownloadError: the archive cannot be downloaded or unpacked, or exceeds a limit, or the URL does not end with
            the name of an archive.
        InputError: the home folder is needed and unknown, see `eyebright.io.home.home`.

    >>> import tempfile
    >>> base = tempfile.mkdtemp()
    >>> (Path(base) / "data" / "pascal_2007").mkdir(parents=True)  # an existing folder is not downloaded again
    >>> untar_data(URLs.PASCAL_2007, base=base).name
    'pascal_2007'
    """
    file_name = _file_name(url)
    name = archive_stem(file_name)
    datasets = os.environ.get("EYEBRIGHT_DATA")
    if datasets and not force_download and (existing := Path(datasets).expanduser() / name).is_dir():
        return existing
    root = Path(base or home()).expanduser()
    folder = Path(data or root / c_key).expanduser() / name
    archive_file = Path(archive or root / "archive").expanduser() / file_name
    if folder.is_dir() and not force_download:
        return folder
    with _locked(folder):
        if folder.is_dir() and not force_download:  # another process has created it in the meantime
            return folder
        try:
            with _progress_bar(file_name) as progress:
                _download_archive(url, archive_file, progress, again=force_download)
        except DownloadError as error:
            hint = f"if you have the unpacked folder '{name}', set EYEBRIGHT_DATA to the folder that contains it"
            raise DownloadError(f"{error}; {hint}") from error
        return unpack(archive_file, folder, max_bytes=max_bytes, max_files=max_files)


def download(
    url: str,
    to: str | Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    progress: OnProgress | None = None,
) -> Path:
    """Downloads a file to ``to``; returns this path.

    An existing file is kept if it has the expected size and checksum, as far as these are given. After an interruption
    the received bytes are kept in ``<to>.part``, and the next call resumes from them.

    Args:
        url: http or https.
        to: the file to write; its folder is created.
        size: the expected size in bytes, if known.
        sha256: the expected checksum in hexadecimal, if known.
        progress: called with the number of bytes received and the total number (None if the server does not send it).

    Raises:
        DownloadError: the server cannot be reached or answers with an error, the file has another size or checksum, or
            it cannot be written.
    """
    target = Path(to)
    partial = target.with_name(f"{target.name}.part")
    with _locked(target):
        if target.is_file() and not _mismatch(target, size, sha256):
            return target
        transfer(url, partial, size=size, progress=progress)
        if mismatch := _mismatch(partial, size, sha256):
            delete_partial(partial)
            raise DownloadError(f"'{url}' is not the expected file: {mismatch}; the downloaded file was deleted")
        partial.replace(target)
        delete_metadata(partial)
    return target


def _download_archive(url: str, to: Path, progress: OnProgress | None, *, again: bool) -> None:
    """Downloads an archive; an older one is kept until the new one is complete."""
    if not again:
        download(url, to, size=_SIZES.get(url), progress=progress)
        return
    new = to.with_name(f"{to.name}.new")
    new.unlink(missing_ok=True)
    download(url, new, size=_SIZES.get(url), progress=progress)
    new.replace(to)


def _mismatch(path: Path, size: int | None, sha256: str | None) -> str | None:
    """The difference of a file from the expected size or checksum; None if it matches."""
    actual_size = path.stat().st_size
    if size is not None and actual_size != size:
        return f"it has {actual_size:,} bytes, not {size:,}"
    if sha256 is None:
        return None
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return None if digest == sha256.lower() else f"its sha256 is {digest}, not {sha256.lower()}"


def _file_name(url: str) -> str:
    check_url(url)
    return unquote(urlsplit(url).path).rpartition("/")[2]


@contextmanager
def _locked(path: Path) -> Generator[None]:
    """A context manager that holds a lock file for ``path``, so that only one process at a time creates it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.with_name(f".{path.name}.lock"))
        lock.acquire()
    except OSError as error:
        raise DownloadError(f"cannot write to '{path.parent}': {os_reason(error).lower()}") from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _progress_bar(name: str) -> Generator[OnProgress]:
    """A progress bar in a terminal or a notebook; nothing if the output is redirected."""
    console = Console(stderr=True)
    interactive = console.is_terminal or console.is_jupyter
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True, disable=not interactive) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
