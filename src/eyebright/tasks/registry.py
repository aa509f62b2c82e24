"""`TARGET_BLOCKS`: the class of every kind of target block by its name in a saved model."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from eyebright.errors import check_choice
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock

TARGET_BLOCKS: dict[str, type[TargetBlock]] = {
    kind.name: kind for kind in (CategoryBlock, MultiCategoryBlock, OrdinalBlock, PointBlock, RegressionBlock)
}


def block_to_json(block: TargetBlock) -> dict[str, Any]:
    """The block as data, with its kind."""
    return {"kind": block.name, **block.to_json()}


def block_from_json(data: dict[str, Any]) -> TargetBlock:
    """The block that `block_to_json` described.

    Raises:
        InputError: the kind is unknown to this version.
    """
    kind = str(data.get("kind"))
    check_choice("kind of target", kind, TARGET_BLOCKS)
    return TARGET_BLOCKS[kind].from_json(data)


def block_for_values(values: Sequence[Any]) -> type[TargetBlock]:
    """The block class for raw targets, by the type of the first one.

    `RegressionBlock` for a float, `MultiCategoryBlock` for a list, tuple or set, else `CategoryBlock`.
    """
    first = next(iter(values), None)  # not ``values and values[0]``: an array or a column has no truth value
    if isinstance(first, (float, np.floating)):
        return RegressionBlock
    return MultiCategoryBlock if isinstance(first, (list, tuple, set, frozenset)) else CategoryBlock
