"""The book's short ways from files to batches, for the usual places where labels are: each is one `DataBlock`."""

from collections.abc import Callable, Sequence
from csv import QUOTE_MINIMAL
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch

from eyebright._defaults import VALID_PCT
from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.getters import ColReader, RegexLabeller, parent_label, using_attr
from eyebright.errors import DataError, InputError, checked_keywords
from eyebright.image.cache import CacheOption
from eyebright.io.files import get_image_files
from eyebright.sources.split import ColSplitter, GrandparentSplitter, RandomSplitter, Splitter
from eyebright.tasks.base import Block
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.registry import block_for_values

Paths = Sequence[str | Path]


class ImageDataLoaders:
    """Functions that give `DataLoaders` of images; what each cannot do, a `DataBlock` can."""

    @staticmethod
    @checked_keywords
    def from_folder(
        path: str | Path,
        train: str = "train",
        valid: str = "valid",
        valid_pct: float | None = None,
        seed: int | None = 0,
        *,
        vocab: Sequence[str] | None = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        bs: int | None = None,
        val_bs: int | None = None,
        shuffle: bool = True,
        num_workers: int | None = None,
        device: str | torch.device | None = None,
        cache: CacheOption = None,
    ) -> DataLoaders:
        """Images whose folder is their class: ``train/cat/1.jpg``, ``valid/dog/2.jpg``.

        Args:
            path: the folder above them.
            train: the folder of the training side.
            valid: the folder of the validation side.
            valid_pct: the share that validates, by chance; then the folders of the sides are not looked for.
            seed: of that chance; None splits another way each time.
            vocab: the classes; None: the folders' names.
            item_tfms: transforms of each image.
            batch_tfms: transforms that follow.
            bs: images in a training batch, and the other arguments as in `DataBlock.dataloaders`.
            val_bs: images in a validation batch.
            shuffle: another order of the training images in each epoch.
            num_workers: how many read.
            device: where batches go.
            cache: keep decoded images: ``"memory"``, or a folder.

        Raises:
            InputError: there is no such folder, or no image in it.
        """
        sides = GrandparentSplitter(train, valid)
        block = DataBlock(
            blocks=(ImageBlock, CategoryBlock(vocab)),
            get_items=lambda root: get_image_files(root, folders=None if valid_pct else [train, valid]),
            get_y=parent_label,
            splitter=RandomSplitter(valid_pct, seed) if valid_pct else sides,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
        )
        return block.dataloaders(
            Path(path),
            path,
            bs=bs,
            val_bs=val_bs,
            shuffle=shuffle,
            num_workers=num_workers,
            device=device,
            cache=cache,
        )

    @staticmethod
    @checked_keywords
    def from_path_func(
        path: str | Path,
        fnames: Paths,
        label_func: Callable[[Any], Any],
        valid_pct: float = VALID_PCT,
        seed: int | None = 0,
        *,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        bs: int | None = None,
        val_bs: int | None = None,
        shuffle: bool = True,
        num_workers: int | None = None,
        device: str | torch.device | None = None,
        cache: CacheOption = None,
    ) -> DataLoaders:
        """Images whose class a function reads from their path.

        Args:
            path: where a learner keeps its files.
            fnames: the images.
            label_func: from a path to the class.
            valid_pct: the share that validates, by chance.
            seed: of that chance; None splits another way each time.
            item_tfms: transforms of each image.
            batch_tfms: transforms that follow.
            bs: images in a training batch, and the other arguments as in `DataBlock.dataloaders`.
            val_bs: images in a validation batch.
            shuffle: another order of the training images in each epoch.
            num_workers: how many read.
            device: where batches go.
            cache: keep decoded images: ``"memory"``, or a folder.
        """
        block = DataBlock(
            blocks=(ImageBlock, CategoryBlock),
            get_y=label_func,
            splitter=RandomSplitter(valid_pct, seed),
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
        )
        return block.dataloaders(
            [Path(name) for name in fnames],
            path,
            bs=bs,
            val_bs=val_bs,
            shuffle=shuffle,
            num_workers=num_workers,
            device=device,
            cache=cache,
        )

    @staticmethod
    @checked_keywords
    def from_name_func(
        path: str | Path,
        fnames: Paths,
        label_func: Callable[[str], Any],
        valid_pct: float = VALID_PCT,
        seed: int | None = 0,
        *,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        bs: int | None = None,
        val_bs: int | None = None,
        shuffle: bool = True,
        num_workers: int | None = None,
        device: str | torch.device | None = None,
        cache: CacheOption = None,
    ) -> DataLoaders:
        """Images whose class ``label_func`` reads from their name; all else as in `from_path_func`."""
        return ImageDataLoaders.from_path_func(
            path,
            fnames,
            using_attr(label_func, "name"),
            valid_pct,
            seed,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            bs=bs,
            val_bs=val_bs,
            shuffle=shuffle,
            num_workers=num_workers,
            device=device,
            cache=cache,
        )

    @staticmethod
    @checked_keywords
    def from_path_re(
        path: str | Path,
        fnames: Paths,
        pat: str,
        valid_pct: float = VALID_PCT,
        seed: int | None = 0,
        *,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        bs: int | None = None,
        val_bs: int | None = None,
        shuffle: bool = True,
        num_workers: int | None = None,
        device: str | torch.device | None = None,
        cache: CacheOption = None,
    ) -> DataLoaders:
        """Images whose class is the first group of ``pat`` in their path; all else as in `from_path_func`."""
        return ImageDataLoaders.from_path_func(
            path,
            fnames,
            RegexLabeller(pat),
            valid_pct,
            seed,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            bs=bs,
            val_bs=val_bs,
            shuffle=shuffle,
            num_workers=num_workers,
            device=device,
            cache=cache,
        )

    @staticmethod
    @checked_keywords
    def from_name_re(
        path: str | Path,
        fnames: Paths,
        pat: str,
        valid_pct: float = VALID_PCT,
        seed: int | None = 0,
        *,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        bs: int | None = None,
        val_bs: int | None = None,
        shuffle: bool = True,
        num_workers: int | None = None,
        device: str | torch.device | None = None,
        cache: CacheOption = None,
    ) -> DataLoaders:
        """Images whose class is the first group of ``pat`` in their name; all else as in `from_path_func`."""
        return ImageDataLoaders.from_path_func(
            path,
            fnames,
            using_attr(RegexLabeller(pat), "name"),
            valid_pct,
            seed,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            bs=bs,
            val_bs=val_bs,
            shuffle=shuffle,
            num_workers=num_workers,
            device=device,
            cache=cache,
        )

    @staticmethod
    @checked_keywords
    def from_df(
        df: pd.DataFrame,
        path: str | Path = ".",
        valid_pct: float = VALID_PCT,
        seed: int | None = 0,
        fn_col: str | int = 0,
        folder: str | Path | None = None,
        suff: str = "",
        label_col: str | int | Sequence[str | int] = 1,
        label_delim: str | None = None,
        y_block: type[Block] | Block | None = None,
        valid_col: str | int | None = None,
        *,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        bs: int | None = None,
        val_bs: int | None = None,
        shuffle: bool = True,
        num_workers: int | None = None,
        device: str | torch.device | None = None,
        cache: CacheOption = None,
    ) -> DataLoaders:
        """Images and labels from a table.

        Args:
            df: the table.
            path: that the names start from, and where a learner keeps its files.
            valid_pct: the share that validates, by chance.
            seed: of that chance; None splits another way each time.
            fn_col: the column with the images' names.
            folder: inside ``path``, that the names start from.
            suff: behind each name, for example ``".jpg"``.
            label_col: the column with the labels, or several.
            label_delim: what stands between two labels of one image.
            y_block: what the labels are; None: any number of labels with ``label_delim`` or several columns, else one.
            valid_col: the column that says which rows validate; then nothing is left to chance.
            item_tfms: transforms of each image.
            batch_tfms: transforms that follow.
            bs: images in a training batch, and the other arguments as in `DataBlock.dataloaders`.
            val_bs: images in a validation batch.
            shuffle: another order of the training images in each epoch.
            num_workers: how many read.
            device: where batches go.
            cache: keep decoded images: ``"memory"``, or a folder.

        Raises:
            DataError: the table has no such column, or an image no label where it needs one.
        """
        several = label_delim is not None or not isinstance(label_col, (str, int))
        block = DataBlock(
            blocks=(ImageBlock, y_block or (MultiCategoryBlock if several else CategoryBlock)),
            get_x=ColReader(fn_col, pref=Path(path) / (folder or ""), suff=suff),
            get_y=ColReader(label_col, label_delim=label_delim),
            splitter=_splitter(valid_col, valid_pct, seed),
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
        )
        return block.dataloaders(
            df,
            path,
            bs=bs,
            val_bs=val_bs,
            shuffle=shuffle,
            num_workers=num_workers,
            device=device,
            cache=cache,
        )

    @staticmethod
    @checked_keywords
    def from_csv(
        path: str | Path,
        csv_fname: str = "labels.csv",
        header: int | Literal["infer"] | None = "infer",
        delimiter: str | None = None,
        quoting: Literal[0, 1, 2, 3] = QUOTE_MINIMAL,
        *,
        valid_pct: float = VALID_PCT,
        seed: int | None = 0,
        fn_col: str | int = 0,
        folder: str | Path | None = None,
        suff: str = "",
        label_col: str | int | Sequence[str | int] = 1,
        label_delim: str | None = None,
        y_block: type[Block] | Block | None = None,
        valid_col: str | int | None = None,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        bs: int | None = None,
        val_bs: int | None = None,
        shuffle: bool = True,
        num_workers: int | None = None,
        device: str | torch.device | None = None,
        cache: CacheOption = None,
    ) -> DataLoaders:
        """Images and labels from the CSV file ``csv_fname`` in ``path``.

        ``header`` is the line with the columns' names as pandas counts (None: there is none), ``delimiter`` stands
        between two columns, ``quoting`` is a constant of Python's csv; all else as in `from_df`.

        Raises:
            InputError: there is no such file.
        """
        file = Path(path) / csv_fname
        if not file.is_file():
            raise InputError(f"there is no table '{file}'; name it with csv_fname")
        return ImageDataLoaders.from_df(
            pd.read_csv(file, header=header, sep=delimiter or ",", quoting=quoting),
            path,
            valid_pct,
            seed,
            fn_col,
            folder,
            suff,
            label_col,
            label_delim,
            y_block,
            valid_col,
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
            bs=bs,
            val_bs=val_bs,
            shuffle=shuffle,
            num_workers=num_workers,
            device=device,
            cache=cache,
        )

    @staticmethod
    @checked_keywords
    def from_lists(
        path: str | Path,
        fnames: Paths,
        labels: Sequence[Any],
        valid_pct: float = VALID_PCT,
        seed: int | None = 0,
        y_block: type[Block] | Block | None = None,
        *,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        bs: int | None = None,
        val_bs: int | None = None,
        shuffle: bool = True,
        num_workers: int | None = None,
        device: str | torch.device | None = None,
        cache: CacheOption = None,
    ) -> DataLoaders:
        """Images from one list, their labels from another.

        Args:
            path: where a learner keeps its files.
            fnames: the images.
            labels: one entry for each image.
            valid_pct: the share that validates, by chance.
            seed: of that chance; None splits another way each time.
            y_block: what the labels are; None: numbers where they are floats, any number of labels where they are
                lists, tuples or sets, else one class.
            item_tfms: transforms of each image.
            batch_tfms: transforms that follow.
            bs: images in a training batch, and the other arguments as in `DataBlock.dataloaders`.
            val_bs: images in a validation batch.
            shuffle: another order of the training images in each epoch.
            num_workers: how many read.
            device: where batches go.
            cache: keep decoded images: ``"memory"``, or a folder.

        Raises:
            DataError: there are not as many labels as images.
        """
        if len(fnames) != len(labels):
            raise DataError(f"each image needs its label: there are {len(fnames)} images and {len(labels)} labels")
        block = DataBlock(
            blocks=(ImageBlock, y_block or block_for_values(labels)),
            get_x=lambda pair: pair[0],
            get_y=lambda pair: pair[1],
            splitter=RandomSplitter(valid_pct, seed),
            item_tfms=item_tfms,
            batch_tfms=batch_tfms,
        )
        return block.dataloaders(
            list(zip(fnames, labels, strict=True)),
            path,
            bs=bs,
            val_bs=val_bs,
            shuffle=shuffle,
            num_workers=num_workers,
            device=device,
            cache=cache,
        )


def _splitter(valid_col: str | int | None, valid_pct: float, seed: int | None) -> Splitter:
    return RandomSplitter(valid_pct, seed) if valid_col is None else ColSplitter(valid_col)
