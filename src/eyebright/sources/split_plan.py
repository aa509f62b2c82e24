"""`plan_split`: a part for each image so that nothing leaks, with the reason for each.

Images that belong together (a group, near-duplicates, or connected by both) are one unit and go to one part. Units are
stratified over all labels, or ordered by time. The result depends on the names of the files and the seed, and not on
the order of the rows: images are drawn in the order of a hash of the seed and their paths.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from eyebright.errors import DataError, InputError, count_text
from eyebright.sources.categorical import Categorical, Codes, Mask
from eyebright.sources.indices import IndexArray
from eyebright.sources.parts import HELD_OUT
from eyebright.sources.source import Source
from eyebright.sources.strata import stratum_text
from eyebright.sources.stratified_parts import assign_parts
from eyebright.sources.task_types import TARGET_FUNCTIONS
from eyebright.sources.text_table import Strings
from eyebright.sources.times import Times
from eyebright.sources.together import joined, numbered

_HASHED_AT_ONCE = 100_000  # names
_PART_ORDER = ("test", "promise", "valid", "train")
"""Of the parts of the images that belong together with one that has none, the first is also its part."""


class Reason(NamedTuple):
    """One reason for the parts of images.

    Args:
        codes: shape (n,), -1 for images without it.
        text: a function from a code to words.
    """

    codes: IndexArray
    text: Callable[[int], str]


@dataclass(frozen=True, eq=False)
class SplitPlan:
    """A part for each image of a source.

    Args:
        part: the part of each image, or the number of its fold as text.
        is_drawn: shape (n,), True for images whose part was drawn; the others have that of the data.
        reasons: the reasons for these parts; an image may have several.
    """

    part: Categorical[str]
    is_drawn: Mask
    reasons: Sequence[Reason]

    @cached_property
    def why(self) -> Categorical[str]:
        """The reasons for the part of each image, in words."""
        return _words(self.reasons)


def plan_split(
    source: Source,
    shares: Mapping[str, float],
    *,
    seed: int = 0,
    same: Codes | None = None,
    times: Times | None = None,
) -> SplitPlan:
    """A part for each image that the data leave open.

    Images without a part are open; if none is for validation, those for training are open, too; and with folds those
    for validation as well. An image without a part that belongs together with images that keep theirs gets the same.

    Args:
        source: the labelled images.
        shares: the shares of the open images, for each part from the oldest to the newest, or for each fold ``"0"``,
            ``"1"``, ...; they add up to 1.
        seed: the seed of the draw.
        same: shape (n,), the same code for images that stay together besides groups, such as near-duplicates of one
            another; an image that is like no other has a code of its own. None: not known.
        times: the times of the images; the newest units go to the last part. A unit is as new as its newest image.
            None: stratified at random.

    Raises:
        InputError: there are fewer units than folds.
        DataError: all open images belong together, or there are too few codes.
    """
    together = [codes for codes in (None if source.group is None else source.group.codes, same) if codes is not None]
    if any(len(codes) != len(source) for codes in together):
        raise DataError(f"`same` needs a code for each of the {len(source):,} images")
    has_folds = "train" not in shares
    order = content_order(source.files, seed)
    units = joined(together, len(source))
    names = [*shares, *(name for name in _PART_ORDER if name not in shares)]
    codes, is_following = _given(source, units, names, has_folds=has_folds)
    is_drawn = codes < 0
    rows = order[is_drawn[order]]
    unit = numbered(units[rows])
    _check_units(len(rows), int(unit.max(initial=-1)) + 1, shares, is_joined=bool(together), has_folds=has_folds)
    if times is None:
        part, reason = _stratified(source, rows, unit, list(shares.values()), keeps_labels=not has_folds)
    else:
        part, reason = _by_time(times, rows, unit, list(shares.values()))
    codes[rows] = part[unit]
    drawn_because = np.full(len(source), -1, dtype=np.int64)
    drawn_because[rows] = reason.codes[unit]
    is_kept = ~is_drawn & ~is_following
    reasons = [
        Reason(np.where(is_kept, codes, -1), lambda code: f"kept: {names[code]} in the data"),
        Reason(np.where(is_following, codes, -1), lambda code: f"with images that the data give to {names[code]}"),
        _group_reason(source, ~is_kept),
        _same_reason(source, same, order, ~is_kept),
        Reason(drawn_because, reason.text),
    ]
    return SplitPlan(Categorical(tuple(names), codes).remove_unused_categories(), is_drawn, reasons)


def content_order(files: Strings, seed: int) -> IndexArray:
    """The rows in a random order that depends on the names of the files and the seed, and not on the order of rows.

    Args:
        files: shape (n,), the paths, each once.
        seed: the seed of the order.
    """
    key = f"eyebright split {seed}".encode()
    parts: list[bytes] = []
    for start in range(0, len(files), _HASHED_AT_ONCE):
        names: list[str] = files[start : start + _HASHED_AT_ONCE].tolist()
        encoded = [name.encode(errors="surrogatepass") for name in names]  # a file may have any bytes in its name
        parts.append(b"".join([hashlib.blake2b(name, digest_size=8, key=key).digest() for name in encoded]))
    return np.argsort(np.frombuffer(b"".join(parts), "<u8"), kind="stable")


def _given(source: Source, units: IndexArray, names: Sequence[str], *, has_folds: bool) -> tuple[Codes, Mask]:
    """(the code of each image's part where the data give it, else -1; True where it is that of its unit)."""
    codes = np.full(len(source), -1, dtype=np.int32)
    is_following = np.zeros(len(source), dtype=np.bool_)
    if source.part is None:
        return codes, is_following
    keeps_all = source.split is not None and not has_folds
    kept = [name for name in names if name in HELD_OUT or (keeps_all and name in source.part.categories)]
    of_category = [names.index(part) if part in kept else -1 for part in source.part.categories]
    codes[:] = np.array(of_category, dtype=np.int32)[source.part.codes]
    of_unit = np.full(len(source), -1, dtype=np.int32)
    for name in reversed(_PART_ORDER):
        if name in kept:
            of_unit[units[codes == names.index(name)]] = names.index(name)
    is_following = source.part.isin([None]) & (of_unit[units] >= 0)
    codes[is_following] = of_unit[units][is_following]
    return codes, is_following


def _check_units(n_images: int, n_units: int, shares: Mapping[str, float], *, is_joined: bool, has_folds: bool) -> None:
    if has_folds and n_units < len(shares):
        kind = "groups of images that belong together" if is_joined else "images"
        raise InputError(f"`folds` must be from 2 to the number of {kind}, {n_units:,}; got {len(shares):,}")
    if is_joined and n_images > 1 and n_units < 2:
        raise DataError(f"all {n_images} images are of one group, so there is no second group for validation")


def _stratified(
    source: Source, rows: IndexArray, unit: IndexArray, shares: Sequence[float], *, keeps_labels: bool
) -> tuple[Codes, Reason]:
    """(the part of each unit, the reason for each)."""
    block = source.block()
    smallest = min((share for share in shares if share > 0), default=1.0)
    smallest = min(smallest, 1 - smallest) if smallest < 1 else 1.0
    strata = TARGET_FUNCTIONS[block.task_type].strata(block, source.targets[rows], smallest)
    assigned = assign_parts(strata, shares, units=unit, keeps_labels=keeps_labels)
    images = dict(zip(strata.names, np.bincount(strata.codes, minlength=len(strata.names)).tolist(), strict=True))

    def text(code: int) -> str:
        return (
            stratum_text(assigned.names[code], images[assigned.names[code]])
            if code < len(assigned.names)
            else "at random"
        )

    return assigned.part, Reason(np.where(assigned.label < 0, len(assigned.names), assigned.label), text)


def _by_time(times: Times, rows: IndexArray, unit: IndexArray, shares: Sequence[float]) -> tuple[Codes, Reason]:
    """The same by time: the newest image of a unit counts, and the oldest units are in the first part."""
    newest = np.lexsort((times.values[rows], unit))[np.cumsum(np.bincount(unit)) - 1]  # index in rows, of each unit
    sizes = np.bincount(unit)
    order = np.argsort(times.values[rows][newest], kind="stable")
    middle = (np.cumsum(sizes[order]) - sizes[order] / 2) / max(len(rows), 1)
    part = np.empty(len(order), dtype=np.int32)
    part[order] = np.searchsorted(np.cumsum(shares)[:-1], middle, side="right")
    cells = times.texts.codes[rows][newest].astype(np.int64)
    return part, Reason(cells, lambda code: f"{times.name} {times.texts.categories[code]}")


def _group_reason(source: Source, is_open: Mask) -> Reason:
    if source.group is None:
        return Reason(np.full(len(source), -1), str)
    names, codes = source.group.categories, source.group.codes
    begin = f"group {source.group_name}=" if source.group_name else "group "
    counts = np.bincount(codes, minlength=len(names)).tolist()
    is_shared = np.array(counts)[codes] > 1
    return Reason(
        np.where(is_open & is_shared, codes, -1),
        lambda code: f"{begin}{names[code]} ({count_text(counts[code], 'image')})",
    )


def _same_reason(source: Source, same: Codes | None, order: IndexArray, is_open: Mask) -> Reason:
    """Each image that has near-duplicates, with the first of them, in an order that does not depend on the rows."""
    other = np.full(len(source), -1, dtype=np.int64)
    if same is not None:
        codes = numbered(same[order])
        at = np.argsort(codes, kind="stable")
        counts = np.bincount(codes)
        starts = np.cumsum(counts) - counts
        several = np.flatnonzero(counts > 1)
        first, second = order[at[starts[several]]], order[at[starts[several] + 1]]
        of_code = np.full(len(counts), -1, dtype=np.int64)
        of_code[several] = first
        other[order] = of_code[codes]
        other[first] = second
    return Reason(np.where(is_open, other, -1), lambda row: f"near-duplicate of {source.files[row]}")


def _words(reasons: Sequence[Reason]) -> Categorical[str]:
    """All reasons of each image, in words."""
    keys = np.zeros(len(reasons[0].codes), dtype=np.int64)
    for reason in reasons:
        keys = np.unique(keys * (int(reason.codes.max(initial=-1)) + 2) + reason.codes + 1, return_inverse=True)[1]
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    columns = [[reason.text(code) if code >= 0 else "" for code in reason.codes[first].tolist()] for reason in reasons]
    texts = ["; ".join(filter(None, row)) for row in zip(*columns, strict=True)]
    return Categorical(tuple(texts), codes.astype(np.int32)).map(str)
