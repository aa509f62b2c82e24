"""`Source`: labelled images read from a label file or a folder, stored in columns with one row per image.

A row takes the characters of its file name, four bytes for its labels or class (each unique value is stored once), and
eight bytes for each number or coordinate.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from eyebright import _html as html
from eyebright._choices import Part
from eyebright.errors import DataError, count_text, message_text
from eyebright.sources.categorical import Categorical, Rows
from eyebright.sources.indices import Indices
from eyebright.sources.parts import HELD_OUT
from eyebright.sources.targets import Floats, Targets
from eyebright.sources.text_table import Lines, Strings
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.registry import TARGET_BLOCKS

Sizes = np.ndarray[Any, np.dtype[np.int32]]

_MAX_SHOWN = 5  # images, in a notebook


@dataclass(frozen=True, slots=True)
class Row:
    """One image of a source; as text it is its path and the line of the label file.

    Args:
        source: the source.
        index: the index of the row in the source.
    """

    source: "Source"
    index: int

    def __str__(self) -> str:
        origin = self.origin
        return f"{self.path} ({origin})" if origin else str(self.path)

    @property
    def path(self) -> Path:
        """The path of the image."""
        return self.source.root / self.source.files[self.index]

    @property
    def target(self) -> Any:
        """The raw target, as `TargetBlock.read` takes it."""
        return self.source.targets[self.index]

    @property
    def part(self) -> Part | None:
        """What the image is for, see `eyebright.types.Part`; None where the data do not specify it."""
        return None if self.source.part is None else self.source.part[self.index]

    @property
    def line(self) -> int | None:
        """The line of the label file; None for a folder of images."""
        return None if self.source.lines is None else int(self.source.lines[self.index])

    @property
    def origin(self) -> str:
        """The file and the line with the target, such as ``labels.csv line 5``; empty for a folder of images."""
        return "" if self.line is None else f"{self.source.name} line {self.line}"


@dataclass(frozen=True, repr=False, eq=False)
class Source:
    """Labelled images; immutable.

    Args:
        kind: the kind of the targets: the name of a block in `eyebright.tasks.registry.TARGET_BLOCKS`.
        root: the folder that ``files`` are relative to.
        files: the paths of the images, relative to ``root``, each once.
        targets: raw, one for each image: label sets and classes as codes; points of shape (n, p, 2), in pixels of the
            user's image, and numbers of shape (n, k), where NaN is unknown.
        name: the name of the label file, for messages; empty for a folder of images.
        names: the names of the points or numbers; empty where they have none.
        mirror: for each point the index of the point whose name it takes in a mirrored image; None: no pairs are known.
        part: what each image is for, see `eyebright.types.Part`; None where the data do not specify it.
        group: images of one group belong together, in one part of a split; None: each image is independent.
        group_name: what the groups are: the column that contains them; empty where it was not a column.
        weight: shape (n,), of each image in training; None: all the same.
        columns: every other column of the label file, a row for each image.
        lines: shape (n,), the line of the label file with each image; the first line is 1. None without such a file.
        sizes: shape (n, 2), height and width of each image in pixels; 0 if its header was not read. None: none was
            read.
        messages: how the data were read, sentences for the user, which are made printable and bounded.
        skipped: images that were skipped because they cannot be read, path to reason.
        left_out: images that the label file names and that are not in the source, by their path relative to ``root``
            with the reason, such as ``"not labelled yet"``.
        unused: the labels that the label file declares and that no image has.
        declared: the labels that the label file declares, such as its 0/1 columns or the categories of COCO: of others
            it has no information. Empty where it declares none.
        read_options: the arguments of `read_source`; empty where the source was not read from a file.

    Raises:
        DataError: the columns have different lengths.
    """

    kind: str
    root: Path
    files: Strings
    targets: Targets
    name: str = ""
    names: tuple[str, ...] = ()
    mirror: tuple[int, ...] | None = None
    part: Categorical[Any] | None = None
    group: Categorical[str] | None = None
    group_name: str = ""
    weight: Floats | None = None
    columns: pd.DataFrame = field(default_factory=pd.DataFrame)
    lines: Lines | None = None
    sizes: Sizes | None = None
    messages: tuple[str, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
    unused: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    read_options: Mapping[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        if not self.columns.shape[1]:
            object.__setattr__(self, "columns", pd.DataFrame(index=pd.RangeIndex(len(self.files))))
        object.__setattr__(self, "messages", tuple(map(message_text, self.messages)))
        optional = (self.part, self.group, self.weight, self.lines, self.sizes)
        lengths = {len(column) for column in (self.files, self.targets, self.columns, *optional) if column is not None}
        if len(lengths) > 1:
            raise DataError(f"every column of a source has one row for each image, got lengths {sorted(lengths)}")

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Row:
        return Row(self, range(len(self))[index])

    def __iter__(self) -> Iterator[Row]:
        return (Row(self, index) for index in range(len(self)))

    def __repr__(self) -> str:
        return "; ".join([f"Source: {count_text(len(self), 'image')}", *self.messages])

    def _repr_html_(self) -> str:
        """What a notebook shows: the messages, the first images, and those that were skipped."""
        block = self.block()
        rows = [(row.path, block.text(block.read(row.target))) for row in islice(self, _MAX_SHOWN)]
        skipped = html.table(("skipped", "because"), list(self.skipped.items()), text_columns=2) if self.skipped else ""
        return html.block(
            f"Source: {count_text(len(self), 'image')}",
            *map(html.paragraph, self.messages),
            html.table(("image", "target"), rows, text_columns=2, n_omitted=len(self) - len(rows)),
            skipped,
        )

    def block(self) -> TargetBlock:
        """The target block for these targets, not fitted."""
        return TARGET_BLOCKS[self.kind].from_columns(self.names, mirror=self.mirror)

    @property
    def split(self) -> tuple[Indices, Indices] | None:
        """(train, valid) indices as the data specify; None where no image is for validation.

        Images of the parts test and promise are in neither; an image without a part is a training image.
        """
        if self.part is None:
            return None
        validates = self.part.isin(["valid"])
        if not validates.any():
            return None
        return Indices.where(~validates & ~self.part.isin(HELD_OUT)), Indices.where(validates)

    def not_held_out(self) -> Indices:
        """The images for training or validation: all but those of the parts promise and test."""
        if self.part is None:
            return Indices(range(len(self)))
        return Indices.where(~self.part.isin(HELD_OUT))

    def with_messages(self, *messages: str) -> "Source":
        """The source with more messages."""
        return replace(self, messages=(*self.messages, *messages))

    def take(self, rows: Rows | Sequence[int]) -> "Source":
        """The source with only some of its images.

        Args:
            rows: indices, in the order that they should have, or a mask.
        """
        rows = rows if isinstance(rows, (slice, np.ndarray)) else np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            files=self.files[rows],
            targets=self.targets[rows],
            part=None if self.part is None else self.part[rows],
            group=None if self.group is None else self.group[rows],
            weight=None if self.weight is None else self.weight[rows],
            columns=self.columns.iloc[rows].reset_index(drop=True),
            lines=None if self.lines is None else self.lines[rows],
            sizes=None if self.sizes is None else self.sizes[rows],
        )
