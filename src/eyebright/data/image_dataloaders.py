"""`ImageDataLoaders`: fastai's constructors of data loaders, for the common layouts of datasets."""

from collections.abc import Callable, Sequence
from csv import QUOTE_MINIMAL
from pathlib import Path
from typing import Any, Literal, NamedTuple

import pandas as pd
import torch

from eyebright._defaults import VALID_PCT
from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.getters import ColReader, Getter, RegexLabeller, parent_label, using_attr
from eyebright.data.table_file import read_table_file
from eyebright.errors import DataError, InputError, checked_keywords
from eyebright.image.cache import CacheOption
from eyebright.io.files import get_image_files
from eyebright.sources.split import ColSplitter, GrandparentSplitter, RandomSplitter
from eyebright.tasks.base import Block
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.registry import block_for_values

Paths = Sequence[str | Path]


class ImageDataLoaders:
    """Functions that return `DataLoaders` of images; for anything else, use a `DataBlock`.

    All of them take these arguments:

    - ``item_tfms``, ``batch_tfms``: transforms, see `DataBlock`.
    - ``bs``, ``val_bs``, ``shuffle``, ``num_workers``, ``device``, ``cache``: see `DataBlock.dataloaders`.

    Most of them also take:

    - ``path``: the folder in which the learner saves its files.
    - ``valid_pct``: the share of the images in a random validation set, in [0, 1).
    - ``seed``: the seed of the random split; None draws a new split each time.
    """

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
            path: the folder with the images, in which the learner also saves its files.
            train: name of the folder of the training set.
            valid: name of the folder of the validation set.
            valid_pct: the share of all images in ``path`` in a random validation set, whatever their folders; None:
                the folders ``train`` and ``valid`` are the split.
            vocab: the classes; None: the names of the folders.

        Raises:
            InputError: there is no such folder, or no image in it.
        """
        options = _Options(item_tfms, batch_tfms, bs, val_bs, shuffle, num_workers, device, cache)
        block = DataBlock(
            blocks=(ImageBlock, CategoryBlock(vocab)),
            get_items=lambda root: get_image_files(root, folders=None if valid_pct else [train, valid]),
            get_y=parent_label,
            splitter=RandomSplitter(valid_pct, seed) if valid_pct else GrandparentSplitter(train, valid),
        )
        return _dataloaders(block, Path(path), path, options)

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
        """Images whose class a function returns.

        Args:
            fnames: paths of the images.
            label_func: a function from the path of an image to its class.
        """
        options = _Options(item_tfms, batch_tfms, bs, val_bs, shuffle, num_workers, device, cache)
        return _from_paths(path, fnames, options, get_y=label_func, split=(valid_pct, seed))

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
        """Images whose class ``label_func`` returns for their file name; otherwise as `from_path_func`."""
        options = _Options(item_tfms, batch_tfms, bs, val_bs, shuffle, num_workers, device, cache)
        return _from_paths(path, fnames, options, get_y=using_attr(label_func, "name"), split=(valid_pct, seed))

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
        """Images whose class is the first group of the regular expression ``pat`` in their path."""
        options = _Options(item_tfms, batch_tfms, bs, val_bs, shuffle, num_workers, device, cache)
        return _from_paths(path, fnames, options, get_y=RegexLabeller(pat), split=(valid_pct, seed))

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
        """Images whose class is the first group of the regular expression ``pat`` in their file name."""
        options = _Options(item_tfms, batch_tfms, bs, val_bs, shuffle, num_workers, device, cache)
        return _from_paths(path, fnames, options, get_y=using_attr(RegexLabeller(pat), "name"), split=(valid_pct, seed))

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
            path: the folder that file names are relative to, in which the learner also saves its files.
            fn_col: the column with the file names.
            folder: a folder in ``path`` that file names are relative to instead.
            suff: appended to each file name, for example ``".jpg"``.
            label_col: the column with the labels, or several columns.
            label_delim: the text between two labels of an image.
            y_block: the target block; None: `MultiCategoryBlock` with ``label_delim`` or several columns, else
                `CategoryBlock`.
            valid_col: the column that is true for validation images; None: a random split.

        Raises:
            DataError: the table has no such column, or an image has no label but needs one.
        """
        options = _Options(item_tfms, batch_tfms, bs, val_bs, shuffle, num_workers, device, cache)
        multi_label = label_delim is not None or not isinstance(label_col, (str, int))
        block = DataBlock(
            blocks=(ImageBlock, y_block or (MultiCategoryBlock if multi_label else CategoryBlock)),
            get_x=ColReader(fn_col, pref=Path(path) / (folder or ""), suff=suff),
            get_y=ColReader(label_col, label_delim=label_delim),
            splitter=RandomSplitter(valid_pct, seed) if valid_col is None else ColSplitter(valid_col),
        )
        return _dataloaders(block, df, path, options)

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
        """Images and labels from a CSV file; otherwise as `from_df`. File names and labels are not changed.

        Args:
            path: the folder of the CSV file, otherwise as in `from_df`.
            csv_fname: name of the CSV file in ``path``.
            header: as in ``pandas.read_csv``; None: the file has no header.
            delimiter: between two columns; None: a comma.
            quoting: a constant of Python's csv module.

        Raises:
            InputError: there is no such file.
            DataError: as in `from_df`.
        """
        file = Path(path) / csv_fname
        if not file.is_file():
            raise InputError(f"there is no table '{file}'; name it with csv_fname")
        columns = (fn_col, folder, suff, label_col, label_delim, y_block, valid_col)
        text_columns = [fn_col]
        if isinstance(label_col, (str, int)) and (y_block is None or getattr(y_block, "is_categorical", False)):
            text_columns.append(label_col)
        return ImageDataLoaders.from_df(
            read_table_file(file, header=header, delimiter=delimiter, quoting=quoting, text=text_columns),
            path,
            valid_pct,
            seed,
            *columns,
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
        """Images from a list of paths, and their labels from another list.

        Args:
            fnames: paths of the images.
            labels: the label of each image.
            y_block: the target block; None: inferred from the first label, see `block_for_values`.

        Raises:
            DataError: the numbers of images and labels differ.
        """
        if len(fnames) != len(labels):
            raise DataError(f"each image needs its label: there are {len(fnames)} images and {len(labels)} labels")
        options = _Options(item_tfms, batch_tfms, bs, val_bs, shuffle, num_workers, device, cache)
        block = DataBlock(
            blocks=(ImageBlock, y_block or block_for_values(labels)),
            get_x=lambda pair: pair[0],
            get_y=lambda pair: pair[1],
            splitter=RandomSplitter(valid_pct, seed),
        )
        return _dataloaders(block, list(zip(fnames, labels, strict=True)), path, options)


class _Options(NamedTuple):
    """The arguments that all constructors share, see `ImageDataLoaders`."""

    item_tfms: Any
    batch_tfms: Any
    bs: int | None
    val_bs: int | None
    shuffle: bool
    num_workers: int | None
    device: str | torch.device | None
    cache: CacheOption


def _from_paths(
    path: str | Path, fnames: Paths, options: _Options, *, get_y: Getter, split: tuple[float, int | None]
) -> DataLoaders:
    """Images whose class ``get_y`` returns for their path; ``split`` is (valid_pct, seed)."""
    block = DataBlock(blocks=(ImageBlock, CategoryBlock), get_y=get_y, splitter=RandomSplitter(*split))
    return _dataloaders(block, [Path(name) for name in fnames], path, options)


def _dataloaders(block: DataBlock, source: Any, path: str | Path, options: _Options) -> DataLoaders:
    """The loaders of a data block, with these options."""
    return block.new(item_tfms=options.item_tfms, batch_tfms=options.batch_tfms).dataloaders(
        source,
        path,
        bs=options.bs,
        val_bs=options.val_bs,
        shuffle=options.shuffle,
        num_workers=options.num_workers,
        device=options.device,
        cache=options.cache,
    )
