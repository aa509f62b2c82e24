"""`ImageList`: the data API of Microsoft's computer-vision recipes (that of fastai 1), which builds a `DataBlock`.

    data = (ImageList.from_csv(path, 'labels.csv', folder='images')
            .split_by_rand_pct(0.2, seed=10)
            .label_from_df(label_delim=' ')
            .transform(size=300)
            .databunch(bs=16)
            .normalize(imagenet_stats))

Every step returns a new value. Differences from the recipes: training images are cropped at a random position (theirs:
always at the centre), a label that occurs on validation images only is an error (theirs: silently dropped), and an
empty cell means that the image has no label (theirs: an error).
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
from eyebright.data.table_file import read_table_file
from eyebright.errors import InputError, listing
from eyebright.io.files import get_image_files
from eyebright.recipes.data_bunch import ImageDataBunch
from eyebright.sources.checked_split import Splitter
from eyebright.sources.split import ColSplitter, IndexSplitter
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
    """Images from a table or a folder.

    Args:
        items: rows of a table, or paths of images.
        path: the base folder.
        get_x: a function from an item to the path of its image; None if the items are paths.
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
        """The images listed in a CSV file.

        Args:
            path: the folder of the file.
            csv_name: the name of the file.
            header: the row number of the column names, as in pandas; None if the file has none.
            delimiter: the separator of the columns; a comma by default.
            cols: the column with the file names of the images.
            folder: the folder of the images, relative to ``path``.
            suffix: appended to each file name, for example ``".jpg"``.

        Raises:
            InputError: the file does not exist.
        """
        file = Path(path) / csv_name
        if not file.is_file():
            raise InputError(f"there is no table '{file}'; name it with csv_name")
        table = read_table_file(file, header=header, delimiter=delimiter, text=[cols])
        return ImageList.from_df(table, path, cols, folder, suffix)

    @staticmethod
    def from_df(
        df: pd.DataFrame,
        path: str | Path,
        cols: str | int = 0,
        folder: str | Path | None = None,
        suffix: str = "",
    ) -> "ImageList":
        """The images listed in a table; arguments as in `from_csv`."""
        return ImageList(df, Path(path), ColReader(cols, pref=Path(path) / (folder or ""), suff=suffix))

    @staticmethod
    def from_folder(path: str | Path, recurse: bool = True) -> "ImageList":  # noqa: FBT001  # the recipes' signature
        """The images in a folder, sorted.

        Args:
            path: the folder.
            recurse: include the images in subfolders.

        Raises:
            InputError: the folder does not exist or contains no image.
        """
        return ImageList(get_image_files(path, recurse=recurse), Path(path))

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"ImageList ({len(self)} items) Path: {self.path}"

    def split_by_rand_pct(self, valid_pct: float = VALID_PCT, seed: int | None = None) -> "SplitList":
        """The images with a random validation set, the same as in the recipes for the same seed.

        Args:
            valid_pct: fraction of the images in the validation set.
            seed: the seed; None uses the state of NumPy's global generator (``np.random.seed``) without changing it.
        """
        return SplitList(self, lambda items: _random_split(len(items), valid_pct, seed))

    def split_by_idx(self, valid_idx: Iterable[int]) -> "SplitList":
        """The images with a validation set of given indices."""
        return SplitList(self, IndexSplitter(valid_idx))

    def split_by_folder(self, train: str = "train", valid: str = "valid") -> "SplitList":
        """The images split by the first folder below ``path``; images in other folders are omitted.

        Args:
            train: the folder of the training images.
            valid: the folder of the validation images.

        Raises:
            InputError: one of the two folders contains no image.
        """
        top_folders = [self._path_of(i).relative_to(self.path).parts[0] for i in range(len(self))]
        train_indices, valid_indices = (
            [i for i, folder in enumerate(top_folders) if folder == name] for name in (train, valid)
        )
        if not train_indices or not valid_indices:
            raise InputError(
                f"expected folders '{train}' and '{valid}' in '{self.path}'; there are {listing(set(top_folders))}"
            )
        return SplitList(self, lambda items: (train_indices, valid_indices))

    def split_from_df(self, col: str | int = 2) -> "SplitList":
        """The images split by a column of the table that is true for validation images."""
        return SplitList(self, ColSplitter(col))

    def _path_of(self, i: int) -> Path:
        item: Any = self.items.iloc[i] if isinstance(self.items, pd.DataFrame) else self.items[i]
        return Path(item if self.get_x is None else self.get_x(item))


@dataclass(frozen=True, eq=False)
class SplitList:
    """Images with a split into training and validation."""

    images: ImageList
    splitter: Splitter

    def label_from_df(
        self, cols: str | int = 1, label_cls: type[TargetBlock] | None = None, label_delim: str | None = None
    ) -> "LabelledList":
        """The images with labels from a column of the table.

        Args:
            cols: the column.
            label_cls: the block for the labels; None for `MultiCategoryBlock` if ``label_delim`` is given,
                `RegressionBlock` for a column of floats, and `CategoryBlock` otherwise.
            label_delim: the separator between the labels of one image.

        Raises:
            InputError: the images are not from a table.
        """
        table = self.images.items
        if not isinstance(table, pd.DataFrame):
            raise InputError("these images are from a folder; use label_from_folder, label_from_func or label_from_re")
        block = label_cls or (MultiCategoryBlock if label_delim else _infer_block(table, cols))
        return self._labelled(block, ColReader(cols, label_delim=label_delim))

    def label_from_folder(self) -> "LabelledList":
        """The images with the name of their folder as class."""
        return self.label_from_func(parent_label)

    def label_from_re(self, pat: str) -> "LabelledList":
        """The images with a class from their path: the first group of a regular expression."""
        return self.label_from_func(RegexLabeller(pat))

    def label_from_func(
        self, func: Callable[[Any], Any], label_cls: type[TargetBlock] = CategoryBlock
    ) -> "LabelledList":
        """The images with labels from a function of their path.

        Args:
            func: a function from a path to the label.
            label_cls: the block for the labels.
        """
        get_x = self.images.get_x
        return self._labelled(label_cls, func if get_x is None else lambda item: func(get_x(item)))

    def _labelled(self, block: type[TargetBlock], get_y: Getter) -> "LabelledList":
        images = self.images
        data_block = DataBlock(blocks=(ImageBlock, block), get_x=images.get_x, get_y=get_y, splitter=self.splitter)
        return LabelledList(data_block, images.items, images.path)


@dataclass(frozen=True, eq=False)
class LabelledList:
    """Images with a split and labels."""

    block: DataBlock
    items: Items
    path: Path

    def transform(
        self, tfms: Sequence[Transform] | None = None, size: int | tuple[int, int] | None = None
    ) -> "LabelledList":
        """The images with a resize and augmentation.

        Args:
            tfms: the augmentation, for example ``aug_transforms()``; None for none.
            size: the size in pixels. One number resizes and crops to a square; (height, width) resizes without a crop,
                which can change the aspect ratio.
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
        """Training and validation batches; arguments as in `DataBlock.dataloaders`.

        Raises:
            DataError: an item cannot be read, a label occurs on validation images only, or a batch is too large.
        """
        options = {"bs": bs, "val_bs": val_bs, "num_workers": num_workers, "device": device}
        return ImageDataBunch(self.block, self.items, Path(path or self.path), options)


def _random_split(n: int, valid_pct: float, seed: int | None) -> tuple[list[int], list[int]]:
    """(train, valid) indices as in fastai 1: NumPy's legacy generator, and the validation indices in its order."""
    random = np.random.RandomState(seed)
    if seed is None:
        random.set_state(np.random.get_state())  # noqa: NPY002  # the state of the global generator, without advancing it
    valid: list[int] = random.permutation(n)[: int(valid_pct * n)].tolist()
    return sorted(set(range(n)) - set(valid)), valid


def _infer_block(table: pd.DataFrame, col: str | int) -> type[TargetBlock]:
    column = table[col] if col in table.columns else table.iloc[:, int(col)]
    return RegressionBlock if pd.api.types.is_float_dtype(column) else CategoryBlock
