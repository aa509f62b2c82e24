"""The parts of a dataset (train, valid, promise, test) and the names that folders and table columns use for them."""

from typing import get_args

from eyebright.sources.categorical import Categorical
from eyebright.types import HeldOutPart, Part

PART_NAMES: dict[str, Part] = {
    "train": "train",
    "training": "train",
    "valid": "valid",
    "val": "valid",
    "validation": "valid",
    "dev": "valid",
    "promise": "promise",
    "test": "test",
    "testing": "test",
}
"""The part that a folder, or a cell of a column ``split``, names in lower case."""

PART_WORDS: dict[Part, str] = {"train": "training", "valid": "validation", "promise": "guarantees", "test": "testing"}
"""What the images of a part are for, in a message; in the order in which parts are listed."""

HELD_OUT: tuple[Part, ...] = get_args(HeldOutPart)
"""Parts that are used neither for training nor for validation."""


def part_messages(part: Categorical[Part], *, column: str | None = None) -> list[str]:
    """How many images each part has, sentences for the user.

    Args:
        part: of each image.
        column: of the table, which gives the split; None: the folders give it.
    """
    counts = {name: int(part.isin([name]).sum()) for name in PART_WORDS}
    origin = "the folders give" if column is None else f"column '{column}' gives"
    messages = [f"{origin} the split: " + ", ".join(f"{name} {count}" for name, count in counts.items() if count)]
    if held_out := sum(counts[name] for name in HELD_OUT):
        messages.append(f"held-out images, used neither for training nor for validation: {held_out}")
    return messages
