"""The kinds of target that there are, by the name that a saved model calls them."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from eyebright.errors import InputError, did_you_mean, listing
from eyebright.tasks.base import Columns, TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock

TARGET_BLOCKS: dict[str, type[TargetBlock]] = {
    kind.name: kind for kind in (CategoryBlock, MultiCategoryBlock, OrdinalBlock, PointBlock, RegressionBlock)
}


_FIRST_OF_FORM = {block.columns: name for name, block in reversed(TARGET_BLOCKS.items())}
"""For each form of columns the first block that is read from it."""

_OTHER_WORDS = {"ratings": OrdinalBlock.name}
"""What users call a kind besides its block's name and its form in a table."""


def find_kind(word: str) -> tuple[str, Columns]:
    """(the name of the block, its form in a table) of a kind in the user's words: a form, or the name of a block.

    Raises:
        InputError: there is none of that name; the message names the nearest one.
    """
    name = _OTHER_WORDS.get(word, word)
    name = name if name in TARGET_BLOCKS else dict[str, str](_FIRST_OF_FORM).get(name, name)
    if name in TARGET_BLOCKS:
        return name, TARGET_BLOCKS[name].columns
    known = [*dict.fromkeys(_FIRST_OF_FORM), *_OTHER_WORDS]
    meant = did_you_mean(word, [*known, *TARGET_BLOCKS])
    raise InputError(f"there is no `kind='{word}'`.{meant} There are {listing(known)}")


def block_name(form: Columns) -> str:
    """The name of the first block that is read from this form of columns."""
    return _FIRST_OF_FORM[form]


def block_to_json(block: TargetBlock) -> dict[str, Any]:
    """The block as data, with its kind."""
    return {"kind": block.name, **block.to_json()}


def block_from_json(data: dict[str, Any]) -> TargetBlock:
    """The block that `block_to_json` described.

    Raises:
        InputError: the kind is unknown to this version.
    """
    kind = str(data.get("kind"))
    if kind not in TARGET_BLOCKS:
        raise InputError(
            f"unknown kind of target '{kind}'.{did_you_mean(kind, TARGET_BLOCKS)} Known: {listing(TARGET_BLOCKS)}"
        )
    return TARGET_BLOCKS[kind].from_json(data)


def block_for_values(values: Sequence[Any]) -> type[TargetBlock]:
    """The block for raw targets as a getter gives them: numbers for floats, labels for lists and sets, else classes."""
    first = next(iter(values), None)  # of an array or a table's column too, which has no truth value
    if isinstance(first, (float, np.floating)):
        return RegressionBlock
    return MultiCategoryBlock if isinstance(first, (list, tuple, set, frozenset)) else CategoryBlock
