"""`TaskType`: what a target is, and the words for it in the option `kind`."""

from collections.abc import Mapping
from typing import Literal

TaskType = Literal["labels", "classes", "points", "numbers"]
"""The target of an image: any number of labels, one of several classes, points, or numbers.

It is the key of each table with an entry per kind, from the readers of label files to the sections of the report.
"""

KindWord = Literal["labels", "class", "points", "numbers"]
"""A task type as users write it in the option `kind`, and as the journal of a review saves it."""

KIND_WORDS: Mapping[TaskType, KindWord] = {
    "labels": "labels",
    "classes": "class",
    "points": "points",
    "numbers": "numbers",
}
"""The value of the option `kind` for the first block of `TARGET_BLOCKS` with each task type."""
