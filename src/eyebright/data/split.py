"""Which items train and which validate: functions from items to two lists of positions.

Positions count from 0 in the order of the items, whatever a table's index says; `checked_split` refuses
what would train on a validation picture. Seeds make their own generator, so the global ones stay as they are.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from eyebright.data.items import item_at, where
from eyebright.errors import DataError, did_you_mean, listing

Split = tuple[list[int], list[int]]
Splitter = Callable[[Any], Iterable[Iterable[int]]]


def checked_split(splitter: Splitter, items: Any) -> Split:
    """The splitter's (train, valid) positions, checked.

    A table reaches the splitter with a fresh index 0, 1, 2, ..., so that a splitter that answers with the index's
    labels answers with positions too: a filtered or shuffled table cannot leak.

    Raises:
        DataError: not two lists, not whole numbers, out of range, an item twice, or nothing to train on.
    """
    fresh = items.reset_index(drop=True) if isinstance(items, (pd.DataFrame, pd.Series)) else items
    answer = [list(part) for part in splitter(fresh)]
    if len(answer) != 2:
        raise DataError(f"a splitter gives two lists of positions, train and valid; got {len(answer)}")
    train, valid = (_positions(part, len(items)) for part in answer)
    _refuse_overlap(items, train, valid)
    if not train:
        raise DataError(
            f"the split leaves nothing to train on: all {len(valid)} of {len(items)} items are for validation"
        )
    return train, valid


def RandomSplitter(valid_pct: float = 0.2, seed: int | None = None) -> Splitter:
    """A random share for validation; the same positions as the book's for the same seed.

    Args:
        valid_pct: the share of items that validates, in [0, 1).
        seed: None draws a new split each time.
    """

    def splitter(items: Any) -> Split:
        order = _permutation(len(items), seed)
        cut = int(valid_pct * len(items))
        return order[cut:], order[:cut]

    return splitter


def RandomSubsetSplitter(train_sz: float, valid_sz: float, seed: int | None = None) -> Splitter:
    """Random subsets: shares (below 1) or counts of the items; the rest is left out."""

    def count(size: float, n: int) -> int:
        return int(n * size) if size < 1 else int(size)

    def splitter(items: Any) -> Split:
        n = len(items)
        train, valid = count(train_sz, n), count(valid_sz, n)
        if train + valid > n:
            raise DataError(f"{train} items to train on and {valid} to validate are more than the {n} that there are")
        order = _permutation(n, seed)
        return order[:train], order[train : train + valid]

    return splitter


def TrainTestSplitter(
    test_size: float = 0.2, random_state: int | None = None, stratify: Sequence[Any] | None = None
) -> Splitter:
    """A random share for validation; with ``stratify`` (one class an item) each class keeps its share."""

    def splitter(items: Any) -> Split:
        random = np.random.RandomState(random_state)  # scikit-learn's generator, for the same split
        groups = _groups(stratify, len(items))
        train: list[int] = []
        valid: list[int] = []
        for group in groups:
            order = group[random.permutation(len(group))].tolist()
            cut = math.ceil(test_size * len(group)) if stratify is None else round(test_size * len(group))
            valid += order[:cut]
            train += order[cut:]
        return train, valid

    return splitter


def LabelSplitter(labels: Sequence[Iterable[str]], valid_pct: float = 0.2, seed: int | None = None) -> Splitter:
    """A random share for validation in which every label keeps its share, and none is without a training picture.

    Rare labels are dealt first, as in iterative stratification (Sechidis et al., 2011, ECML PKDD), each as a whole.

    Args:
        labels: of each item; also none, one or several.
        valid_pct: the share that validates.
        seed: None draws a new split each time.
    """
    several = [frozenset(one) for one in labels]

    def splitter(items: Any) -> Split:
        if len(several) != len(items):
            raise DataError(f"there are labels for {len(several)} items, and there are {len(items)} items")
        order = _permutation(len(items), seed)
        valid = _dealt(several, order, valid_pct)
        for holding in _holders(several, order).values():
            if valid.issuperset(holding):
                valid.discard(holding[0])
        return [i for i in order if i not in valid], [i for i in order if i in valid]

    return splitter


def IndexSplitter(valid_idx: Iterable[int]) -> Splitter:
    """The named positions validate."""
    chosen = sorted({int(i) for i in valid_idx})

    def splitter(items: Any) -> Split:
        held = set(chosen)
        return [i for i in range(len(items)) if i not in held], chosen

    return splitter


def EndSplitter(valid_pct: float = 0.2, valid_last: bool = True) -> Splitter:  # noqa: FBT001  # the book's signature
    """The last (or first) share validates: for items in the order of time."""

    def splitter(items: Any) -> Split:
        n = len(items)
        cut = int(valid_pct * n)
        positions = list(range(n))
        return (positions[: n - cut], positions[n - cut :]) if valid_last else (positions[cut:], positions[:cut])

    return splitter


def MaskSplitter(mask: Sequence[bool]) -> Splitter:
    """Items where the mask is true validate.

    Raises:
        DataError: when called with another number of items than the mask has.
    """

    def splitter(items: Any) -> Split:
        if len(mask) != len(items):
            raise DataError(f"the mask has {len(mask)} values, and there are {len(items)} items")
        return _by(bool(value) for value in mask)

    return splitter


def FuncSplitter(func: Callable[[Any], bool]) -> Splitter:
    """Items for which ``func`` is true validate."""
    return lambda items: _by(bool(func(item_at(items, i))) for i in range(len(items)))


def FileSplitter(fname: str | Path) -> Splitter:
    """Items whose file name stands in the text file (one a line) validate."""
    names = set(Path(fname).read_text(encoding="utf-8").split("\n"))
    return FuncSplitter(lambda item: Path(item).name in names)


def GrandparentSplitter(train_name: str = "train", valid_name: str | Sequence[str] = "valid") -> Splitter:
    """The folder above the class folder says it: ``train/cat/1.jpg``, ``valid/cat/2.jpg``.

    Raises:
        DataError: when called with items in neither folder.
    """
    valid_names = [valid_name] if isinstance(valid_name, str) else list(valid_name)

    def splitter(items: Any) -> Split:
        folders = [Path(item).parent.parent.name for item in items]
        train = [i for i, name in enumerate(folders) if name == train_name]
        valid = [i for i, name in enumerate(folders) if name in valid_names]
        if not train or not valid:
            raise DataError(
                f"expected folders '{train_name}' and {listing(valid_names)}; there are {listing(sorted(set(folders)))}"
            )
        return train, valid

    return splitter


def ColSplitter(col: str | int = "is_valid", on: Any = None) -> Splitter:
    """A column of the table says it.

    Args:
        col: its name or number; a row validates where it is true.
        on: a row validates where the column has this value, or one of these.

    Raises:
        DataError: when called with something that has no such column, or a column that is not true or false.
    """

    def splitter(items: Any) -> Split:
        if not isinstance(items, pd.DataFrame):
            raise DataError(f"ColSplitter needs a table (a pandas DataFrame), got {type(items).__name__}")
        column = _table_column(items, col)
        if on is not None:
            return _by(column.isin(on if isinstance(on, (list, tuple, set)) else [on]))
        odd = [value for value in column.unique() if value not in (True, False, 0, 1)]
        if odd:
            raise DataError(
                f"column '{col}' says which rows validate with true or false, and holds '{odd[0]}'; give on=..."
            )
        return _by(bool(value) for value in column)

    return splitter


def _positions(part: list[Any], n: int) -> list[int]:
    wrong = next((i for i in part if isinstance(i, (bool, np.bool_)) or not isinstance(i, (int, np.integer))), None)
    if wrong is not None:
        raise DataError(f"a splitter gives positions (whole numbers from 0), got {wrong!r}")
    positions = [int(i) for i in part]
    outside = next((i for i in positions if not 0 <= i < n), None)
    if outside is not None:
        raise DataError(f"the splitter names position {outside}, and there are {n} items: 0 to {n - 1}")
    return positions


def _refuse_overlap(items: Any, train: list[int], valid: list[int]) -> None:
    both = sorted(set(train) & set(valid))
    if both:
        raise DataError(
            f"the split puts {len(both)} items on both sides, {where(items, both[0])} for one; "
            "what trains cannot validate"
        )
    if len(set(train)) != len(train) or len(set(valid)) != len(valid):
        raise DataError("the split names an item twice on one side")


def _permutation(n: int, seed: int | None) -> list[int]:
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    else:
        generator.manual_seed(seed)
    return torch.randperm(n, generator=generator).tolist()


def _dealt(labels: Sequence[frozenset[str]], order: Sequence[int], share: float) -> set[int]:
    """The positions that validate: of each label, from the rarest on, what is still missing to its share."""
    holders = sorted(_holders(labels, order).items(), key=lambda item: (len(item[1]), item[0]))
    bare = [i for i in order if not labels[i]]
    valid: set[int] = set()
    dealt: set[int] = set()
    for holding in [*(held for _, held in holders), bare]:
        free = [i for i in holding if i not in dealt]
        missing = round(share * len(holding)) - sum(i in valid for i in holding)
        valid.update(free[: max(missing, 0)])
        dealt.update(free)
    return valid


def _holders(labels: Sequence[frozenset[str]], order: Sequence[int]) -> dict[str, list[int]]:
    """For each label the positions that have it, in order."""
    holders: dict[str, list[int]] = {}
    for i in order:
        for label in labels[i]:
            holders.setdefault(label, []).append(i)
    return holders


def _groups(stratify: Sequence[Any] | None, n: int) -> list[np.ndarray[Any, np.dtype[np.int64]]]:
    if stratify is None:
        return [np.arange(n)]
    if len(stratify) != n:
        raise DataError(f"stratify has {len(stratify)} classes, and there are {n} items")
    labels = np.asarray([str(label) for label in stratify])
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]


def _by(is_valid: Iterable[bool]) -> Split:
    train: list[int] = []
    valid: list[int] = []
    for position, validates in enumerate(is_valid):
        (valid if validates else train).append(position)
    return train, valid


def _table_column(table: pd.DataFrame, col: str | int) -> Any:
    if col in table.columns:
        return table[col]
    if isinstance(col, int) and 0 <= col < table.shape[1]:
        return table.iloc[:, col]
    raise DataError(
        f"there is no column '{col}'.{did_you_mean(str(col), map(str, table.columns))} "
        f"There are: {listing(table.columns)}"
    )
