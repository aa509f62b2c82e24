"""`ImageDataLoaders`: each constructor finds images, labels and the split as in the fastai book."""

from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

from eyebright.data.image_dataloaders import ImageDataLoaders
from eyebright.errors import DataError, InputError
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.regression import RegressionBlock
from eyebright.transforms.spatial import Resize

OPTIONS = {"item_tfms": Resize(8), "bs": 4, "num_workers": 0}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """16 images in class folders below train and valid, and the same images in one folder, named after their class."""
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


def test_folders_give_the_split_and_the_classes(root: Path) -> None:
    dls = ImageDataLoaders.from_folder(root, **OPTIONS)
    assert list(dls.vocab) == ["cat", "dog"]
    assert {path.parent.parent.name for path in dls.valid_ds.items} == {"valid"}
    assert [len(dls.train_ds), len(dls.valid_ds)] == [12, 4]


def test_with_valid_pct_folders_give_the_classes_and_the_split_is_random(root: Path) -> None:
    dls = ImageDataLoaders.from_folder(root / "train", valid_pct=0.25, vocab=["dog", "cat"], **OPTIONS)
    assert list(dls.vocab) == ["dog", "cat"]
    assert [len(dls.train_ds), len(dls.valid_ds)] == [9, 3]


def test_the_class_can_be_read_from_name_or_path_by_a_function_or_a_regular_expression(
    root: Path, flat: list[Path]
) -> None:
    expected = [path.name.split("_")[0] for path in flat]
    loaders = [
        ImageDataLoaders.from_name_func(root, flat, lambda name: name.split("_")[0], **OPTIONS),
        ImageDataLoaders.from_name_re(root, flat, r"^([a-z]+)_\d+.png$", **OPTIONS),
        ImageDataLoaders.from_path_func(root, flat, lambda path: path.name.split("_")[0], **OPTIONS),
        ImageDataLoaders.from_path_re(root, flat, r"/([a-z]+)_\d+.png$", **OPTIONS),
    ]
    assert [labels(dls, flat) for dls in loaders] == [expected] * 4


def test_the_random_split_depends_on_the_seed_alone(root: Path, flat: list[Path]) -> None:
    splits = [ImageDataLoaders.from_name_re(root, flat, r"^([a-z]+)", **OPTIONS).datasets.splits for _ in range(2)]
    other_seed = ImageDataLoaders.from_name_re(root, flat, r"^([a-z]+)", 0.2, 1, **OPTIONS).datasets.splits
    assert splits[0] == splits[1] != other_seed


def test_a_table_gives_file_names_labels_and_the_split(root: Path, table: pd.DataFrame) -> None:
    dls = ImageDataLoaders.from_df(table, root, folder="flat", suff=".png", valid_col="held", **OPTIONS)
    assert list(dls.vocab) == ["cat", "dog"]
    assert dls.datasets.splits == (list(range(12)), [12, 13, 14, 15])
    x, y = dls.one_batch()
    assert (x.shape, y.shape, repr(dls.loss_func)) == ((4, 3, 8, 8), (4,), "FlattenedLoss of CrossEntropyLoss()")


def test_label_delim_makes_the_task_multi_label(root: Path, table: pd.DataFrame) -> None:
    options = {"folder": "flat", "suff": ".png", "label_col": "labels", "label_delim": " "}
    dls = ImageDataLoaders.from_df(table, root, **options, **OPTIONS)
    assert list(dls.vocab) == ["c", "d", "x"]
    assert repr(dls.loss_func) == "FlattenedLoss of BCEWithLogitsLoss()"


def test_indicator_columns_need_an_encoded_multi_category_block(root: Path, table: pd.DataFrame) -> None:
    wide = table.assign(cat=table["label"].eq("cat").astype(int), dog=table["label"].eq("dog").astype(int))
    block = MultiCategoryBlock(encoded=True, vocab=["cat", "dog"])
    options = {"folder": "flat", "suff": ".png", "label_col": ["cat", "dog"], "y_block": block}
    dls = ImageDataLoaders.from_df(wide, root, **options, **OPTIONS)
    assert torch.stack([dls.datasets[i][1] for i in range(16)]).tolist() == wide[["cat", "dog"]].values.tolist()


def test_from_csv_gives_the_same_as_from_df(root: Path, table: pd.DataFrame) -> None:
    options = {"folder": "flat", "suff": ".png", "valid_col": "held", **OPTIONS}
    table.to_csv(root / "labels.csv", index=False)
    table.to_csv(root / "other.csv", index=False, sep=";")
    expected = ImageDataLoaders.from_df(table, root, **options).datasets.fingerprint()
    assert ImageDataLoaders.from_csv(root, **options).datasets.fingerprint() == expected
    assert ImageDataLoaders.from_csv(root, "other.csv", delimiter=";", **options).datasets.fingerprint() == expected
    with pytest.raises(InputError, match="there is no table '.*nowhere.csv'"):
        ImageDataLoaders.from_csv(root, "nowhere.csv", **options)


def test_the_first_label_of_a_list_decides_the_target_block(root: Path, flat: list[Path]) -> None:
    losses = {"a": "CrossEntropyLoss", ("a", "b"): "BCEWithLogitsLoss", 0.5: "MSELoss"}
    for label, loss in losses.items():
        dls = ImageDataLoaders.from_lists(root, flat, [label] * len(flat), **OPTIONS)
        assert loss in repr(dls.loss_func)
    dls = ImageDataLoaders.from_lists(root, np.array(flat), pd.Series(["a"] * len(flat), index=range(5, 21)), **OPTIONS)
    assert "CrossEntropyLoss" in repr(dls.loss_func)
    with pytest.raises(DataError, match="16 images and 3 labels"):
        ImageDataLoaders.from_lists(root, flat, ["a"] * 3, **OPTIONS)


def test_the_error_for_an_unknown_keyword_names_the_nearest_unlike_in_fastai(root: Path) -> None:
    with pytest.raises(TypeError, match="no keyword 'batch_size'|no keyword 'item_tfm'"):
        ImageDataLoaders.from_folder(root, item_tfm=Resize(8))  # type: ignore[call-arg]


def test_from_csv_keeps_leading_zeros_and_the_words_that_pandas_takes_for_missing(tmp_path: Path) -> None:
    for i in range(40):
        PIL.Image.new("RGB", (8, 8)).save(tmp_path / f"{i:03}.png")
    labels = ["007", "None", "NA", "null"]
    options = {"suff": ".png", **OPTIONS}
    (tmp_path / "zeros.csv").write_text("id,label\n" + "".join(f"{i:03},{labels[i % 4]}\n" for i in range(40)))
    (tmp_path / "bare.csv").write_text("".join(f"{i:03},0{i % 4}\n" for i in range(40)))
    dls = ImageDataLoaders.from_csv(tmp_path, "zeros.csv", **options)
    assert list(dls.vocab) == sorted(labels)
    assert dls.datasets[0][0].shape == (8, 8)
    bare = ImageDataLoaders.from_csv(tmp_path, "bare.csv", header=None, **options)
    assert list(bare.vocab) == ["00", "01", "02", "03"]


def test_from_csv_reads_numbers_to_predict_and_missing_ones_as_unknown(tmp_path: Path) -> None:
    for i in range(40):
        PIL.Image.new("RGB", (8, 8)).save(tmp_path / f"{i}.png")
    (tmp_path / "n.csv").write_text("id,price\n" + "".join(f"{i},{['1.5', 'NA', '', '2'][i % 4]}\n" for i in range(40)))
    options = {"suff": ".png", "y_block": RegressionBlock, **OPTIONS}
    dls = ImageDataLoaders.from_csv(tmp_path, "n.csv", **options)
    expected = [1.5, float("nan"), float("nan"), 2.0]
    assert [dls.datasets[i][1].item() for i in range(4)] == pytest.approx(expected, nan_ok=True)


def test_a_table_that_pandas_cannot_read_is_an_error_with_its_path(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("")
    with pytest.raises(InputError, match="cannot read the table '.*n.csv'"):
        ImageDataLoaders.from_csv(tmp_path, "n.csv")
