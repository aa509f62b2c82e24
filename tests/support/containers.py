"""Small tar files, and Parquet files as the package `datasets` writes them, made by the test that reads them."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import PIL.Image
import pyarrow as pa
import pyarrow.parquet as pq

IMAGES = pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def png(grey: int = 0, size: tuple[int, int] = (8, 8)) -> bytes:
    """The bytes of a PNG of one colour."""
    file = io.BytesIO()
    PIL.Image.new("RGB", size, (grey, grey, grey)).save(file, "png")
    return file.getvalue()


def write_tar(path: Path, members: Sequence[tuple[str, bytes]]) -> Path:
    """The path, at which a tar file has these members."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def write_parquet(
    path: Path, columns: Mapping[str, Any], features: Mapping[str, Any] | None = None, *, rows_in_group: int = 2
) -> Path:
    """The path, at which a Parquet file has these columns, and the features as `datasets` notes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table(dict(columns))
    if features is not None:
        note = json.dumps({"info": {"features": dict(features)}}).encode()
        table = table.replace_schema_metadata({b"huggingface": note})
    pq.write_table(table, path, row_group_size=rows_in_group)
    return path


def image_structs(names: Sequence[str | None]) -> Any:
    """A column of images, each of another grey, with these names."""
    return pa.array([{"bytes": png(20 * i), "path": name} for i, name in enumerate(names)], IMAGES)
