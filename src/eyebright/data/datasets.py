"""Items that can be looked at one by one, before any batch is made."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from eyebright.data.getters import item_reader
from eyebright.data.sample_spec import Fields
from eyebright.data.summary import describe_target, sides_html, sides_text
from eyebright.data.targets import Targets
from eyebright.errors import DataError, LabelError
from eyebright.image.image import Image
from eyebright.sources.indices import Indices
from eyebright.sources.items import item_at, take, where
from eyebright.tasks.base import TargetBlock
from eyebright.types import Vocab

_AT_ONCE = 10_000  # items that are hashed together


class Sample(NamedTuple):
    """One image and what is known of it.

    Args:
        item_index: of the item among all items; with the seed and the epoch it decides the augmentation.
        image: the image, not yet decoded.
        value: what the target block read; None where there is no target.
    """

    item_index: int
    image: Image
    value: Any


class Dataset(Sequence[tuple[Any, Any]]):
    """One side of a split: ``dataset[i]`` is (x, y), x an image (or what the getter gave) and y a plain tensor.

    Args:
        source: all the items.
        indices: which of them are on this side.
        fields: how an item becomes a sample.
    """

    def __init__(self, source: Any, indices: Sequence[int], fields: Fields) -> None:
        self.source = source
        self.indices = Indices(indices)
        self.fields = fields
        self.targets = Targets.of(source, self.indices, fields)
        self._x = fields.x_of(source)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        x = self._x(self.indices[i])
        y = self.value(i)
        return x, self.fields.target.encode(y) if self.fields.target is not None else y

    def __repr__(self) -> str:
        return f"Dataset: {sides_text({'images': self})}; {describe_target(self.fields.target)}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return sides_html("Dataset", {"": self})

    @property
    def items(self) -> Any:
        """The items of this side."""
        return take(self.source, self.indices)

    @property
    def vocab(self) -> Vocab:
        """The names of the classes.

        Raises:
            DataError: the target has none.
        """
        return _vocab(self.fields.target)

    def value(self, i: int) -> Any:
        """What the target block read of the i-th item."""
        return self.targets[i]

    def words(self) -> Iterator[str]:
        """The target of each item in words."""
        target = self.fields.target
        if target is None or not self.targets.are_cached:
            yield from map(str if target is None else target.words, self.targets)
            return
        words: dict[int, str] = {}
        for value in self.targets:
            if id(value) not in words:
                words[id(value)] = target.words(value)
            yield words[id(value)]

    def sample(self, i: int) -> Sample:
        """The i-th item as a sample; None stands for a target that there is not."""
        index = self.indices[i]
        image = self._x(index)
        value = self.value(i) if self.fields.target is not None else None
        return Sample(index, image, value)

    def path(self, item_index: int) -> str | None:
        """The file of an item, which is not opened; None for an image in memory."""
        raw = item_reader(self.source, self.fields.get_x)(item_index)
        return str(raw) if isinstance(raw, (str, Path)) else getattr(raw, "path", None)

    def other_columns(self, item_indices: Sequence[int]) -> pd.DataFrame:
        """The columns of a table that say more about each item than its image and its target."""
        columns = getattr(self.source, "columns", None)
        if not isinstance(columns, pd.DataFrame):
            return pd.DataFrame()
        return columns.iloc[list(item_indices)].reset_index(drop=True)

    def learn(self, target: TargetBlock) -> None:
        """From now on targets are read and encoded by the block that was fitted; what has been read stays."""
        self.fields = replace(self.fields, target=target)
        self.targets.read = self.fields.y_of(self.source)

    def where(self, i: int) -> str:
        """How a message calls the i-th item."""
        return where(self.source, self.indices[i])


class Datasets:
    """Both sides of a split, with a target block that was fitted on the training side.

    Args:
        items: all the items.
        splits: (train, valid) indices.
        fields: how an item becomes a sample; its target block is fitted here.

    Raises:
        DataError: an item cannot be read, or has a label that the vocabulary lacks.
    """

    def __init__(self, items: Any, splits: tuple[Sequence[int], Sequence[int]], fields: Fields) -> None:
        self.items = items
        self.splits = (Indices(splits[0]), Indices(splits[1]))
        self.fields = fields
        self.train = Dataset(items, self.splits[0], fields)
        self.valid = Dataset(items, self.splits[1], fields)
        if fields.target is not None:
            self._fit(fields.target)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        sides = sides_text({"to train": self.train, "to validate": self.valid})
        return f"Datasets: {sides}; {describe_target(self.fields.target)}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return sides_html("Datasets", {"train": self.train, "validate": self.valid})

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return Dataset(self.items, [range(len(self.items))[index]], self.fields)[0]

    @property
    def vocab(self) -> Vocab:
        """The names of the classes."""
        return _vocab(self.fields.target)

    def subset(self, which: int) -> Dataset:
        """0: the training side, 1: the validation side."""
        return (self.train, self.valid)[which]

    def fingerprint(self) -> str:
        """A hash of the split, the items and their targets: the same for the same data, on any machine."""
        digest = hashlib.sha256()
        for side in (self.train, self.valid):
            lines = zip(_names(side), side.words(), strict=True)
            while part := "".join(f"{name}\t{words}\n" for name, words in islice(lines, _AT_ONCE)):
                digest.update(part.encode())
            digest.update(b"\n")
        return digest.hexdigest()[:16]

    def _fit(self, target: TargetBlock) -> None:
        fitted = target.fit(iter(self.train.targets))
        self.fields = replace(self.fields, target=fitted)
        self.train.learn(fitted)
        self.valid.learn(fitted)
        if fitted.is_checked_early:
            learnt = fitted is not target
            _refuse_unknown_labels(self.train, fitted, hint="")
            hint = " It stands only on validation images, so it cannot be learnt." if learnt else ""
            _refuse_unknown_labels(self.valid, fitted, hint=hint)


def _refuse_unknown_labels(side: Dataset, target: TargetBlock, *, hint: str) -> None:
    for i, value in side.targets.different():
        try:
            target.check(value)
        except LabelError as error:
            raise DataError(f"{side.where(i)}: {error}{hint}") from None


def _vocab(target: TargetBlock | None) -> Vocab:
    if target is None:
        raise DataError("there is no vocabulary: there is no target")
    return target.classes


def _names(side: Dataset) -> Iterator[str]:
    """What items are called on any machine: the name of the file, or else the index."""
    if isinstance(side.source, pd.DataFrame):
        yield from map(str, side.indices)
        return
    for index in side.indices:
        item = item_at(side.source, index)
        yield Path(item).name if isinstance(item, (str, Path)) else str(index)
