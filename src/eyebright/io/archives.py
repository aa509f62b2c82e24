"""Safe unpacking of tar and zip archives: nothing is written outside of the folder, and no part of it after an error.

Tar archives are extracted with Python's ``data`` filter (PEP 706), which refuses devices, and links and names that
point outside of the folder. Python would silently rename absolute paths in a tar and ``..`` in a zip; these archives
are refused too, because they are not trustworthy.
"""

import lzma
import os
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
    replaced, once everything is unpacked.

    Args:
        archive: a tar (uncompressed, gz, bz2, xz) or zip file.
        to: the folder to create, or to replace.

    Raises:
        DownloadError: the archive is damaged, has another format or would write outside of ``to``; ``to`` contains
            the archive, the working folder or the home folder, or is no folder; or the disk is full.
    """
    _check_replaceable(Path(to), Path(archive))
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
    """The name of an archive without its suffix, which is the name of one folder.

    >>> archive_stem("pets.tar.gz")
    'pets'

    Raises:
        DownloadError: the suffix is not one of `SUFFIXES`, or the rest is empty, such as ``..``, or not a plain name.
    """
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            stem = name[: -len(suffix)]
            if not stem.strip(". ") or not stem.isprintable() or any(character in stem for character in "/\\:"):
                raise DownloadError(f"{name!r} is not the name of an archive: {stem!r} cannot name a folder")
            return stem
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
        _replace(to, _single_folder(inside) or inside, Path(temporary) / "old")
    return to


def _check_replaceable(to: Path, archive: Path) -> None:
    """Raises `DownloadError` if replacing the folder would delete something else than an older dataset."""
    if to.is_symlink() or (to.exists() and not to.is_dir()):
        raise DownloadError(f"cannot unpack '{archive}' to '{to}': it is not a folder; delete it or choose another")
    folder = to.resolve()
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - raises nothing if the home folder is unknown
    contained = {"the archive": archive, "the working folder": Path.cwd(), "the home folder": home}
    for name, path in contained.items():
        if path.resolve().is_relative_to(folder):
            raise DownloadError(
                f"cannot unpack '{archive}' to '{to}': that folder would be replaced, and {name} is in it; choose"
                " another"
            )


def _replace(to: Path, new: Path, aside: Path) -> None:
    """Renames the folder ``new`` to ``to``; an older folder is moved to ``aside``, and back if that fails."""
    if not to.exists():
        new.rename(to)
        return
    to.rename(aside)
    try:
        new.rename(to)
    except BaseException:
        aside.rename(to)
        raise


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
