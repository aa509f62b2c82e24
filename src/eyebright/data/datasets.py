"""Items that can be looked at one by one, before any batch is made."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from eyebright.blocks.base import Block, TargetBlock
from eyebright.data.contents import sides_html, sides_text, target_text
from eyebright.data.items import item_at, take, where
from eyebright.data.positions import Positions
from eyebright.errors import DataError, EyebrightError, LabelError, PictureError
from eyebright.io.images import Picture
from eyebright.types import Vocab


class Sample(NamedTuple):
    """One picture and what is known of it.

    Args:
        position: of the item among all items; with the seed and the epoch it decides the augmentation.
        picture: the picture, not yet decoded.
        value: what the target block read; None where there is no target.
    """

    position: int
    picture: Picture
    value: Any


@dataclass(frozen=True)
class Fields:
    """How an item becomes a sample: a getter and a block for each of its two fields."""

    get_x: Callable[[Any], Any] | None = None
    get_y: Callable[[Any], Any] | None = None
    image: Block | None = None
    target: TargetBlock | None = None

    def x(self, items: Any, position: int) -> Any:
        """The input field of one item."""
        return self._field(items, position, "x")

    def y(self, items: Any, position: int) -> Any:
        """The target field of one item."""
        return self._field(items, position, "y")

    def _field(self, items: Any, position: int, which: str) -> Any:
        getter, block = (self.get_x, self.image) if which == "x" else (self.get_y, self.target)
        step = f"get_{which}"
        try:
            raw = item_at(items, position)
            raw = getter(raw) if getter is not None else raw
            step = type(block).__name__
            return block.read(raw) if block is not None else raw
        except PictureError:
            raise
        except EyebrightError as error:
            raise DataError(f"{where(items, position)}: {error}") from None
        except Exception as error:
            raise DataError(f"{where(items, position)}: {step} raised {type(error).__name__}: {error}") from error


class Dataset(Sequence[tuple[Any, Any]]):
    """One side of a split: ``dataset[i]`` is (x, y), x a picture (or what the getter gave) and y a plain tensor.

    Args:
        source: all the items.
        positions: which of them are on this side.
        fields: how an item becomes a sample.
    """

    def __init__(self, source: Any, positions: Sequence[int], fields: Fields) -> None:
        self.source = source
        self.positions = Positions(positions)
        self.fields = fields
        self._values: dict[int, Any] = {}  # targets are read once: a getter may cost a file

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, i: Any) -> Any:
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        position = self.positions[i]
        x = self.fields.x(self.source, position)
        y = self.value(i)
        return x, self.fields.target.encode(y) if self.fields.target is not None else y

    def __repr__(self) -> str:
        return f"Dataset: {sides_text({'pictures': self})}; {target_text(self.fields.target)}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return sides_html("Dataset", {"": self})

    @property
    def items(self) -> Any:
        """The items of this side."""
        return take(self.source, self.positions)

    @property
    def vocab(self) -> Vocab:
        """The names of the classes.

        Raises:
            DataError: the target has none.
        """
        return _vocab(self.fields.target)

    @property
    def known(self) -> Mapping[int, Any]:
        """The targets that have been read so far, by the item's position among all items."""
        return self._values

    def value(self, i: int) -> Any:
        """What the target block read of the i-th item."""
        position = self.positions[i]
        if position not in self._values:
            self._values[position] = self.fields.y(self.source, position)
        return self._values[position]

    def sample(self, i: int) -> Sample:
        """The i-th item as a sample; None stands for a target that there is not."""
        picture = self.fields.x(self.source, self.positions[i])
        value = self.value(i) if self.fields.target is not None else None
        return Sample(self.positions[i], picture, value)

    def where(self, i: int) -> str:
        """How a message calls the i-th item."""
        return where(self.source, self.positions[i])


class Datasets:
    """Both sides of a split, with a target block that was fitted on the training side.

    Args:
        items: all the items.
        splits: (train, valid) positions.
        fields: how an item becomes a sample; its target block is fitted here.

    Raises:
        DataError: an item cannot be read, or has a label that the vocabulary lacks.
    """

    def __init__(self, items: Any, splits: tuple[Sequence[int], Sequence[int]], fields: Fields) -> None:
        self.items = items
        self.splits = (Positions(splits[0]), Positions(splits[1]))
        self.fields = fields
        self.train = Dataset(items, self.splits[0], fields)
        self.valid = Dataset(items, self.splits[1], fields)
        if fields.target is not None:
            self._fit(fields.target)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        sides = sides_text({"to train": self.train, "to validate": self.valid})
        return f"Datasets: {sides}; {target_text(self.fields.target)}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return sides_html("Datasets", {"train": self.train, "validate": self.valid})

    def __getitem__(self, position: int) -> tuple[Any, Any]:
        return Dataset(self.items, range(len(self.items)), self.fields)[position]

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
            for i in range(len(side)):
                value = side.value(i)
                words = str(value) if self.fields.target is None else self.fields.target.words(value)
                digest.update(f"{_name(side.source, side.positions[i])}\t{words}\n".encode())
            digest.update(b"\n")
        return digest.hexdigest()[:16]

    def _fit(self, target: TargetBlock) -> None:
        fitted = target.fit(self.train.value(i) for i in range(len(self.train)))
        self.fields = Fields(self.fields.get_x, self.fields.get_y, self.fields.image, fitted)
        self.train.fields = self.valid.fields = self.fields
        if fitted.classes is not None:
            learnt = fitted is not target
            _refuse_unknown_labels(self.train, fitted, hint="")
            hint = " It stands only on validation pictures, so it cannot be learnt." if learnt else ""
            _refuse_unknown_labels(self.valid, fitted, hint=hint)


def _refuse_unknown_labels(side: Dataset, target: TargetBlock, *, hint: str) -> None:
    for i in range(len(side)):
        try:
            target.encode(side.value(i))
        except LabelError as error:
            raise DataError(f"{side.where(i)}: {error}{hint}") from None


def _vocab(target: TargetBlock | None) -> Vocab:
    if target is None or target.classes is None:
        raise DataError("there is no vocabulary: the target is not a category")
    return target.classes


def _name(items: Any, position: int) -> str:
    item = item_at(items, position)
    return Path(item).name if isinstance(item, (str, Path)) else str(position)
