"""Safe unpacking of tar and zip archives: nothing is written outside of the folder, and no part of it after an error.

Tar archives are extracted with Python's ``data`` filter (PEP 706), which refuses devices, and links and names that
point outside of the folder. Python would silently rename absolute paths in a tar and ``..`` in a zip; these archives
are refused too, because they are not trustworthy.

The unpacked size is bounded (`eyebright.io.archive_limits`). Archives inside an archive are not unpacked.
"""

import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from eyebright.errors import DownloadError, os_reason, shortened
from eyebright.io.archive_limits import MAX_FILES, Budget, bounded_tar, check_zip_entries, is_tar
from eyebright.io.atomic import UNPACKED, temporary_folder

SUFFIXES = (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tar", ".zip")
"""File name suffixes of the supported archives."""

_MAX_DEPTH = 100  # folders around a file; Python deletes folders by recursion
_BLOCK, _SMALL_BLOCK = 1 << 16, 1 << 12  # bytes that are read at a time; 4 kB of bzip2 can hold 90 MB
_DAMAGED_ERRORS = (
    tarfile.TarError,
    zipfile.BadZipFile,
    EOFError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    RuntimeError,
    ValueError,
    ArithmeticError,
    LookupError,
)
"""The exceptions of Python's readers for damaged archives."""


def unpack(archive: str | Path, to: str | Path, *, max_bytes: int | None = None, max_files: int = MAX_FILES) -> Path:
    """Unpacks an archive into the folder ``to``, which is unchanged after an error; returns the folder.

    If the archive contains a single folder at its top level, that folder becomes ``to``. Existing content of ``to`` is
    replaced, once everything is unpacked.

    Args:
        archive: a tar (uncompressed, gz, bz2, xz) or zip file.
        to: the folder to create, or to replace.
        max_bytes: the most that its files may have together; None for 20 times the size of the archive, and at least
            1 GB.
        max_files: the most files, folders and links that it may hold.

    Raises:
        DownloadError: the archive is damaged, has another format, would write outside of ``to`` or exceeds a limit;
            ``to`` contains the archive, the working folder or the home folder, or is no folder; or the disk has not
            enough room.
    """
    _check_replaceable(Path(to), Path(archive))
    if not hasattr(tarfile, "data_filter"):
        raise DownloadError("unpacking archives safely needs Python 3.11.4 or newer")
    try:
        return _unpack(Path(archive), Path(to), max_bytes, max_files)
    except tarfile.FilterError as error:
        raise DownloadError(f"'{archive}' is not safe to unpack: {error}") from error
    except _DAMAGED_ERRORS as error:
        raise _damaged(archive, error) from error
    except OSError as error:
        if error.errno is None:  # raised by gzip and bz2 for damaged data
            raise _damaged(archive, error) from error
        raise DownloadError(f"cannot unpack '{archive}' to '{to}': {os_reason(error)}") from error


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


def _damaged(archive: str | Path, error: Exception) -> DownloadError:
    reason = shortened(str(error).partition("\n")[0].rstrip(":")) or type(error).__name__
    return DownloadError(f"'{archive}' is damaged or not an archive ({reason}); delete it and try again")


def _unpack(archive: Path, to: Path, max_bytes: int | None, max_files: int) -> Path:
    to.parent.mkdir(parents=True, exist_ok=True)
    budget = Budget(archive, to.parent, max_bytes=max_bytes, max_files=max_files)
    with temporary_folder(to.with_name(f"{to.name}{UNPACKED}")) as temporary:
        content = temporary / "all"
        content.mkdir()
        if not is_tar(archive) and zipfile.is_zipfile(archive):  # a zip is known by its end: a tar can end with one
            _extract_zip(archive, content, budget)
        else:
            _extract_tar(archive, content, budget)
        _replace(to, _single_folder(content) or content, temporary / "old")
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


def _extract_tar(archive: Path, to: Path, budget: Budget) -> None:
    def check(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
        _check_inside(member.name)
        budget.claim(member.size)
        return tarfile.data_filter(member, folder)

    with bounded_tar(archive, budget) as tar:
        tar.extractall(str(to), filter=check)


def _extract_zip(archive: Path, to: Path, budget: Budget) -> None:
    check_zip_entries(archive, budget)
    with zipfile.ZipFile(archive) as zipped:
        entries = zipped.infolist()
        for entry in entries:
            _check_inside(entry.filename)
            budget.claim(entry.file_size)
        for entry in entries:
            _extract_entry(zipped, entry, to / entry.filename, budget)


def _extract_entry(zipped: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path, budget: Budget) -> None:
    if entry.is_dir():
        path.mkdir(parents=True, exist_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    simple = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    with zipped.open(entry) as packed, path.open("wb") as file:
        while block := packed.read(_BLOCK if simple else _SMALL_BLOCK):
            budget.count(len(block))
            file.write(block)


def _check_inside(name: str) -> None:
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if name.startswith(("/", "\\")) or PureWindowsPath(name).drive or ".." in parts:
        raise tarfile.FilterError(f"'{shortened(name)}' would be written outside of its folder")
    if len(parts) > _MAX_DEPTH:
        raise tarfile.FilterError(
            f"'{shortened(name)}' is in {len(parts) - 1:,} folders, at most {_MAX_DEPTH} can be made"
        )


def _single_folder(folder: Path) -> Path | None:
    """The only entry of a folder, if it is a folder; the metadata files of macOS are ignored."""
    entries = [entry for entry in folder.iterdir() if entry.name != "__MACOSX" and not entry.name.startswith("._")]
    return entries[0] if len(entries) == 1 and entries[0].is_dir() and not entries[0].is_symlink() else None
