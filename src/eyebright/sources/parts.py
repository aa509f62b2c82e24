"""The parts of a dataset (train, valid, promise, test) and the names that folders and table columns use for them."""

import re
from typing import Any, get_args

from eyebright._choices import HeldOutPart, Part
from eyebright.sources.categorical import Categorical

_WORDS: dict[Part, tuple[str, ...]] = {
    "train": ("train", "training", "trn", "learn", "learning"),
    "valid": ("valid", "val", "validation", "validate", "validating", "dev", "development", "eval", "evaluation"),
    "promise": ("promise",),
    "test": ("test", "testing", "tst", "holdout", "heldout"),
}
_PART_OF: dict[str, Part] = {word: part for part, words in _WORDS.items() for word in words}

SPLIT_COLUMNS = ("file", "split", "group", "why")
"""The columns of the table that ``eyebright split`` writes."""

REQUIRED_COLUMNS = ("is_valid", "split")
"""Columns that define the images for validation, whatever their content: a cell that is not a part is an error."""

FLAG_COLUMNS: dict[str, Part] = {
    **dict.fromkeys(("is_valid", "is_val", "is_validation", "valid", "val", "validation"), "valid"),
    **dict.fromkeys(("is_train", "is_training"), "train"),
    **dict.fromkeys(("is_test", "is_testing", "is_holdout"), "test"),
}
"""Columns that are true for the images of a part; not ``train``, which may be a label: a railway train."""

FOLD_COLUMNS = ("fold", "folds", "kfold", "k_fold", "cv_fold", "fold_id")
"""Columns that number folds, which define the images for validation only together with a number."""

PART_COLUMNS = (
    *("set", "subset", "sub_set", "dataset", "data_set", "split_name", "data_split", "dataset_split", "image_set"),
    *("partition", "part", "phase", "stage", "mode", "usage", "use", "purpose", "ml_use", "role", "sample_set"),
    *("train_test", "train_val", "train_valid", "train_val_test", "traintest", "trainval", "split_set", "splits"),
    *FOLD_COLUMNS,
)
"""Columns that define the images for validation if their cells are names of parts."""


def part_of(word: str) -> Part | None:
    """The part that a folder, or a cell of a column, names in any usual spelling; None without a part.

    >>> part_of("VALIDATION"), part_of("train_set"), part_of("cat")
    ('valid', 'train', None)
    """
    plain = re.sub(r"[\s_\-]+", "", word.strip().lower())
    return _PART_OF.get(plain) or _PART_OF.get(re.sub(r"(set|data|split|images|imgs)$", "", plain))


PART_WORDS: dict[Part, str] = {"train": "training", "valid": "validation", "promise": "promises", "test": "testing"}
"""The purpose of the images of a part, for messages; in the order in which parts are listed."""

HELD_OUT: tuple[Part, ...] = get_args(HeldOutPart)
"""Parts that are used neither for training nor for validation."""


def part_messages(part: Categorical[Any], *, origin: str = "the folders give") -> list[str]:
    """The number of images of each part, as sentences for the user.

    Args:
        part: the name of the part of each image.
        origin: what gives the split, with its verb.
    """
    counts = {name: int(part.isin([name]).sum()) for name in PART_WORDS}
    messages = [f"{origin} the split: " + ", ".join(f"{name} {count}" for name, count in counts.items() if count)]
    if held_out := sum(counts[name] for name in HELD_OUT):
        messages.append(f"held-out images, used neither for training nor for validation: {held_out}")
    return messages
