"""`TargetColumns`: targets read from columns of a label file, of any task type."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from eyebright._choices import BlankMeaning, UncertainMeaning
from eyebright.errors import listing
from eyebright.sources.categorical import Categorical, Mask
from eyebright.tasks.task_type import TaskType
from eyebright.types import LabelSet

Floats = np.ndarray[Any, np.dtype[np.float64]]
Targets = Categorical[LabelSet] | Categorical[str] | Floats
"""Label sets, classes, points of shape (n, p, 2) or numbers of shape (n, k); NaN is unknown."""


class CellOptions(NamedTuple):
    """How cells are read, where the user specifies it; None: the whole table decides.

    Args:
        delimiter: between two labels in a cell; ``""`` if a cell is one class.
        blank: what a blank cell of a 0/1 column means: ``"unknown"`` or ``"no"``.
        uncertain: what -1 means in a 0/1 column: ``"unknown"``, ``"yes"`` or ``"no"``.
    """

    delimiter: str | None = None
    blank: BlankMeaning | None = None
    uncertain: UncertainMeaning | None = None


@dataclass(frozen=True, eq=False)
class TargetColumns:
    """The targets in columns of a label file.

    Args:
        task_type: the type of the targets.
        columns: their names.
        values: the raw target of each row.
        messages: how the columns were read, sentences for the user.
        names: the names of the points or numbers; empty if they have none.
        known: shape (n,), False for rows whose target is unknown and which cannot be used; None: all rows can be used.
        unused: the labels that the columns declare and that no image has.
        declared: the labels that the columns declare; empty where they declare none.
        are_indicators: whether each column holds 0 and 1 for a label, so that blank cells and -1 have a meaning.
        splits_at: between two labels in a cell; empty where cells are not split.
    """

    task_type: TaskType
    columns: tuple[str, ...]
    values: Targets
    messages: tuple[str, ...]
    names: tuple[str, ...] = ()
    known: Mask | None = None
    unused: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    are_indicators: bool = False
    splits_at: str = ""


def unused_messages(labels: Sequence[str]) -> list[str]:
    """The sentence for the user about labels that no image has; none without any.

    Args:
        labels: the labels that the data declare and no image has.
    """
    return [f"labels that no image has, which cannot be learnt: {listing(labels)}"] if labels else []
