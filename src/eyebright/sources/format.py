"""`Format`: one way in which tools write labels: how it is recognised, and the function that reads it.

A new format is one file in `eyebright.sources.formats` with a `Format`, and one line in `eyebright.sources.registry`.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from eyebright._choices import Part, PointUnit
from eyebright.errors import InputError
from eyebright.io.files import FolderContent
from eyebright.sources.label_file import LabelFile
from eyebright.sources.source import Source
from eyebright.sources.targets import CellOptions
from eyebright.sources.task_types import Kind
from eyebright.tasks.task_type import TaskType


@dataclass(frozen=True)
class ReadRequest:
    """A request to read a file or a folder, with the options of the user.

    Args:
        path: the label file or the folder.
        folder: the folder that the user gave, or that of the label file, in which images are searched.
        images: the folder of the images; None: it is ``folder``.
        files: the column or key with the names of the images; None: detected.
        labels: the columns or keys with the targets; empty: detected.
        not_labels: those that are not targets, although they may look so.
        cells: how the cells of a table are read: the delimiter between labels, blanks and -1.
        kind: what the targets are; None: detected.
        group: the column with the groups, or ``"none"``; None: detected.
        split: the column with the parts, or ``"none"``; None: detected.
        valid_fold: the fold for validation, where that column numbers folds.
        pattern: the regular expression that finds the class in the names of the images; None: it is not in them.
        unit: the unit of points, if the user gives it; None: pixels, which may be checked.
        parts: the part of each file, if the user names a file for each part; empty: the names of the files may define
            them.
    """

    path: Path
    folder: Path
    images: Path | None = None
    files: str | None = None
    labels: Sequence[str] = ()
    not_labels: Sequence[str] = ()
    cells: CellOptions = CellOptions()  # noqa: RUF009 - it is immutable
    kind: Kind | None = None
    group: str | None = None
    split: str | None = None
    valid_fold: int | None = None
    pattern: str | None = None
    unit: PointUnit | None = None
    parts: Mapping[Path, Part] = field(default_factory=dict[Path, Part])

    def accepts(self, task_type: TaskType) -> bool:
        """Whether targets of this type are asked for, or none in particular."""
        return self.kind is None or self.kind.task_type == task_type

    @property
    def root(self) -> Path:
        """The folder that the files of the source are relative to.

        Raises:
            InputError: the folder does not exist.
        """
        root = self.folder if self.images is None else self.images
        if not os.path.isdir(root):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
            raise InputError(f"there is no folder of images '{root}'; name it with `images`")
        return root

    def of(self, path: Path) -> "ReadRequest":
        """The request for another label file."""
        return replace(self, path=path)


Read = Callable[[ReadRequest], Source]


@dataclass(frozen=True)
class Format:
    """One way in which tools write labels.

    Args:
        name: the name for the option ``format``.
        title: its name in messages: ``"COCO"``.
        looks_like: how a file or a folder of this format looks, for messages.
        read: the function that reads a file or a folder.
        recognises_file: True for a file of this format; None: it is a format of folders.
        recognises_folder: True for a folder of this format; None: a folder is searched for files of the format. Where
            both are None, it is read only on request.
        options: the names of its options other than ``images`` and ``kind``.
        is_general: True if any other, more specific format is preferred.
        has_columns: it is a table, in text, whose columns are found by their names.
        read_several: the function that reads several files together; None: each is read, and then joined.
        unknown_values: how unknown points and numbers are written, for messages.
        point_offset: what reading adds to the coordinates of points.
        reads_companions: further files beside a label file belong to it, such as one with the names of the classes.
    """

    name: str
    title: str
    looks_like: str
    read: Read
    recognises_file: Callable[[LabelFile], bool] | None = None
    recognises_folder: Callable[[Path, FolderContent], bool] | None = None
    options: tuple[str, ...] = ()
    is_general: bool = False
    has_columns: bool = False
    read_several: Callable[[Sequence[Path], ReadRequest], Source] | None = None
    reads_companions: bool = False
    unknown_values: str = "leave them out"
    point_offset: float = 0.0
