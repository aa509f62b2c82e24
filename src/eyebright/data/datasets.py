"""Datasets of samples: items, split into a training and a validation set, that can be indexed one by one."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from eyebright.data.dataset_repr import counts_text, describe_target, summary_html
from eyebright.data.getters import item_reader
from eyebright.data.sample_spec import SampleSpec
from eyebright.data.targets import Targets
from eyebright.errors import DataError, InputError, LabelError
from eyebright.image.image import Image
from eyebright.io.file_hash import file_hash
from eyebright.sources.indices import Indices
from eyebright.sources.items import describe_item, item_at, take
from eyebright.sources.source import Row
from eyebright.tasks.base import TargetBlock
from eyebright.types import Vocab

_HASHED_AT_ONCE = 10_000  # items


class Sample(NamedTuple):
    """An image and its target.

    Args:
        item_index: the index of the item among all items; with the seed and the epoch it decides the augmentation.
        image: the image, not decoded yet.
        raw_target: the target as the target block read it, not encoded; None without a target block.
    """

    item_index: int
    image: Image
    raw_target: Any


class Dataset(Sequence[tuple[Any, Any]]):
    """The samples of one subset of the items: ``dataset[i]`` is (x, y), an `Image` and the encoded target.

    Without an image block x is what the getter returned, and without a target block so is y.

    Args:
        all_items: the items of both subsets, for example a table.
        indices: the indices of the subset's items among all items.
        spec: how an item becomes a sample.
    """

    def __init__(self, all_items: Any, indices: Sequence[int], spec: SampleSpec) -> None:
        self.all_items = all_items
        self.indices = Indices(indices)
        self.spec = spec
        self.targets = Targets.of(all_items, self.indices, spec)
        self._read_x = spec.x_reader(all_items)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        x = self._read_x(self.indices[i])
        y = self.raw_target(i)
        return x, self.target.encode(y) if self.target is not None else y

    def __repr__(self) -> str:
        return f"Dataset: {counts_text({'images': self})}; {describe_target(self.target)}"

    def _repr_html_(self) -> str:
        """The summary for a notebook."""
        return summary_html("Dataset", {"": self})

    @property
    def items(self) -> Any:
        """The items of this subset."""
        return take(self.all_items, self.indices)

    @property
    def target(self) -> TargetBlock | None:
        """The target block; None where there is none."""
        return self.spec.target

    @property
    def vocab(self) -> Vocab:
        """The names of the classes.

        Raises:
            DataError: there is no target, or it has no classes.
        """
        return _vocab(self.target)

    def image(self, i: int) -> Any:
        """The i-th image, not decoded yet.

        Raises:
            ImageError: it cannot be opened.
            DataError: the getter or the block raised an error.
        """
        return self._read_x(self.indices[i])

    def raw_target(self, i: int) -> Any:
        """The i-th target as the target block read it, not encoded.

        Raises:
            DataError: the getter or the block raised an error.
        """
        return self.targets[i]

    def sample(self, i: int) -> Sample:
        """The i-th image and target.

        Raises:
            ImageError: the image cannot be opened.
            DataError: a getter or a block raised an error.
        """
        image = self.image(i)
        raw_target = self.raw_target(i) if self.target is not None else None
        return Sample(self.indices[i], image, raw_target)

    def target_texts(self) -> Iterator[str]:
        """Each target as text, for example ``"chair;person"``."""
        block = self.target
        if block is None or not self.targets.are_cached:
            yield from map(str if block is None else block.text, self.targets)
            return
        text_of: dict[int, str] = {}  # by the identity of the value, since equal targets are one object
        for value in self.targets:
            if id(value) not in text_of:
                text_of[id(value)] = block.text(value)
            yield text_of[id(value)]

    def paths(self, item_indices: Sequence[int]) -> list[str | None]:
        """The image file of each of these items, which is not opened; None for an image in memory.

        Args:
            item_indices: the indices of the items among all items, not in this subset.
        """
        raw_values = map(item_reader(self.all_items, self.spec.get_x), item_indices)
        return [str(raw) if isinstance(raw, (str, Path)) else getattr(raw, "path", None) for raw in raw_values]

    def other_columns(self, item_indices: Sequence[int]) -> pd.DataFrame:
        """The columns other than image and target, one row for each of these items; empty if there are none.

        Args:
            item_indices: the indices of the items among all items, not in this subset.
        """
        columns = getattr(self.all_items, "columns", None)
        if not isinstance(columns, pd.DataFrame):
            return pd.DataFrame()
        return columns.iloc[list(item_indices)].reset_index(drop=True)

    def set_target(self, block: TargetBlock) -> None:
        """Read and encode targets with this block from now on; targets that were read before are kept."""
        self.spec = replace(self.spec, target=block)
        self.targets.read = self.spec.y_reader(self.all_items)

    def item_name(self, i: int) -> str:
        """The i-th item as messages name it: its path, or its row in the table."""
        return describe_item(self.all_items, self.indices[i])


class Datasets:
    """The training and the validation set of a split, with a target block fitted on the training set.

    Args:
        items: all items.
        splits: (train, valid) indices of the items.
        spec: how an item becomes a sample; its target block is fitted here.

    Raises:
        DataError: a target cannot be read, or has a label that the vocabulary lacks.
    """

    def __init__(self, items: Any, splits: tuple[Sequence[int], Sequence[int]], spec: SampleSpec) -> None:
        self.items = items
        self.splits = (Indices(splits[0]), Indices(splits[1]))
        self.spec = spec
        self.train = Dataset(items, self.splits[0], spec)
        self.valid = Dataset(items, self.splits[1], spec)
        if spec.target is not None:
            self._fit(spec.target)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        counts = counts_text({"for training": self.train, "for validation": self.valid})
        return f"Datasets: {counts}; {describe_target(self.target)}"

    def _repr_html_(self) -> str:
        """The summary for a notebook."""
        return summary_html("Datasets", {"train": self.train, "valid": self.valid})

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return Dataset(self.items, [range(len(self.items))[index]], self.spec)[0]

    @property
    def target(self) -> TargetBlock | None:
        """The fitted target block; None where there is none."""
        return self.spec.target

    @property
    def vocab(self) -> Vocab:
        """The names of the classes.

        Raises:
            DataError: there is no target, or it has no classes.
        """
        return _vocab(self.target)

    def subset(self, i: int) -> Dataset:
        """The training set (0) or the validation set (1).

        Raises:
            InputError: ``i`` is neither 0 nor 1.
        """
        if i not in (0, 1):
            raise InputError(f"the training set is number 0 and the validation set 1; there is no set {i!r}")
        return (self.train, self.valid)[i]

    def joined(self) -> Dataset:
        """The training and the validation set as one dataset, in the order of the items."""
        return Dataset(self.items, sorted([*self.splits[0], *self.splits[1]]), self.spec)

    def fingerprint(self) -> str:
        """A hash of the split and the items' names, contents of their files and targets: equal on any machine."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for dataset in (self.train, self.valid):
            pairs = zip(_portable_names(dataset), dataset.target_texts(), strict=True)
            while lines := "".join(f"{name}\t{text}\n" for name, text in islice(pairs, _HASHED_AT_ONCE)):
                digest.update(lines.encode("utf-8", "surrogatepass"))
            digest.update(b"\n")
        return digest.hexdigest()[:16]

    def _fit(self, block: TargetBlock) -> None:
        fitted = block.fit(iter(self.train.targets))
        self.spec = replace(self.spec, target=fitted)
        self.train.set_target(fitted)
        self.valid.set_target(fitted)
        if fitted.is_checked_early:
            vocab_was_fitted = fitted is not block
            _check_labels(self.train, fitted, hint="")
            hint = "; only validation images have this label, so it cannot be learnt" if vocab_was_fitted else ""
            _check_labels(self.valid, fitted, hint=hint)


def _check_labels(dataset: Dataset, block: TargetBlock, *, hint: str) -> None:
    for i, value in dataset.targets.distinct():
        try:
            block.check(value)
        except LabelError as error:
            raise DataError(f"{dataset.item_name(i)}: {error}{hint}") from None


def _vocab(block: TargetBlock | None) -> Vocab:
    if block is None:
        raise DataError("there is no vocabulary: there is no target")
    return block.classes


def _portable_names(dataset: Dataset) -> Iterator[str]:
    """A machine-independent name of each item: its file's name without the folder, and a hash; or its index."""
    if isinstance(dataset.all_items, pd.DataFrame):
        yield from map(str, dataset.indices)
        return
    for index in dataset.indices:
        item = item_at(dataset.all_items, index)
        path = item.path if isinstance(item, Row) else item
        yield _name_and_hash(path) if isinstance(path, (str, Path)) else str(index)


def _name_and_hash(path: str | Path) -> str:
    return " ".join(filter(None, (os.path.basename(path), file_hash(str(path)))))  # noqa: PTH119 - for many files
