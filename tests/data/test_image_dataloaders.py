"""The short ways to loaders: each finds images, labels and sides where the book says that they are."""

from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

from eyebright.data.image_dataloaders import ImageDataLoaders
from eyebright.errors import DataError, InputError
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.transforms.spatial import Resize

HOW = {"item_tfms": Resize(8), "bs": 4, "num_workers": 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 images in class folders below train and valid, and the same with names that tell their class."""
    root = tmp_path_factory.mktemp("images")
    for i in range(16):
        label = ("cat", "dog")[i % 2]
        image = PIL.Image.fromarray(np.full((8, 8, 3), 10 * i, dtype=np.uint8))
        for path in (root / ("valid" if i >= 12 else "train") / label / f"{i}.png", root / "flat" / f"{label}_{i}.png"):
            path.parent.mkdir(parents=True, exist_ok=True)
            image.save(path)
    return root


@pytest.fixture
def flat(root: Path) -> list[Path]:
    return sorted((root / "flat").iterdir())


@pytest.fixture
def table(flat: list[Path]) -> pd.DataFrame:
    rows = [(path.stem, path.stem.split("_")[0], f"{path.stem[0]} x", i >= 12, i / 2) for i, path in enumerate(flat)]
    return pd.DataFrame(rows, columns=["name", "label", "labels", "held", "number"])


def labels(dls: object, paths: list[Path]) -> list[str]:
    return [dls.target.decode(dls.datasets[i][1]) for i in range(len(paths))]  # type: ignore[attr-defined]


def test_folders_are_sides_and_classes(root: Path) -> None:
    dls = ImageDataLoaders.from_folder(root, **HOW)
    assert list(dls.vocab) == ["cat", "dog"]
    assert {path.parent.parent.name for path in dls.valid_ds.items} == {"valid"}
    assert [len(dls.train_ds), len(dls.valid_ds)] == [12, 4]


def test_folders_are_classes_and_chance_the_sides(root: Path) -> None:
    dls = ImageDataLoaders.from_folder(root / "train", valid_pct=0.25, vocab=["dog", "cat"], **HOW)
    assert list(dls.vocab) == ["dog", "cat"]
    assert [len(dls.train_ds), len(dls.valid_ds)] == [9, 3]


def test_a_function_or_an_expression_reads_the_class_from_name_or_path(root: Path, flat: list[Path]) -> None:
    right = [path.name.split("_")[0] for path in flat]
    made = [
        ImageDataLoaders.from_name_func(root, flat, lambda name: name.split("_")[0], **HOW),
        ImageDataLoaders.from_name_re(root, flat, r"^([a-z]+)_\d+.png$", **HOW),
        ImageDataLoaders.from_path_func(root, flat, lambda path: path.name.split("_")[0], **HOW),
        ImageDataLoaders.from_path_re(root, flat, r"/([a-z]+)_\d+.png$", **HOW),
    ]
    assert [labels(dls, flat) for dls in made] == [right] * 4


def test_chance_splits_the_same_way_each_time_unless_it_is_asked_otherwise(root: Path, flat: list[Path]) -> None:
    sides = [ImageDataLoaders.from_name_re(root, flat, r"^([a-z]+)", **HOW).datasets.splits for _ in range(2)]
    other = ImageDataLoaders.from_name_re(root, flat, r"^([a-z]+)", 0.2, 1, **HOW).datasets.splits
    assert sides[0] == sides[1] != other


def test_a_table_says_files_labels_and_sides(root: Path, table: pd.DataFrame) -> None:
    dls = ImageDataLoaders.from_df(table, root, folder="flat", suff=".png", valid_col="held", **HOW)
    assert list(dls.vocab) == ["cat", "dog"]
    assert dls.datasets.splits == (list(range(12)), [12, 13, 14, 15])
    x, y = dls.one_batch()
    assert (x.shape, y.shape, repr(dls.loss_func)) == ((4, 3, 8, 8), (4,), "FlattenedLoss of CrossEntropyLoss()")


def test_labels_with_a_delimiter_are_any_number_of_labels(root: Path, table: pd.DataFrame) -> None:
    how = {"folder": "flat", "suff": ".png", "label_col": "labels", "label_delim": " "}
    dls = ImageDataLoaders.from_df(table, root, **how, **HOW)
    assert list(dls.vocab) == ["c", "d", "x"]
    assert repr(dls.loss_func) == "FlattenedLoss of BCEWithLogitsLoss()"


def test_a_column_for_each_label_needs_its_block(root: Path, table: pd.DataFrame) -> None:
    wide = table.assign(cat=table["label"].eq("cat").astype(int), dog=table["label"].eq("dog").astype(int))
    block = MultiCategoryBlock(encoded=True, vocab=["cat", "dog"])
    how = {"folder": "flat", "suff": ".png", "label_col": ["cat", "dog"], "y_block": block}
    dls = ImageDataLoaders.from_df(wide, root, **how, **HOW)
    assert torch.stack([dls.datasets[i][1] for i in range(16)]).tolist() == wide[["cat", "dog"]].values.tolist()


def test_a_csv_file_is_the_same_as_its_table(root: Path, table: pd.DataFrame) -> None:
    how = {"folder": "flat", "suff": ".png", "valid_col": "held", **HOW}
    table.to_csv(root / "labels.csv", index=False)
    table.to_csv(root / "other.csv", index=False, sep=";")
    right = ImageDataLoaders.from_df(table, root, **how).datasets.fingerprint()
    assert ImageDataLoaders.from_csv(root, **how).datasets.fingerprint() == right
    assert ImageDataLoaders.from_csv(root, "other.csv", delimiter=";", **how).datasets.fingerprint() == right
    with pytest.raises(InputError, match="there is no table '.*nowhere.csv'"):
        ImageDataLoaders.from_csv(root, "nowhere.csv", **how)


def test_lists_say_what_they_hold_by_their_first_entry(root: Path, flat: list[Path]) -> None:
    kinds = {"a": "CrossEntropyLoss", ("a", "b"): "BCEWithLogitsLoss", 0.5: "MSELoss"}
    for label, loss in kinds.items():
        dls = ImageDataLoaders.from_lists(root, flat, [label] * len(flat), **HOW)
        assert loss in repr(dls.loss_func)
    dls = ImageDataLoaders.from_lists(root, np.array(flat), pd.Series(["a"] * len(flat), index=range(5, 21)), **HOW)
    assert "CrossEntropyLoss" in repr(dls.loss_func)
    with pytest.raises(DataError, match="16 images and 3 labels"):
        ImageDataLoaders.from_lists(root, flat, ["a"] * 3, **HOW)


def test_unknown_keywords_name_the_nearest_unlike_the_book(root: Path) -> None:
    with pytest.raises(TypeError, match="no keyword 'batch_size'|no keyword 'item_tfm'"):
        ImageDataLoaders.from_folder(root, item_tfm=Resize(8))  # type: ignore[call-arg]
