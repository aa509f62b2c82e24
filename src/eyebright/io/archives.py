"""Safe unpacking of tar and zip archives: nothing is written outside of the folder, and no part of it after an error.

Tar archives are extracted with Python's ``data`` filter (PEP 706), which refuses devices, and links and names that
point outside of the folder. Python would silently rename absolute paths in a tar and ``..`` in a zip; these archives
are refused too, because they are not trustworthy.
"""

import lzma
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from eyebright.errors import DownloadError

SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip")
"""File name suffixes of the supported archives."""


def unpack(archive: str | Path, to: str | Path) -> Path:
    """The folder ``to`` with the content of the archive; after an error it is unchanged.

    If the archive contains a single folder at its top level, that folder becomes ``to``. Existing content of ``to`` is
    replaced.

    Args:
        archive: a tar (uncompressed, gz, bz2, xz) or zip file.
        to: the folder to create.

    Raises:
        DownloadError: the archive is damaged, has another format or would write outside of ``to``; or the disk is full.
    """
    if not hasattr(tarfile, "data_filter"):
        raise DownloadError("unpacking archives safely needs Python 3.11.4 or newer")
    try:
        return _unpack(Path(archive), Path(to))
    except tarfile.FilterError as error:
        raise DownloadError(f"'{archive}' is not safe to unpack: {error}") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, RuntimeError) as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise DownloadError(f"'{archive}' is damaged or not an archive ({reason}); delete it and try again") from error
    except OSError as error:
        raise DownloadError(f"cannot unpack '{archive}' to '{to}': {error.strerror or error}") from error


def archive_stem(name: str) -> str:
    """The name of an archive without its suffix.

    >>> archive_stem("pets.tar.gz")
    'pets'

    Raises:
        DownloadError: the suffix is not one of `SUFFIXES`.
    """
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    raise DownloadError(f"'{name}' is not a supported archive; supported are {' '.join(SUFFIXES)}")


def _unpack(archive: Path, to: Path) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{to.name}.", dir=to.parent) as temporary:
        inside = Path(temporary) / "all"
        inside.mkdir()
        if zipfile.is_zipfile(archive):
            _extract_zip(archive, inside)
        else:
            _extract_tar(archive, inside)
        root = _single_folder(inside) or inside
        if to.exists():
            shutil.rmtree(to)
        root.rename(to)
    return to


def _extract_tar(archive: Path, to: Path) -> None:
    with tarfile.open(archive) as tar:
        tar.extractall(str(to), filter=_refusing_filter)


def _refusing_filter(member: tarfile.TarInfo, to: str) -> tarfile.TarInfo | None:
    _check_inside(member.name)
    return tarfile.data_filter(member, to)


def _extract_zip(archive: Path, to: Path) -> None:
    with zipfile.ZipFile(archive) as zipped:
        for name in zipped.namelist():
            _check_inside(name)
        zipped.extractall(to)


def _check_inside(name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or PureWindowsPath(name).drive or ".." in parts:
        raise tarfile.FilterError(f"'{name}' would be written outside of its folder")


def _single_folder(folder: Path) -> Path | None:
    """The only entry of a folder, if it is a folder; the metadata files of macOS are ignored."""
    inside = [entry for entry in folder.iterdir() if entry.name != "__MACOSX" and not entry.name.startswith("._")]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink() else None
