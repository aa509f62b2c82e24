"""What lies on a disk, as labelled pictures: a table and a folder of pictures, or a folder for each class."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from eyebright import markup
from eyebright.errors import InputError, PictureError, listing
from eyebright.io.files import get_image_files
from eyebright.io.images import Picture
from eyebright.io.tables import read_labels

TRAIN_FOLDERS = ("train", "training")
VALID_FOLDERS = ("valid", "val", "validation")

_SHOWN = 5  # pictures, in a notebook


@dataclass(frozen=True, slots=True)
class Labelled:
    """One picture of a source, and its labels.

    Args:
        path: of the picture.
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
    """The labelled pictures of a disk.

    Args:
        pictures: each once.
        kind: ``"multi"`` for any number of labels a picture, ``"single"`` for exactly one.
        said: how it was understood, sentences for the user.
        skipped: pictures that were left out because they cannot be read, path to reason.
    """

    pictures: Sequence[Labelled]
    kind: Literal["multi", "single"]
    said: tuple[str, ...]
    skipped: dict[str, str] = field(default_factory=dict[str, str])

    def __repr__(self) -> str:
        return "; ".join([f"Source: {len(self.pictures)} pictures", *self.said])

    def _repr_html_(self) -> str:
        """What a notebook shows: how it was understood, its first pictures, and which were left out."""
        rows = [(picture.path, ", ".join(picture.labels)) for picture in self.pictures[:_SHOWN]]
        left_out = len(self.pictures) - len(rows)
        skipped = markup.table(("left out", "because"), list(self.skipped.items()), words=2) if self.skipped else ""
        return markup.block(
            f"Source: {len(self.pictures):,} pictures",
            *map(markup.sentence, self.said),
            markup.table(("picture", "labels"), rows, words=2, left_out=left_out),
            skipped,
        )

    @property
    def split(self) -> list[bool] | None:
        """Which pictures validate; None when the source does not say."""
        flags = [picture.valid for picture in self.pictures]
        return None if None in flags else [flag is True for flag in flags]


def table_source(
    path: str | Path,
    *,
    images: str | Path | None = None,
    files: str | None = None,
    labels: str | None = None,
    delimiter: str | None = None,
) -> Source:
    """The pictures that a table names, with its labels.

    Args:
        path: the table, CSV or TSV.
        images: the folder that its file names start from; None: the table's own.
        files: the column with the pictures' names.
        labels: the column with the labels.
        delimiter: what stands between two labels.

    Raises:
        InputError: there is no such folder.
        TableError: the table cannot be understood.
    """
    path = Path(path)
    folder = path.parent if images is None else Path(images)
    if not folder.is_dir():
        raise InputError(f"there is no folder of pictures '{folder}'; name it with --images")
    table = read_labels(path, files=files, labels=labels, delimiter=delimiter)
    valid = table.valid or [None] * len(table.files)
    pictures = [
        Labelled(folder / name, one, flag, f"{path.name} line {line}")
        for name, one, flag, line in zip(table.files, table.labels, valid, table.lines, strict=True)
    ]
    return Source(pictures, table.kind, table.said)


def folder_source(path: str | Path) -> Source:
    """The pictures of a folder for each class; ``train/`` and ``valid/`` above them are the split.

    Raises:
        InputError: there is no picture, or pictures lie outside of any class folder.
    """
    root = Path(path)
    files = get_image_files(root)
    _refuse_loose([file for file in files if file.parent == root])
    tops = {_top(file, root) for file in files}
    if not tops & set(VALID_FOLDERS) or not tops & set(TRAIN_FOLDERS):
        return Source([Labelled(file, (file.parent.name,), None, "") for file in files], "single", (_said(files),))
    used = [file for file in files if _top(file, root) in TRAIN_FOLDERS + VALID_FOLDERS]
    _refuse_loose([file for file in used if file.parent.parent == root])
    pictures = [Labelled(file, (file.parent.name,), _top(file, root) in VALID_FOLDERS, "") for file in used]
    left = len(files) - len(used)
    more = (f"pictures outside of the folders for training and validation, which are left out: {left}",) if left else ()
    return Source(pictures, "single", (_said(used), "the folders say which pictures validate", *more))


def readable(source: Source, *, skip_bad: bool) -> Source:
    """The source without pictures whose header cannot be read; looking at headers is quick.

    Raises:
        InputError: there are such pictures and ``skip_bad`` is False, or no picture is left.
    """
    bad: dict[str, str] = {}
    first: Labelled | None = None
    good: list[Labelled] = []
    for picture in source.pictures:
        try:
            Picture.create(picture.path)
            good.append(picture)
        except PictureError as error:
            first = first or picture
            bad[error.path] = error.reason
    if first is not None:
        reason = bad[str(first.path)] if str(first.path) in bad else next(iter(bad.values()))
        if not good:
            there = os.path.exists(first.path) or not first.told  # noqa: PTH110 - of any name, with no error
            where = "" if there else "; --images names the folder that the table's file names start from"
            raise InputError(f"none of the {len(source.pictures)} pictures can be read; {first}: {reason}{where}")
        if not skip_bad:
            others = f", and {len(bad) - 1} more cannot be read either" if len(bad) > 1 else ""
            raise InputError(f"{first}: {reason}{others}; --skip-bad leaves them out and lists them")
    return Source(good, source.kind, source.said, {**source.skipped, **bad})


def _refuse_loose(files: Sequence[Path]) -> None:
    if files:
        raise InputError(
            f"'{files[0]}' lies in no class folder; "
            "put every picture into a folder named after its class, or give a table"
        )


def _top(file: Path, root: Path) -> str:
    return file.relative_to(root).parts[0].lower()


def _said(files: Sequence[Path]) -> str:
    classes = sorted({file.parent.name for file in files})
    folders = "1 folder" if len(classes) == 1 else f"{len(classes)} folders"
    return f"{len(files)} pictures in {folders}, one for each class: {listing(classes)}"
