"""`TargetColumns`: targets read from columns of a label file, of any form."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from eyebright.sources.categorical import Categorical, Mask
from eyebright.tasks.base import TargetForm
from eyebright.types import LabelSet

Floats = np.ndarray[Any, np.dtype[np.float64]]
Targets = Categorical[LabelSet] | Categorical[str] | Floats
"""Label sets, classes, points of shape (n, p, 2) or numbers of shape (n, k); NaN is unknown."""


@dataclass(frozen=True, eq=False)
class TargetColumns:
    """The targets in columns of a label file.

    Args:
        form: what the columns hold.
        columns: their names.
        values: the raw target of each row.
        messages: how the columns were read, sentences for the user.
        names: the names of the points or numbers; empty if they have none.
        known: shape (n,), False for rows whose target is unknown and which cannot be used; None: all rows can be used.
    """

    form: TargetForm
    columns: tuple[str, ...]
    values: Targets
    messages: tuple[str, ...]
    names: tuple[str, ...] = ()
    known: Mask | None = None
