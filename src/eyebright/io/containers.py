"""Images inside container files: members of a tar file, and rows of a Parquet file, named ``FILE::MEMBER``.

A member is read in place: nothing is unpacked. The index of a container is cached while its file does not
change: where each member begins, and the last row groups of a Parquet file, since only a whole one can be read.
"""

import functools
import os
import posixpath
import re
import tarfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from eyebright.errors import InputError, first_line, listing, os_reason

SEPARATOR = "::"
"""Between a container and the name of its member."""

CONTAINER_EXTENSIONS = (".tar", ".parquet")

_NAME = re.compile(rf"(.+?\.(?:tar|parquet)){SEPARATOR}(.+)", re.IGNORECASE | re.DOTALL)
_IMAGE_COLUMNS = ("image", "img", "jpg", "png", "picture", "photo", "bytes")
_FILES, _ROW_GROUPS = 256, 4  # most cached containers and row groups


class Signature(NamedTuple):
    """The current state of a container: its path, size and time of change."""

    path: str
    size: int
    changed: int

    @staticmethod
    def of(path: str | Path) -> "Signature":
        """The signature of a file.

        Raises:
            InputError: it cannot be read.
        """
        try:
            status = os.stat(path)  # noqa: PTH116 - faster than Path
        except OSError as error:
            raise InputError(f"cannot read '{path}': {os_reason(error)}") from error
        return Signature(str(path), status.st_size, status.st_mtime_ns)


class ImageColumn(NamedTuple):
    """The column of a Parquet file with the bytes of images.

    Args:
        name: the name of the column.
        data: the name of the column of bytes in it; the same if it has no other fields.
        path: the name of the column of names in it; empty if there is none.
    """

    name: str
    data: str
    path: str


def container_of(path: str) -> tuple[str, str] | None:
    """(container, member); None for the path of a file.

    >>> container_of("data/train.tar::a/1.jpg"), container_of("data/1.jpg")
    (('data/train.tar', 'a/1.jpg'), None)
    """
    if SEPARATOR not in path:
        return None
    found = _NAME.fullmatch(path)
    return None if found is None or os.path.lexists(path) else (found[1], found[2])


def read_member(container: str, member: str) -> bytes:
    """The bytes of an image in a container.

    Raises:
        InputError: the container cannot be read or is broken, or does not have the member.
    """
    signature = Signature.of(container)
    if container.lower().endswith(".parquet"):
        return _parquet_bytes(signature, member)
    place = tar_members(signature).get(member)
    if place is None:
        raise InputError(f"'{container}' has no member '{member}'")
    with open(container, "rb") as file:  # noqa: PTH123 - faster than Path
        file.seek(place[0])
        data = file.read(place[1])
    if len(data) < place[1]:
        raise InputError(f"'{container}' is cut off in '{member}'")
    return data


# ---------------------------------------------------------------------- tar files


@functools.lru_cache(maxsize=_FILES)
def tar_members(signature: Signature) -> Mapping[str, tuple[int, int]]:
    """(offset, size) of each file in a tar file, in their order; links and other members are none.

    Raises:
        InputError: the file is compressed, cut off, no tar file, or has two members of one name.
    """
    members: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(signature.path, "r:") as tar:
            while (member := tar.next()) is not None:
                tar.members = []  # pyright: ignore[reportAttributeAccessIssue]  # it would keep all of them
                if not member.isreg() or member.issparse():
                    continue
                name = posixpath.normpath(member.name)
                if name in members:
                    raise InputError(f"'{signature.path}' has two members '{name}'; remove one of them")
                if member.offset_data + member.size > signature.size:
                    raise InputError(f"'{signature.path}' is cut off in '{name}'; copy or download it again")
                members[name] = (member.offset_data, member.size)
            _check_end(signature.path, tar.offset)
    except (tarfile.TarError, OSError, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        hint = "a tar file that is not compressed was expected, and the whole of it"
        raise InputError(f"'{signature.path}' cannot be read as a tar file ({error}); {hint}") from None
    return members


def _check_end(path: str, offset: int) -> None:
    """Raises `InputError` if the block of zeros is missing with which a tar file ends, or something follows it."""
    with open(path, "rb") as file:  # noqa: PTH123
        file.seek(offset)
        if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
            raise InputError(f"'{path}' is cut off after {offset:,} bytes; copy or download it again")
        while block := file.read(1 << 20):
            if block.count(0) < len(block):
                raise InputError(
                    f"'{path}' ends after {offset:,} bytes, but more follows: several tar files that were joined by cat"
                    " are read only to the end of the first; keep each as a file of its own"
                )


# ---------------------------------------------------------------------- Parquet files


def parquet_file(path: str | Path) -> Any:
    """The opened Parquet file, a `pyarrow.parquet.ParquetFile`.

    Raises:
        InputError: it cannot be read, or is broken.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"'{path}' cannot be read as Parquet: {first_line(error)}") from None


def image_column(path: str | Path, schema: Any) -> ImageColumn | None:
    """The column of a Parquet file with the bytes of images; None where there is none.

    It is a column of bytes, or of structs with ``bytes`` and ``path`` as the package ``datasets`` writes them.

    Raises:
        InputError: there are several, none of which is called ``image`` or the like.
    """
    import pyarrow.types as types

    def is_bytes(kind: Any) -> bool:
        return types.is_binary(kind) or types.is_large_binary(kind)

    candidates: dict[str, ImageColumn] = {}
    for field in schema:
        inner = {member.name: member.type for member in field.type} if types.is_struct(field.type) else {}
        if is_bytes(field.type):
            candidates[field.name] = ImageColumn(field.name, field.name, "")
        elif "bytes" in inner and is_bytes(inner["bytes"]):
            has_path = "path" in inner
            candidates[field.name] = ImageColumn(
                field.name, f"{field.name}.bytes", f"{field.name}.path" if has_path else ""
            )
    if len(candidates) < 2:
        return next(iter(candidates.values()), None)
    known = [name for name in _IMAGE_COLUMNS if name in candidates]
    if not known:
        raise InputError(
            f"'{path}' has several columns with bytes of images ({listing(candidates)}); call one of them 'image'"
        )
    return candidates[known[0]]


@functools.lru_cache(maxsize=_FILES)
def parquet_members(signature: Signature) -> Mapping[str, int]:
    """The row of each image of a Parquet file by its name, in their order; ``#5`` for row 5 without a name.

    Raises:
        InputError: the file cannot be read, is broken or has no images.
    """
    file = parquet_file(signature.path)
    column = image_column(signature.path, file.schema_arrow)
    if column is None:
        raise InputError(f"'{signature.path}' has no column with bytes of images")
    count = file.metadata.num_rows
    names: list[Any] = [None] * count
    if column.path:
        names = _read(signature, file.read, [column.path], column.name, "path").to_pylist()
    plain = [posixpath.normpath(name.replace("\\", "/")) if name else "" for name in names]
    counts = Counter(plain)
    return {name if name and counts[name] == 1 else f"#{row}": row for row, name in enumerate(plain)}


def _parquet_bytes(signature: Signature, member: str) -> bytes:
    row = parquet_members(signature).get(member)
    if row is None:
        raise InputError(f"'{signature.path}' has no image '{member}'")
    for group, (begin, end) in enumerate(_row_groups(signature)):
        if begin <= row < end:
            data = _row_group(signature, group)[row - begin].as_py()
            if data is None:
                raise InputError(f"'{signature.path}' has no bytes for the image '{member}'")
            return data
    raise InputError(f"'{signature.path}' has no row {row}")


@functools.lru_cache(maxsize=_FILES)
def _row_groups(signature: Signature) -> list[tuple[int, int]]:
    """(first row, row after the last one) of each row group."""
    metadata = parquet_file(signature.path).metadata
    groups: list[tuple[int, int]] = []
    for i in range(metadata.num_row_groups):
        begin = groups[-1][1] if groups else 0
        groups.append((begin, begin + metadata.row_group(i).num_rows))
    return groups


@functools.lru_cache(maxsize=_ROW_GROUPS)
def _row_group(signature: Signature, group: int) -> Any:
    """The bytes of the images of a row group, an array of pyarrow."""
    file = parquet_file(signature.path)
    column = image_column(signature.path, file.schema_arrow)
    assert column is not None
    inner = "" if column.data == column.name else "bytes"
    return _read(signature, functools.partial(file.read_row_group, group), [column.data], column.name, inner)


def _read(signature: Signature, read: Callable[..., Any], columns: list[str], name: str, inner: str) -> Any:
    """A column, or a column in a column of structs, as a chunked array of pyarrow.

    Raises:
        InputError: the file is broken.
    """
    import pyarrow as pa
    import pyarrow.compute

    struct_field: Any = vars(pyarrow.compute)["struct_field"]  # made when the module is imported: it has no stub
    try:
        column = read(columns=columns)[name]
        return struct_field(column, inner) if inner else column
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"'{signature.path}' cannot be read as Parquet: {first_line(error)}") from None
