"""Label files that tests write on the spot, and what was read of them in plain Python values."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np

from eyebright.sources.source import Source
from eyebright.sources.targets import TargetColumns, Targets
from eyebright.sources.text_table import TextColumn, TextTable
from eyebright.tasks.registry import TARGET_BLOCKS


def text_table(columns: Mapping[str, Iterable[str]]) -> TextTable:
    """The table of a file ``t.csv`` whose first row is on line 2."""
    made = {name: TextColumn.of(cells) for name, cells in columns.items()}
    rows = max(map(len, made.values()))
    return TextTable("t.csv", made, np.arange(2, rows + 2))


def label_sets(targets: Targets) -> list[set[str]]:
    """The labels of each image; its class alone where it has one."""
    return [{target} if isinstance(target, str) else set(target) for target in targets]


class Understood:
    """What was read of columns."""

    def __init__(self, columns: TargetColumns) -> None:
        self.task_type: str = columns.task_type
        self.labels = label_sets(columns.values)
        self.messages = columns.messages


class ReadTable:
    """What was read of a table."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.task_type: str = TARGET_BLOCKS[source.kind].task_type
        self.files: list[str] = list(source.files)
        self.parts: list[Any] | None = None if source.part is None else list(source.part)
        self.lines: list[int] = [] if source.lines is None else source.lines.tolist()
        self.messages = source.messages
        self.others: list[str] = list(source.columns)

    @cached_property
    def labels(self) -> list[set[str]]:
        """The labels of each image."""
        return label_sets(self.source.targets)
