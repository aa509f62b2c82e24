"""Unpacking an archive that somebody else made: nothing may land outside of the folder, and never half a data set.

Tar archives go through Python's ``data`` filter (PEP 706), which refuses links that lead out, devices and names that
climb out. Where Python would quietly rename (an absolute path in a tar, ``..`` in a zip), this refuses as well: an
archive that tries is not to be trusted with the rest.
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
"""How the names of archives end that can be unpacked."""


def unpack(archive: str | Path, to: str | Path) -> Path:
    """The folder ``to``, which now holds what is in the archive; it is there completely or not at all.

    When the archive has one folder at its top and nothing else, that folder becomes ``to``. What was in ``to`` before
    is replaced.

    Args:
        archive: a tar (plain, gz, bz2, xz) or zip file.
        to: the folder that is wanted.

    Raises:
        DownloadError: the archive is damaged, of another kind, or tries to write outside of its folder; or the disk is
            full.
    """
    if not hasattr(tarfile, "data_filter"):
        raise DownloadError("unpacking safely needs Python 3.11.4 or newer")
    try:
        return _unpack(Path(archive), Path(to))
    except tarfile.FilterError as error:
        raise DownloadError(f"'{archive}' is not safe to unpack: {error}") from error
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, RuntimeError) as error:
        why = str(error).partition("\n")[0].rstrip(":")
        raise DownloadError(f"'{archive}' is damaged or no archive ({why}); delete it and try again") from error
    except OSError as error:
        raise DownloadError(f"cannot unpack '{archive}' to '{to}': {error.strerror or error}") from error


def archive_stem(name: str) -> str:
    """The name of an archive without its ending: ``"pets.tar.gz"`` gives ``"pets"``.

    Raises:
        DownloadError: it does not end like an archive.
    """
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    raise DownloadError(f"'{name}' is no archive that can be unpacked; known are {' '.join(SUFFIXES)}")


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
        tar.extractall(str(to), filter=_only_inside)


def _only_inside(member: tarfile.TarInfo, to: str) -> tarfile.TarInfo | None:
    _refuse_outside(member.name)
    return tarfile.data_filter(member, to)


def _extract_zip(archive: Path, to: Path) -> None:
    with zipfile.ZipFile(archive) as zipped:
        for name in zipped.namelist():
            _refuse_outside(name)
        zipped.extractall(to)


def _refuse_outside(name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or PureWindowsPath(name).drive or ".." in parts:
        raise tarfile.FilterError(f"'{name}' would land outside of its folder")


def _single_folder(folder: Path) -> Path | None:
    """The only thing in a folder, when that is a folder; what macOS adds does not count."""
    inside = [entry for entry in folder.iterdir() if entry.name != "__MACOSX" and not entry.name.startswith("._")]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() and not inside[0].is_symlink() else None
