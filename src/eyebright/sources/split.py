"""Splitters, as in the fastai book: functions from items to the indices of training and validation items.

Indices count from 0 in the order of the items, whatever a table's index is. Each splitter has its own random generator,
so global generators are not changed. The splitters here return `Indices` and are vectorized where possible, so ten
million items are split in seconds.
"""

import math
import operator
import os
from collections.abc import Callable, Iterable, Sequence, Set as AbstractSet
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
import torch

from eyebright._defaults import VALID_PCT
from eyebright.errors import DataError, InputError, did_you_mean, is_whole, listing, os_reason, shortened
from eyebright.sources.categorical import Mask
from eyebright.sources.checked_split import Split, Splitter
from eyebright.sources.indices import IndexArray, Indices
from eyebright.sources.items import item_at, single_column
from eyebright.sources.stratified_parts import assign_parts
from eyebright.sources.stratify import LabelMatrix, grouped
from eyebright.tasks.columns import is_missing


def RandomSplitter(valid_pct: float = VALID_PCT, seed: int | None = None) -> Splitter:
    """A random share for validation; the same indices as fastai's for the same seed.

    Args:
        valid_pct: the validation share of the items, in [0, 1).
        seed: None draws a new split each time.

    Raises:
        InputError: the share is out of range.
    """
    check_share("valid_pct", valid_pct)

    def splitter(items: Any) -> Split:
        order = permutation(len(items), seed)
        cut = int(valid_pct * len(items))
        return Indices(order[cut:]), Indices(order[:cut])

    return splitter


def RandomSubsetSplitter(train_sz: float, valid_sz: float, seed: int | None = None) -> Splitter:
    """Random subsets of a given size; other items are in neither.

    Args:
        train_sz: size of the training set, a share of the items (below 1) or a number of them.
        valid_sz: size of the validation set, in the same way.
        seed: None draws a new split each time.

    Raises:
        InputError: a size is negative.
    """
    for name, size in (("train_sz", train_sz), ("valid_sz", valid_sz)):
        if not size >= 0:
            raise InputError(f"{name} must be a share (from 0 to below 1) or a number of items, got {size}")

    def count(size: float, n: int) -> int:
        return int(n * size) if size < 1 else int(size)

    def splitter(items: Any) -> Split:
        n = len(items)
        train, valid = count(train_sz, n), count(valid_sz, n)
        if train + valid > n:
            raise DataError(
                f"{train} items for training and {valid} for validation are more than the {n} that there are"
            )
        order = permutation(n, seed)
        return Indices(order[:train]), Indices(order[train : train + valid])

    return splitter


def TrainTestSplitter(
    test_size: float = 0.2, random_state: int | None = None, stratify: Sequence[Any] | None = None
) -> Splitter:
    """A random share for validation; with ``stratify`` (one class an item) each class keeps its share.

    Raises:
        InputError: the share is out of range.
    """
    check_share("test_size", test_size)

    def splitter(items: Any) -> Split:
        random = np.random.RandomState(random_state)  # scikit-learn's generator, for the same split
        train: list[IndexArray] = []
        valid: list[IndexArray] = []
        for members in _items_by_class(stratify, len(items)):
            order = members[random.permutation(len(members))]
            cut = math.ceil(test_size * len(members)) if stratify is None else round(test_size * len(members))
            valid.append(order[:cut])
            train.append(order[cut:])
        return Indices(np.concatenate(train)), Indices(np.concatenate(valid))

    return splitter


def LabelSplitter(labels: Sequence[Iterable[str]], valid_pct: float = VALID_PCT, seed: int | None = None) -> Splitter:
    """A random share for validation in which every label keeps its share, and none is without a training image.

    Rare labels are split first, as in iterative stratification (Sechidis et al., 2011, ECML PKDD), each as a whole.

    Args:
        labels: the labels of each item; also none, one or several.
        valid_pct: the validation share of the items, in [0, 1).
        seed: None draws a new split each time.

    Raises:
        InputError: the share is out of range, or the labels of an item are no list.
    """
    check_share("valid_pct", valid_pct)
    for kind in dict.fromkeys(map(type, labels)):
        if issubclass(kind, (str, bytes)) or not issubclass(kind, Iterable):
            wrong = next(label for label in labels if type(label) is kind)
            raise InputError(f"LabelSplitter takes a list of labels for each item, got {wrong!r}; put one in a list")
    matrix = LabelMatrix.of(labels)

    def splitter(items: Any) -> Split:
        if len(matrix.labels_per_item) != len(items):
            raise DataError(
                f"there are labels for {len(matrix.labels_per_item)} items, and there are {len(items)} items"
            )
        order = permutation(len(items), seed)
        is_valid = assign_parts(matrix, (1 - valid_pct, valid_pct), order=order).part[order] == 1
        return Indices(order[~is_valid]), Indices(order[is_valid])

    return splitter


def IndexSplitter(valid_idx: Iterable[int]) -> Splitter:
    """Validation items by index.

    Raises:
        DataError: a value is not an index; a boolean mask is rejected, since it would be read as the indices 0 and 1.
    """
    chosen = np.unique(np.fromiter(map(_position, valid_idx), dtype=np.int64))

    def splitter(items: Any) -> Split:
        is_train = np.ones(len(items), dtype=np.bool_)
        is_train[chosen[(chosen >= 0) & (chosen < len(items))]] = False
        return Indices.where(is_train), Indices(chosen)

    return splitter


def EndSplitter(valid_pct: float = VALID_PCT, valid_last: bool = True) -> Splitter:  # noqa: FBT001  # fastai's signature
    """The last (or first) share of the items for validation, for items in chronological order.

    Raises:
        InputError: the share is out of range.
    """
    check_share("valid_pct", valid_pct)

    def splitter(items: Any) -> Split:
        n = len(items)
        cut = int(valid_pct * n)
        indices = Indices(range(n))
        return (indices[: n - cut], indices[n - cut :]) if valid_last else (indices[cut:], indices[:cut])

    return splitter


def MaskSplitter(mask: Sequence[bool]) -> Splitter:
    """Validation items where the mask is true.

    Raises:
        DataError: when called with another number of items than the mask has values, or if these are not true or false.
    """

    def splitter(items: Any) -> Split:
        if len(mask) != len(items):
            raise DataError(f"the mask has {len(mask)} values, and there are {len(items)} items")
        if odd := _not_flags(mask):
            raise DataError(f"a mask marks with true or false which items are for validation, and contains {odd[0]!r}")
        return _split_by_mask(mask)

    return splitter


def FuncSplitter(func: Callable[[Any], bool]) -> Splitter:
    """Validation items for which ``func`` returns true."""
    return lambda items: _split_by_mask(func(item_at(items, i)) for i in range(len(items)))


def FileSplitter(fname: str | Path) -> Splitter:
    """Validation items whose file name is in a text file, one per line.

    A line with folders, such as ``dogs/1.jpg``, names the items whose path ends with it. Spaces around a name are
    ignored, unless the name of an item has them.

    Raises:
        InputError: the file cannot be read.
        DataError: when called with items of which a line of the file names none.
    """
    try:
        lines = Path(fname).read_text(encoding="utf-8-sig").split("\n")
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read from '{fname}' the names of what validates: {os_reason(error)}") from None

    def splitter(items: Any) -> Split:
        mask, unused = _find_lines(items, list(filter(str.strip, lines)))
        if unused:
            raise DataError(
                f"lines of '{fname}' name none of the {len(items)} items: {listing(sorted(unused))}; correct or delete "
                "them"
            )
        return _split_by_mask(mask)

    return splitter


def GrandparentSplitter(train_name: str = "train", valid_name: str | Sequence[str] = "valid") -> Splitter:
    """Training and validation items by the folder above the class folder: ``train/cat/1.jpg``, ``valid/cat/2.jpg``.

    Raises:
        DataError: when called without items in one of these folders.
    """
    valid_names = [valid_name] if isinstance(valid_name, str) else list(valid_name)

    def splitter(items: Any) -> Split:
        code_of: dict[str, int] = {}  # by the name of the folder
        codes = np.fromiter(
            (code_of.setdefault(Path(item).parent.parent.name, len(code_of)) for item in items), dtype=np.int32
        )
        train = Indices.where(codes == code_of.get(train_name, -1))
        valid = Indices.where(np.isin(codes, [code_of[name] for name in valid_names if name in code_of]))
        if not {train_name, *valid_names} <= set(code_of):
            raise DataError(
                f"expected folders '{train_name}' and {listing(valid_names)}; there are {listing(sorted(code_of))}"
            )
        return train, valid

    return splitter


def ColSplitter(col: str | int = "is_valid", on: Any = None) -> Splitter:
    """Validation items by a column of a table.

    Args:
        col: name or number of the column.
        on: the value, or list of values, of validation rows; None: the column is true in them.

    Raises:
        DataError: when called with items without this column, if it holds other values than true and false, or if no
            row has a value of ``on``.
    """

    def splitter(items: Any) -> Split:
        if not isinstance(items, pd.DataFrame):
            raise DataError(f"ColSplitter needs a table (a pandas DataFrame), got {type(items).__name__}")
        column = _table_column(items, col)
        if on is not None:
            values = list(on) if isinstance(on, (list, tuple, AbstractSet, np.ndarray, pd.Series)) else [on]
            if missing := [value for value in values if not column.isin([value]).any()]:
                raise DataError(
                    f"no row has {missing[0]!r} in column '{col}', which `on` specifies for validation; "
                    f"there are {listing(map(repr, column.unique()))}"
                )
            return _split_by_mask(column.isin(values))
        if odd := _not_flags(column):
            raise DataError(
                f"column '{col}' marks the rows for validation with true or false, and contains '{odd[0]}'; give on=..."
            )
        return _split_by_mask(column)

    return splitter


def check_share(name: str, share: float) -> None:
    """Raises `InputError` unless a validation share is in [0, 1).

    Args:
        name: the name of the argument, for the message.
        share: its value.
    """
    if not 0 <= share < 1:
        raise InputError(f"{name} must be the validation share, from 0 to below 1, got {share}")


def _find_lines(items: Any, lines: Sequence[str]) -> tuple[Mask, set[str]]:
    """Shape (n,), True for items that a line names, by the name of the file or by the end of the path; other lines."""
    names = [os.path.basename(item_at(items, i)) for i in range(len(items))]  # noqa: PTH119 - for many files
    known = set(names)
    lines_of: dict[str, dict[tuple[str, ...], str]] = {}  # by the name of the file, by the parts of the path
    for line in lines:
        path = line if os.path.basename(line) in known else line.strip()  # noqa: PTH119
        parts = (PurePath(path).parts if os.sep in path else ()) or (path,)
        lines_of.setdefault(parts[-1], {})[parts] = line
    mask = np.zeros(len(items), dtype=np.bool_)
    unused = {line for several in lines_of.values() for line in several.values()}
    for i, name in enumerate(names):
        if name in lines_of:
            only_names = len(lines_of[name]) == 1 and (name,) in lines_of[name]
            parts = (name,) if only_names else PurePath(item_at(items, i)).parts
            hits = [line for end, line in lines_of[name].items() if _same_end(parts, end)]
            mask[i] = bool(hits)
            unused.difference_update(hits)
    return mask, unused


def _same_end(path: Sequence[str], other: Sequence[str]) -> bool:
    """True if the shorter of two paths is the end of the longer one."""
    shared = min(len(path), len(other))
    return path[-shared:] == other[-shared:]


def _position(i: Any) -> int:
    if isinstance(i, (bool, np.bool_)):
        raise DataError(f"IndexSplitter takes indices (whole numbers from 0), got {i}; MaskSplitter takes a mask")
    try:
        return operator.index(i)
    except TypeError:
        raise DataError(f"IndexSplitter takes indices (whole numbers from 0), got {i!r}") from None


def permutation(n: int, seed: int | None) -> IndexArray:
    """Shape (n,): a random permutation of 0 to n - 1; None as the seed draws a new one each time."""
    generator = torch.Generator()
    if seed is None:
        generator.seed()
    elif is_whole(seed) and -(2**63) <= seed < 2**64:
        generator.manual_seed(int(seed))
    else:
        raise InputError(f"`seed` must be a whole number of at most 64 bits, or None; got {shortened(repr(seed))}")
    return torch.randperm(n, generator=generator).numpy()


def _items_by_class(stratify: Sequence[Any] | None, n: int) -> Sequence[IndexArray]:
    """The items of each class, the classes sorted by name; all items together without classes."""
    if stratify is None:
        return [np.arange(n)]
    if len(stratify) != n:
        raise DataError(f"stratify has {len(stratify)} classes, and there are {n} items")
    code_of: dict[str, int] = {}  # by the name of the class
    codes = np.fromiter((code_of.setdefault(str(label), len(code_of)) for label in stratify), np.int32, count=n)
    rank_of_code = np.argsort(np.array([code_of[name] for name in sorted(code_of)]))
    return grouped(rank_of_code[codes], len(code_of))


def _not_flags(mask: Iterable[Any]) -> list[Any]:
    """The different values that are neither true nor false, nor 1 or 0."""
    return [value for value in pd.unique(pd.Series(mask)) if is_missing(value) or value not in (True, False, 0, 1)]


def _split_by_mask(is_valid: Iterable[Any]) -> Split:
    if isinstance(is_valid, (pd.Series, np.ndarray)) and is_valid.dtype == np.bool_:
        mask = np.asarray(is_valid)
    else:
        mask = np.fromiter(map(bool, is_valid), dtype=np.bool_)
    return Indices.where(~mask), Indices.where(mask)


def _table_column(table: pd.DataFrame, col: str | int) -> Any:
    if col in table.columns:
        return single_column(table[col], col)
    if isinstance(col, int) and 0 <= col < table.shape[1]:
        return table.iloc[:, col]
    raise DataError(
        f"there is no column '{col}'.{did_you_mean(str(col), map(str, table.columns))} "
        f"Columns: {listing(table.columns)}"
    )
