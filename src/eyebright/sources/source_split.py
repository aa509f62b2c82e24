"""`split_source`: a stratified random validation set for a `Source` that has none; a group is never divided."""

from dataclasses import replace

import numpy as np

from eyebright._defaults import VALID_PCT
from eyebright.errors import DataError
from eyebright.sources.categorical import Categorical, Codes, Mask
from eyebright.sources.forms import FORMS
from eyebright.sources.source import Source
from eyebright.sources.split import check_share, permutation
from eyebright.sources.stratify import group_split, iterative_split
from eyebright.types import Part


def split_source(source: Source, valid_pct: float = VALID_PCT, *, seed: int = 0) -> Source:
    """The source with a part for every image, and a message about the split.

    Labels, classes and quantiles of numbers keep their shares, and groups stay whole. A source in which some images are
    for validation already keeps its parts, and a message says if they divide groups; images for promise and test keep
    their part.

    Args:
        source: the labelled images.
        valid_pct: the share of the images outside of promise and test that is for validation, in [0, 1).
        seed: the seed of the split.

    Raises:
        InputError: ``valid_pct`` is out of range.
        DataError: all images are of one group.
    """
    check_share("valid_pct", valid_pct)
    if source.split is not None:
        divided = _divided_groups(source)
        return replace(source, messages=(*source.messages, divided)) if divided else source
    rows = source.not_held_out()
    block = source.block()
    functions = FORMS[block.form]
    strata = functions.strata(block, source.targets[rows.array], valid_pct)
    groups = None if source.group is None else source.group[rows.array].remove_unused_categories()
    if groups is None:
        is_valid = iterative_split(strata, permutation(len(rows), seed), valid_pct)
    else:
        if len(groups.categories) < 2:
            raise DataError(f"all {len(rows)} images are of one group, so there is no second group for validation")
        by_group = group_split(strata, groups.codes, permutation(len(groups.categories), seed), valid_pct)
        is_valid = by_group[groups.codes]
    message = f"split at random with seed {seed}: {int(is_valid.sum())} of {len(rows)} images for validation"
    notes = [functions.split_note] if functions.split_note else []
    if groups is not None:
        notes.append(f"each of the {len(groups.categories)} groups is in one part as a whole")
    part = _parts(source, rows.array, is_valid)
    return replace(source, part=part, messages=(*source.messages, "; ".join([message, *notes])))


def _divided_groups(source: Source) -> str:
    """A sentence for the user about groups that the split of the data divides; empty if there are none."""
    if source.group is None or source.part is None:
        return ""
    pairs = np.unique(np.stack([source.group.codes, source.part.codes]), axis=1)
    groups, parts = np.unique(pairs[0], return_counts=True)
    divided = int((parts > 1).sum())
    if not divided:
        return ""
    return (
        f"{divided:,} of {len(groups):,} groups have images in more than one part of the split in the data, so the"
        " scores are not those of new groups; without that split, a random one divides no group"
    )


def _parts(
    source: Source, rows: np.ndarray[tuple[int], np.dtype[np.int64]], is_valid: Mask
) -> Categorical[Part | None]:
    values: list[Part | None] = ["train", "valid"]
    codes: Codes = np.zeros(len(source), dtype=np.int32)
    if source.part is not None:
        values += source.part.categories
        codes[:] = source.part.codes + 2
    codes[rows] = is_valid
    return Categorical[Part | None](tuple(values), codes).remove_unused_categories()
