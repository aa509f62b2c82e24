"""What lies on a disk, as labelled images: a table and a folder of images, or a folder for each class."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from eyebright import _html as html
from eyebright.errors import ImageError, InputError, listing
from eyebright.image.image import Image
from eyebright.io.files import get_image_files
from eyebright.sources.label_table import read_labels

TRAIN_FOLDERS = ("train", "training")
VALID_FOLDERS = ("valid", "val", "validation")

_SHOWN = 5  # images, in a notebook


@dataclass(frozen=True, slots=True)
class Labelled:
    """One image of a source, and its labels.

    Args:
        path: of the image.
        labels: none, one or several.
        valid: whether it validates; None when the source does not say.
        told: where its labels were said, for messages.
    """

    path: Path
    labels: tuple[str, ...]
    valid: bool | None
    told: str

    def __str__(self) -> str:
        return f"{self.path} ({self.told})" if self.told else str(self.path)


@dataclass(frozen=True, repr=False)
class Source:
    """The labelled images of a disk.

    Args:
        images: each once.
        kind: ``"multi"`` for any number of labels an image, ``"single"`` for exactly one.
        said: how it was understood, sentences for the user.
        skipped: images that were left out because they cannot be read, path to reason.
    """

    images: Sequence[Labelled]
    kind: Literal["multi", "single"]
    said: tuple[str, ...]
    skipped: dict[str, str] = field(default_factory=dict[str, str])

    def __repr__(self) -> str:
        return "; ".join([f"Source: {len(self.images)} images", *self.said])

    def _repr_html_(self) -> str:
        """What a notebook shows: how it was understood, its first images, and which were left out."""
        rows = [(image.path, ", ".join(image.labels)) for image in self.images[:_SHOWN]]
        left_out = len(self.images) - len(rows)
        skipped = (
            html.table(("left out", "because"), list(self.skipped.items()), text_columns=2) if self.skipped else ""
        )
        return html.block(
            f"Source: {len(self.images):,} images",
            *map(html.paragraph, self.said),
            html.table(("image", "labels"), rows, text_columns=2, left_out=left_out),
            skipped,
        )

    @property
    def split(self) -> list[bool] | None:
        """Which images validate; None when the source does not say."""
        flags = [image.valid for image in self.images]
        return None if None in flags else [flag is True for flag in flags]


def table_source(
    path: str | Path,
    *,
    images: str | Path | None = None,
    files: str | None = None,
    labels: str | None = None,
    delimiter: str | None = None,
) -> Source:
    """The images that a table names, with its labels.

    Args:
        path: the table, CSV or TSV.
        images: the folder that its file names start from; None: the table's own.
        files: the column with the images' names.
        labels: the column with the labels.
        delimiter: what stands between two labels.

    Raises:
        InputError: there is no such folder.
        TableError: the table cannot be understood.
    """
    path = Path(path)
    folder = path.parent if images is None else Path(images)
    if not folder.is_dir():
        raise InputError(f"there is no folder of images '{folder}'; name it with --images")
    table = read_labels(path, files=files, labels=labels, delimiter=delimiter)
    valid = table.valid or [None] * len(table.files)
    rows = [
        Labelled(folder / name, one, flag, f"{path.name} line {line}")
        for name, one, flag, line in zip(table.files, table.labels, valid, table.lines, strict=True)
    ]
    return Source(rows, table.kind, table.said)


def folder_source(path: str | Path) -> Source:
    """The images of a folder for each class; ``train/`` and ``valid/`` above them are the split.

    Raises:
        InputError: there is no image, or images lie outside of any class folder.
    """
    root = Path(path)
    files = get_image_files(root)
    _refuse_loose([file for file in files if file.parent == root])
    tops = {_top(file, root) for file in files}
    if not tops & set(VALID_FOLDERS) or not tops & set(TRAIN_FOLDERS):
        return Source([Labelled(file, (file.parent.name,), None, "") for file in files], "single", (_said(files),))
    used = [file for file in files if _top(file, root) in TRAIN_FOLDERS + VALID_FOLDERS]
    _refuse_loose([file for file in used if file.parent.parent == root])
    images = [Labelled(file, (file.parent.name,), _top(file, root) in VALID_FOLDERS, "") for file in used]
    left = len(files) - len(used)
    more = (f"images outside of the folders for training and validation, which are left out: {left}",) if left else ()
    return Source(images, "single", (_said(used), "the folders say which images validate", *more))


def readable(source: Source, *, skip_bad: bool) -> Source:
    """The source without images whose header cannot be read; looking at headers is quick.

    Raises:
        InputError: there are such images and ``skip_bad`` is False, or no image is left.
    """
    bad: dict[str, str] = {}
    first: Labelled | None = None
    good: list[Labelled] = []
    for image in source.images:
        try:
            Image.create(image.path)
            good.append(image)
        except ImageError as error:
            first = first or image
            bad[error.path] = error.reason
    if first is not None:
        reason = bad[str(first.path)] if str(first.path) in bad else next(iter(bad.values()))
        if not good:
            there = os.path.exists(first.path) or not first.told  # noqa: PTH110 - of any name, with no error
            where = "" if there else "; --images names the folder that the table's file names start from"
            raise InputError(f"none of the {len(source.images)} images can be read; {first}: {reason}{where}")
        if not skip_bad:
            others = f", and {len(bad) - 1} more cannot be read either" if len(bad) > 1 else ""
            raise InputError(f"{first}: {reason}{others}; --skip-bad leaves them out and lists them")
    return Source(good, source.kind, source.said, {**source.skipped, **bad})


def _refuse_loose(files: Sequence[Path]) -> None:
    if files:
        raise InputError(
            f"'{files[0]}' lies in no class folder; "
            "put every image into a folder named after its class, or give a table"
        )


def _top(file: Path, root: Path) -> str:
    return file.relative_to(root).parts[0].lower()


def _said(files: Sequence[Path]) -> str:
    classes = sorted({file.parent.name for file in files})
    folders = "1 folder" if len(classes) == 1 else f"{len(classes)} folders"
    return f"{len(files)} images in {folders}, one for each class: {listing(classes)}"
