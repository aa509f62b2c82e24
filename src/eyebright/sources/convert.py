"""`convert_source`: writes labelled images in the format of another tool, and reports what that cannot represent."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eyebright._choices import WriteFormat
from eyebright.errors import InputError, did_you_mean, listing, os_reason
from eyebright.io.atomic import UNPACKED, output_path, prepared_file, temporary_folder
from eyebright.sources.parts import PART_WORDS
from eyebright.sources.source import Source
from eyebright.sources.writer import Writer, check_writable, mirror_option
from eyebright.sources.writers.coco import COCO
from eyebright.sources.writers.folders import FOLDERS
from eyebright.sources.writers.label_studio import LABEL_STUDIO
from eyebright.sources.writers.table import CSV, PARQUET

WRITERS: Mapping[WriteFormat, Writer] = {known.name: known for known in (CSV, PARQUET, COCO, LABEL_STUDIO, FOLDERS)}
"""By their names."""


@dataclass(frozen=True)
class Converted:
    """Labelled images that were written in another format.

    Args:
        path: the file, or the folder.
        read_options: the arguments of `read_source` with which ``path`` is read.
        messages: what it does not hold, sentences for the user.
    """

    path: Path
    read_options: Mapping[str, Any]
    messages: tuple[str, ...]


def convert_source(source: Source, to: WriteFormat, path: str | Path) -> Converted:
    """Writes labelled images in another format. Images are not changed, and only copied by ``to="folders"``.

    COCO and Label Studio have no place for the part of an image, so there ``path`` becomes a folder with a file for
    each part where the data have parts.

    Args:
        source: the labelled images.
        to: ``"csv"``, ``"parquet"``, ``"coco"``, ``"labelstudio"`` or ``"folders"``.
        path: the file or folder to write; it must not exist.

    Raises:
        InputError: the format is unknown or does not support these targets, or ``path`` exists or cannot be written.
        ImageError: the size of an image is needed, and cannot be read.
    """
    writer = WRITERS.get(to)
    if writer is None:
        raise InputError(f"`to='{to}'`: unknown format.{did_you_mean(to, WRITERS)} Known: {listing(WRITERS)}")
    path = Path(path)
    messages = check_writable(source, writer)
    _check_new(path)
    if is_of_another_format(path, writer):
        raise InputError(
            f"'{path}' is the name of another format than {writer.title}; give one that ends in {writer.suffix}"
        )
    options: dict[str, Any] = {}
    try:
        target = output_path(path)
        if source.part is not None and not writer.holds_parts:
            with _new_folder(target) as folder:
                for part, rows in _by_part(source).items():
                    options |= writer.write(source.take(rows), folder / f"{part}{writer.suffix}")
        elif writer.suffix:
            with prepared_file(target, lambda place: options.update(writer.write(source, place))) as rename:
                _check_new(target)
                rename()
        else:
            with _new_folder(target) as folder:
                options |= writer.write(source, folder)
    except OSError as error:
        raise InputError(f"cannot write '{path}': {os_reason(error)}") from error
    needs_images = {} if writer is FOLDERS else {"images": str(source.root)}
    return Converted(path, {**needs_images, **options, **mirror_option(source)}, tuple(messages))


@contextmanager
def _new_folder(path: Path) -> Generator[Path, None, None]:
    """A temporary folder, which becomes ``path`` when it is complete."""
    with temporary_folder(path.with_name(f"{path.name}{UNPACKED}")) as folder:
        yield folder
        _check_new(path)
        folder.rename(path)


def is_of_another_format(path: Path, writer: Writer) -> bool:
    """Whether a file name ends as those of another format do, so that it would be read as one."""
    others = {known.suffix for known in WRITERS.values()} - {writer.suffix, ""}
    return bool(writer.suffix) and path.suffix.lower() in others


def _check_new(path: Path) -> None:
    """Raises `InputError` if the path exists; checked again at the end, since another process may have written it."""
    if path.exists():
        raise InputError(f"'{path}' exists; choose another `out`, or remove it")


def _by_part(source: Source) -> dict[str, "np.ndarray[Any, np.dtype[np.int64]]"]:
    assert source.part is not None
    masks = {part: source.part.isin([part, None] if part == "train" else [part]) for part in PART_WORDS}
    return {part: np.flatnonzero(mask) for part, mask in masks.items() if mask.any()}
