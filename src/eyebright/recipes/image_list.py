"""The fluent way to data of the recipes (and of the book's library before it had blocks), over one `DataBlock`.

    data = (ImageList.from_csv(path, 'labels.csv', folder='images')
            .split_by_rand_pct(0.2, seed=10)
            .label_from_df(label_delim=' ')
            .transform(size=300)
            .databunch(bs=16)
            .normalize(imagenet_stats))

Every step gives a new value and leaves the one before as it is. What differs from the recipes: images are cut out at
a random place in training (theirs: always the middle), a label that stands on validation images only is an error
(theirs: dropped in silence), and empty labels are no label (theirs: an error).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch

from eyebright._defaults import VALID_PCT
from eyebright.data.block import DataBlock
from eyebright.data.getters import ColReader, Getter, RegexLabeller, parent_label
from eyebright.errors import InputError, listing
from eyebright.io.files import get_image_files
from eyebright.recipes.data_bunch import ImageDataBunch
from eyebright.sources.split import ColSplitter, IndexSplitter, Splitter
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.transforms.draw import Transform
from eyebright.transforms.spatial import Resize

Items = pd.DataFrame | list[Path]


@dataclass(frozen=True, eq=False)
class ImageList:
    """Images, from a table or a folder.

    Args:
        items: rows of a table, or paths.
        path: the folder that everything starts from.
        get_x: from an item to the image's path; None: the item is it.
    """

    items: Items
    path: Path
    get_x: Getter | None = None

    @staticmethod
    def from_csv(
        path: str | Path,
        csv_name: str,
        header: int | Literal["infer"] | None = "infer",
        delimiter: str | None = None,
        cols: str | int = 0,
        folder: str | Path | None = None,
        suffix: str = "",
    ) -> "ImageList":
        """The images that a CSV file names.

        Args:
            path: the folder of the file, that names start from.
            csv_name: the file.
            header: the line with the columns' names, as pandas counts; None: there is none.
            delimiter: what stands between two columns.
            cols: the column with the images' names.
            folder: inside ``path``, that names start from.
            suffix: behind each name, for example ``".jpg"``.

        Raises:
            InputError: there is no such file.
        """
        file = Path(path) / csv_name
        if not file.is_file():
            raise InputError(f"there is no table '{file}'; name it with csv_name")
        table = pd.read_csv(file, header=header, sep=delimiter or ",")
        return ImageList.from_df(table, path, cols, folder, suffix)

    @staticmethod
    def from_df(
        df: pd.DataFrame,
        path: str | Path,
        cols: str | int = 0,
        folder: str | Path | None = None,
        suffix: str = "",
    ) -> "ImageList":
        """The images that a table names; arguments as in `from_csv`."""
        return ImageList(df, Path(path), ColReader(cols, pref=Path(path) / (folder or ""), suff=suffix))

    @staticmethod
    def from_folder(path: str | Path, recurse: bool = True) -> "ImageList":  # noqa: FBT001  # the recipes' signature
        """The images in a folder, sorted; with ``recurse`` also those in its folders.

        Raises:
            InputError: there is no such folder, or no image in it.
        """
        return ImageList(get_image_files(path, recurse=recurse), Path(path))

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"ImageList ({len(self)} items) Path: {self.path}"

    def split_by_rand_pct(self, valid_pct: float = VALID_PCT, seed: int | None = None) -> "SplitList":
        """A random share validates: the very images of the recipes, for the same seed.

        Args:
            valid_pct: the share.
            seed: None takes NumPy's global generator as it stands (``np.random.seed``), and leaves it as it is.
        """
        return SplitList(self, lambda items: _random_split(len(items), valid_pct, seed))

    def split_by_idx(self, valid_idx: Iterable[int]) -> "SplitList":
        """The named indices validate."""
        return SplitList(self, IndexSplitter(valid_idx))

    def split_by_folder(self, train: str = "train", valid: str = "valid") -> "SplitList":
        """The first folder below ``path`` says which images train and which validate; others are left out.

        Raises:
            InputError: one of the two folders has no image.
        """
        tops = [self._path_of(i).relative_to(self.path).parts[0] for i in range(len(self))]
        sides = [i for i, top in enumerate(tops) if top == train], [i for i, top in enumerate(tops) if top == valid]
        if not all(sides):
            raise InputError(
                f"expected folders '{train}' and '{valid}' in '{self.path}'; there are {listing(set(tops))}"
            )
        return SplitList(self, lambda items: sides)

    def split_from_df(self, col: str | int = 2) -> "SplitList":
        """A column of the table says which images validate."""
        return SplitList(self, ColSplitter(col))

    def _path_of(self, i: int) -> Path:
        item: Any = self.items.iloc[i] if isinstance(self.items, pd.DataFrame) else self.items[i]
        return Path(item if self.get_x is None else self.get_x(item))


@dataclass(frozen=True, eq=False)
class SplitList:
    """Images, and which of them validate."""

    images: ImageList
    splitter: Splitter

    def label_from_df(
        self, cols: str | int = 1, label_cls: type[TargetBlock] | None = None, label_delim: str | None = None
    ) -> "LabelledList":
        """A column of the table says the labels.

        Args:
            cols: the column.
            label_cls: what they are; None: any number of labels with ``label_delim``, numbers where the column holds
                numbers with a point, else one class.
            label_delim: what stands between two labels of one image.

        Raises:
            InputError: the images are not from a table.
        """
        table = self.images.items
        if not isinstance(table, pd.DataFrame):
            raise InputError("these images are from a folder; use label_from_folder, label_from_func or label_from_re")
        block = label_cls or (MultiCategoryBlock if label_delim else _kind_of(table, cols))
        return self._labelled(block, ColReader(cols, label_delim=label_delim))

    def label_from_folder(self) -> "LabelledList":
        """The folder that an image lies in is its class."""
        return self.label_from_func(parent_label)

    def label_from_re(self, pat: str) -> "LabelledList":
        """The first group of a regular expression, searched in the image's path, is its class."""
        return self.label_from_func(RegexLabeller(pat))

    def label_from_func(
        self, func: Callable[[Any], Any], label_cls: type[TargetBlock] = CategoryBlock
    ) -> "LabelledList":
        """A function of the image's path says the label.

        Args:
            func: from a path to the label.
            label_cls: what it is.
        """
        get_x = self.images.get_x
        return self._labelled(label_cls, func if get_x is None else lambda item: func(get_x(item)))

    def _labelled(self, block: type[TargetBlock], get_y: Getter) -> "LabelledList":
        images = self.images
        made = DataBlock(blocks=(ImageBlock, block), get_x=images.get_x, get_y=get_y, splitter=self.splitter)
        return LabelledList(made, images.items, images.path)


@dataclass(frozen=True, eq=False)
class LabelledList:
    """Images with labels, split: all that a `DataBlock` needs."""

    block: DataBlock
    items: Items
    path: Path

    def transform(
        self, tfms: Sequence[Transform] | None = None, size: int | tuple[int, int] | None = None
    ) -> "LabelledList":
        """Every image at one size, and augmented.

        Args:
            tfms: for example ``aug_transforms()``; None: no augmentation.
            size: one number fills a square and cuts what hangs over; (height, width) changes the aspect ratio.
        """
        resize = None if size is None else Resize(size, "crop" if isinstance(size, int) else "squish")
        return LabelledList(self.block.new(item_tfms=resize, batch_tfms=tfms), self.items, self.path)

    def databunch(
        self,
        path: str | Path | None = None,
        bs: int = 64,
        val_bs: int | None = None,
        num_workers: int | None = None,
        device: str | torch.device | None = None,
    ) -> ImageDataBunch:
        """Batches of both sides; arguments as in `DataBlock.dataloaders`.

        Raises:
            DataError: an item cannot be read, a label stands on validation images only, or a batch is too large.
        """
        options = {"bs": bs, "val_bs": val_bs, "num_workers": num_workers, "device": device}
        return ImageDataBunch(self.block, self.items, Path(path or self.path), options)


def _random_split(n: int, valid_pct: float, seed: int | None) -> tuple[list[int], list[int]]:
    """The split of the book's library in its first version: NumPy's old generator, validation in its order."""
    random = np.random.RandomState(seed)
    if seed is None:
        random.set_state(np.random.get_state())  # noqa: NPY002  # what np.random.seed set, without using it up
    valid: list[int] = random.permutation(n)[: int(valid_pct * n)].tolist()
    return sorted(set(range(n)) - set(valid)), valid


def _kind_of(table: pd.DataFrame, col: str | int) -> type[TargetBlock]:
    column = table[col] if col in table.columns else table.iloc[:, int(col)]
    return RegressionBlock if pd.api.types.is_float_dtype(column) else CategoryBlock
