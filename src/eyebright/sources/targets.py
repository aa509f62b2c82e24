"""The targets that were read from columns of a label file, of any form."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from eyebright.sources.categorical import Categorical, Mask
from eyebright.tasks.base import Columns
from eyebright.types import LabelSet

Floats = np.ndarray[Any, np.dtype[np.float64]]
Targets = Categorical[LabelSet] | Categorical[str] | Floats
"""Label sets, classes, points (n, p, 2) or numbers (n, k); NaN is unknown."""


@dataclass(frozen=True, eq=False)
class TargetColumns:
    """Targets, and how they were understood.

    Args:
        form: what the columns hold.
        columns: their names.
        values: raw, one for each row.
        messages: how they were understood, sentences for the user.
        names: of the points or numbers; empty where they have none.
        known: shape (n,), False for rows without any target, which cannot be used; None: all have one.
    """

    form: Columns
    columns: tuple[str, ...]
    values: Targets
    messages: tuple[str, ...]
    names: tuple[str, ...] = ()
    known: Mask | None = None
