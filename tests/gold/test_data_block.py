"""The stages of a data block, compared with values recorded from fastai (g08) and with its defects."""

import ast
import re
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from eyebright.data.block import DataBlock
from eyebright.data.getters import RegexLabeller, using_attr
from eyebright.errors import DataError
from eyebright.io.files import IMAGE_EXTENSIONS, get_image_files
from eyebright.sources.split import FuncSplitter, RandomSplitter
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.points import PointBlock
from eyebright.transforms.normalize import Normalize, imagenet_stats
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from support.gold import GOLD as FOLDER, gold

GOLD = gold("g08_datablock")
BREED = using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name")
CHAPTER_5 = DataBlock(
    (ImageBlock, CategoryBlock),
    get_items=get_image_files,
    get_y=BREED,
    splitter=RandomSplitter(seed=42),
    item_tfms=Resize(36),
    batch_tfms=aug_transforms(size=24, min_scale=0.75),
)


def splitter(table: pd.DataFrame) -> tuple[list[int], list[int]]:
    """The splitter of chapter 6 of the fastai book."""
    train = table.index[~table["is_valid"]].tolist()  # pyright: ignore[reportCallIssue]
    valid = table.index[table["is_valid"]].tolist()  # pyright: ignore[reportCallIssue]
    return train, valid


@pytest.fixture
def chapter_6(voc: Path) -> DataBlock:
    return DataBlock(
        (ImageBlock, MultiCategoryBlock),
        splitter=splitter,
        get_x=lambda row: voc / row["fname"],
        get_y=lambda row: row["labels"].split(" "),
        item_tfms=RandomResizedCrop(128, min_scale=0.35),
    )


# ------------------------------------------------------------------ chapter 6, stage by stage


def test_an_empty_block_returns_each_row_twice_and_splits_off_a_fifth(voc_table: pd.DataFrame) -> None:
    expected = GOLD["DataBlock().datasets(df)"]
    datasets = DataBlock().datasets(voc_table)
    assert [len(datasets.train), len(datasets.valid)] == expected["lens"]
    x, y = datasets.train[0]
    assert bool((x == y).all()) is expected["same_row_twice"]


def test_getters_extract_the_file_name_and_the_labels(voc_table: pd.DataFrame) -> None:
    datasets = DataBlock(get_x=lambda row: row["fname"], get_y=lambda row: row["labels"]).datasets(voc_table)
    index = int(datasets.train[0][0].removesuffix(".jpg"))
    assert str(datasets.train[0]) == str((f"{index:06}.jpg", voc_table["labels"][index]))
    expected: tuple[str, str] = ast.literal_eval(GOLD["get_x/get_y"])
    assert (expected[0], expected[1]) in zip(voc_table["fname"], voc_table["labels"], strict=True)


def test_a_sample_is_an_image_and_a_binary_vector(chapter_6: DataBlock, voc_table: pd.DataFrame) -> None:
    expected = GOLD["multi item"]
    datasets = chapter_6.datasets(voc_table)
    x, y = datasets.train[0]
    assert repr((x, y)).replace(" ", "") == expected["repr"].replace("TensorMultiCategory", "tensor").replace(" ", "")
    assert list(datasets.vocab) == expected["vocab"]
    where = torch.where(y == 1.0)[0]
    assert str(where) == expected["idxs"].replace("TensorMultiCategory", "tensor")
    assert str(datasets.train.vocab[where]) == expected["lookup"]


def test_a_multi_label_batch_equals_fastais_in_plain_tensors(chapter_6: DataBlock, voc_table: pd.DataFrame) -> None:
    expected = GOLD["multi batch"]
    dls = chapter_6.dataloaders(voc_table, bs=8)
    for tensor, recorded in zip(dls.one_batch(), (expected["x"], expected["y"]), strict=True):
        assert tensor is not None
        assert [list(tensor.shape), str(tensor.dtype)] == recorded[1:]
        assert type(tensor) is torch.Tensor, f"not {recorded[0]}"
    assert [len(dls.train), len(dls.valid)] == [expected["n_train_batches"], expected["n_valid_batches"]]
    assert [dls.train.drop_last, dls.valid.drop_last] == expected["drop_last"]
    assert [dls.train.shuffle, dls.valid.shuffle] == expected["shuffle"]
    assert (repr(dls.loss_func), dls.c, dls.bs) == (expected["loss"], expected["c"], expected["bs"])


def test_a_batch_of_points_equals_fastais(pets: Path) -> None:
    expected = GOLD["point batch"]
    block = DataBlock(
        (ImageBlock, PointBlock),
        get_items=get_image_files,
        get_y=lambda _: torch.tensor([30.0, 20.0]),
        splitter=FuncSplitter(lambda image: "pug" in image.name),
        item_tfms=Resize(36),
        batch_tfms=[*aug_transforms(size=(24, 32)), Normalize.from_stats(*imagenet_stats, cuda=False)],
    )
    dls = block.dataloaders(pets, bs=4)
    x, y = dls.one_batch()
    assert y is not None
    assert [list(x.shape), list(y.shape)] == [expected["x"], expected["y"][1]]
    assert (repr(dls.loss_func), dls.c) == (expected["loss"], expected["c"])
    assert y[~y.isnan()].abs().max() <= 1


# ------------------------------------------------------------------ the summary


@pytest.fixture(scope="session")
def summaries() -> Callable[[str], str]:
    return lambda name: (FOLDER / f"g08_summary_{name}.txt").read_text(encoding="utf-8")


def printed_summary(block: DataBlock, source: Path, capsys: pytest.CaptureFixture[str]) -> str:
    block.summary(source)
    return capsys.readouterr().out


def test_the_summary_contains_the_facts_of_fastais(
    pets: Path, summaries: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    fastai, ours = summaries("pets"), printed_summary(CHAPTER_5, pets, capsys)
    for fact in (r"Found \d+ items", r"2 datasets of sizes \d+,\d+", r"Adding the next \d samples"):
        assert set(re.findall(fact, ours)) == set(re.findall(fact, fastai))
    [vocab] = set(re.findall(r"'vocab': (\[.*?\])", fastai))
    assert f"with 3 outputs: {vocab}" in ours
    # fastai does not sort files, so its summary shows another image.
    first = sorted(pets.iterdir())[RandomSplitter(seed=42)(range(60))[0][0]]
    number = int(first.stem.split("_")[1])
    assert str(first) in ours
    assert f"applying RegexLabeller(item.name) gives {first.name.split('_')[0]}" in ours
    kind, size = re.search(r"(PILImage mode=RGB) size=(62x46)", fastai).groups()  # type: ignore[union-attr]
    assert size == f"{60 + 27 % 5}x{40 + 27 % 7}", "the size of image 27, which fastai's summary shows"
    assert f"applying ImageBlock gives {kind} size={60 + number % 5}x{40 + number % 7}" in ours
    resized, batch = re.findall(r"TensorImage of size ([\dx]+)", fastai)[0], fastai.rstrip().splitlines()[-1]
    assert (resized, "4x3x24x24" in batch) == ("3x36x36", True)
    assert "gives 36x36 (height x width)" in ours
    *_, batch, validation = ours.rstrip().splitlines()
    assert batch == "One batch: x 4x3x24x24 float32, y 4 int64"
    assert validation.endswith("(canonical-1)")


def test_the_summary_has_no_repetition_and_reports_a_single_resampling(
    pets: Path, summaries: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    fastai, ours = summaries("pets"), printed_summary(CHAPTER_5, pets, capsys)
    assert fastai.count("Collecting items from") == 2
    assert ours.count("Collecting items from") == 1
    assert "all transforms composed to one resampling, from" in ours
    assert "to 24x24 (height x width)" in ours


def test_without_a_common_image_size_both_summaries_stop_at_the_batch_with_a_remedy(
    pets: Path, summaries: Callable[[str], str], capsys: pytest.CaptureFixture[str]
) -> None:
    fastai = summaries("no_resize")
    ours = printed_summary(CHAPTER_5.new(item_tfms=None, batch_tfms=None), pets, capsys)
    assert "Collating items in a batch\nError!" in fastai
    assert "Please include a transform in `after_item`" in fastai
    assert "Collating them in a batch\n\nStopped here: images of different sizes (" in ours
    assert "resize all images to one size, for example with item_tfms=Resize(224)" in ours


# ------------------------------------------------------------------ fastai's defects


def test_a_batch_size_larger_than_the_training_set_is_an_error_unlike_fastai(pets: Path) -> None:
    assert GOLD["traps"]["bs > n_train: len(dls.train)"] == 0
    with pytest.raises(DataError, match="a batch of 64 images is larger than the training set of 48"):
        CHAPTER_5.dataloaders(pets, bs=64)


def test_a_label_only_in_the_validation_set_is_an_error_before_any_batch(pets: Path) -> None:
    traps = GOLD["traps"]
    assert traps["label only in valid: building the DataLoaders"] is None
    assert "'pug' was not included" in traps["... and iterating valid"]
    block = CHAPTER_5.new(splitter=FuncSplitter(lambda image: "pug" in image.name))
    with pytest.raises(DataError, match=r"pug_\d+.jpg': unknown label 'pug'.*; only validation images have this label"):
        block.datasets(pets)


def test_overlapping_training_and_validation_sets_are_refused_unlike_fastai(pets: Path) -> None:
    assert GOLD["traps"]["overlapping train/valid indices accepted"]["err"] is None
    with pytest.raises(DataError, match="2 items on both sides"):
        CHAPTER_5.new(splitter=lambda _: ([0, 1, 2, 3], [2, 3, 4])).datasets(pets)


def test_image_extensions_are_fastais_without_unreadable_formats() -> None:
    fastai = GOLD["traps"]["image_extensions"]
    assert set(IMAGE_EXTENSIONS) < set(fastai)
    assert {".svg", ".psd", ".dwg"} <= set(fastai) - set(IMAGE_EXTENSIONS), "which Pillow cannot read"
