"""`DataBlock`: the samples and batches that it makes, and the errors for wrong input."""

from operator import attrgetter
from pathlib import Path
from typing import Any

import pandas as pd
import PIL.Image
import pytest
import torch

from eyebright.data.block import DataBlock
from eyebright.data.getters import ColReader, RegexLabeller, using_attr
from eyebright.errors import DataError
from eyebright.io.files import get_image_files
from eyebright.sources.read import read_source
from eyebright.sources.split import IndexSplitter
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.points import PointBlock
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from support.images import coloured_squares
from support.learners import squares_block


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return coloured_squares(folder, 24)


def block(folder: Path, **changes: object) -> DataBlock:
    return squares_block(folder, **{"item_tfms": Resize(32), "batch_tfms": None, **changes})


def test_without_blocks_a_sample_is_the_row_twice(table: pd.DataFrame) -> None:
    x, y = DataBlock().datasets(table).train[0]
    assert x["fname"] == y["fname"]


def test_a_sample_is_an_image_and_a_plain_tensor(folder: Path, table: pd.DataFrame) -> None:
    datasets = block(folder).datasets(table)
    image, target = datasets.train[1]
    assert "RGB size=64x48" in repr(image)
    assert type(target) is torch.Tensor
    truth = table[~table["is_valid"]].iloc[1]["labels"].split(" ")
    assert sorted(datasets.train.vocab[torch.where(target == 1.0)[0]]) == sorted(truth)


def test_labels_can_come_from_file_names(folder: Path, tmp_path: Path) -> None:
    for name in ("great_pyrenees_1", "pug_2", "pug_3", "great_pyrenees_4", "pug_5"):
        (tmp_path / f"{name}.png").write_bytes((folder / "000.png").read_bytes())
    pets = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.png$"), "name"),
        splitter=IndexSplitter([0]),
    )
    assert list(pets.datasets(tmp_path).vocab) == ["great_pyrenees", "pug"]


def test_each_datasets_has_its_own_vocabulary_unlike_in_fastai(folder: Path, table: pd.DataFrame) -> None:
    squares = block(folder)
    assert list(squares.datasets(table).vocab) == ["blue", "green", "red"]
    only_red = table.assign(labels="red")
    assert list(squares.datasets(only_red).vocab) == ["red"]


def test_a_label_of_validation_images_only_is_an_error_that_names_the_row(folder: Path, table: pd.DataFrame) -> None:
    changed = table.copy()
    changed.loc[3, "labels"] = "purple"
    with pytest.raises(DataError, match="row 3: unknown label 'purple'.*; only validation images have this label"):
        block(folder).datasets(changed)


def test_the_error_for_a_misspelt_label_names_the_nearest_label_and_the_row(folder: Path, table: pd.DataFrame) -> None:
    changed = table.copy()
    changed.loc[7, "labels"] = "gren"
    with pytest.raises(DataError, match="row 7: unknown label 'gren'. Did you mean 'green'"):
        block(folder).datasets(changed)


def test_the_error_of_a_getter_names_the_row_the_getter_and_the_exception(folder: Path, table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="row 0: get_y raised KeyError: 'lables'"):
        block(folder, get_y=lambda row: row["lables"]).datasets(table)


def test_the_error_for_a_misspelt_column_names_the_nearest_column(folder: Path, table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match="no column 'lables'. Did you mean 'labels'"):
        block(folder, get_y=ColReader("lables", label_delim=" ")).datasets(table)


def test_a_duplicate_or_missing_column_is_an_error(folder: Path, table: pd.DataFrame) -> None:
    twice = pd.concat([table, table[["labels"]]], axis=1)
    with pytest.raises(DataError, match="row 0: 2 columns are named 'labels'; give each a different name"):
        block(folder).datasets(twice)
    with pytest.raises(DataError, match="row 0: there is no column '9'.* Columns: 'fname', 'labels'"):
        block(folder, get_y=ColReader(9)).datasets(table)


@pytest.mark.parametrize("options", [{"pref": "images/"}, {"suff": ".png"}])
def test_an_empty_cell_where_a_prefix_or_suffix_needs_a_value_is_an_error(options: dict[str, str]) -> None:
    table = pd.DataFrame({"fname": ["a", None], "label": ["cat", "dog"]})
    reader = ColReader("fname", **options)
    message = "the cell in column 'fname' is empty, but `pref` or `suff` needs a value; fill it in or remove the row"
    with pytest.raises(DataError, match=message):
        reader(table.iloc[1])
    assert ColReader("fname")(table.iloc[1]) is None


def test_items_can_be_an_iterator(folder: Path) -> None:
    paths = sorted(folder.glob("*.png"))
    from_paths = block(folder, get_x=None, get_y=lambda path: [path.stem[-1]], splitter=IndexSplitter([20]))
    from_list, from_iterator = (from_paths.datasets(items) for items in (paths, iter(paths)))
    assert [y.tolist() for _, y in from_list.train] == [y.tolist() for _, y in from_iterator.train]
    assert from_list.fingerprint() == from_iterator.fingerprint()


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({"a", "b"}, "got set; give list"),
        ({"a": 1}, "got dict; give list"),
        (None, "got NoneType"),
        ("photos", "got 'photos'; `get_items` lists the files of a folder"),
        (Path("photos"), "got 'photos'; `get_items` lists the files of a folder"),
    ],
)
def test_items_that_cannot_be_indexed_are_an_error(items: object, message: str) -> None:
    with pytest.raises(DataError, match=f"^items must be a table, a list or an array, {message}"):
        DataBlock().datasets(items)


def test_an_empty_file_name_is_an_error_with_its_row(folder: Path, table: pd.DataFrame) -> None:
    without_name = table.assign(fname=[None, *table["fname"][1:]])
    with pytest.raises(DataError, match="row 0: the cell in column 'fname' is empty"):
        block(folder).datasets(without_name).train[0]


def test_a_source_without_items_is_an_error(folder: Path, table: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"no items were found in Empty DataFrame Columns: \[.*fname.*\] Index: \[\]$"):
        block(folder).datasets(table.iloc[:0])


@pytest.mark.parametrize(
    ("valid", "message"), [(True, "nothing to train on: all 24"), (False, "the validation set is empty: all 24")]
)
def test_a_split_with_an_empty_subset_is_an_error(folder: Path, table: pd.DataFrame, valid: bool, message: str) -> None:
    with pytest.raises(DataError, match=message):
        block(folder).dataloaders(table.assign(is_valid=valid))


def test_a_batch_larger_than_the_training_set_is_an_error_and_the_default_fits(
    folder: Path, table: pd.DataFrame
) -> None:
    with pytest.raises(DataError, match="batch of 64 images is larger than the training set of 18"):
        block(folder).dataloaders(table, bs=64)
    assert block(folder).dataloaders(table).bs == 18


def test_the_error_for_an_unknown_keyword_names_the_nearest_unlike_in_fastai(folder: Path, table: pd.DataFrame) -> None:
    with pytest.raises(TypeError, match="no keyword 'shufle'. Did you mean 'shuffle'"):
        block(folder).dataloaders(table, shufle=False)  # pyright: ignore[reportCallIssue]
    with pytest.raises(TypeError, match="no keyword 'item_tfm'. Did you mean 'item_tfms'"):
        DataBlock(item_tfm=Resize(32))  # pyright: ignore[reportCallIssue]


def test_blocks_that_are_not_an_input_and_a_target_are_refused() -> None:
    with pytest.raises(DataError, match="an input and a target"):
        DataBlock(blocks=(MultiCategoryBlock, ImageBlock))
    with pytest.raises(DataError, match="a block must be ImageBlock"):
        DataBlock(blocks=("image", "label"))


def test_new_copies_the_block_with_changes_unlike_in_fastai(folder: Path) -> None:
    first = block(folder, batch_tfms=aug_transforms(size=32))
    second = first.new(item_tfms=Resize(64))
    assert second is not first
    assert second.batch_tfms == first.batch_tfms
    assert first.item_tfms == Resize(32)


def test_the_summary_describes_one_sample_and_one_batch(
    folder: Path, table: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    block(folder, batch_tfms=aug_transforms(size=24)).summary(table)
    output = capsys.readouterr().out
    unlabelled = int((table[~table["is_valid"]]["labels"] == "").sum())
    for text in (
        "Found 24 items",
        "2 datasets of sizes 18,6",
        f"{unlabelled} training images have no label",
        "applying ImageBlock gives PILImage mode=RGB size=64x48",
        "one resampling, from 48x64 (height x width) to 24x24",
        "One batch: x 4x3x24x24 float32, y 4x3 float32",
    ):
        assert text in output


def test_the_summary_ends_at_an_error_with_its_remedy(
    folder: Path, table: pd.DataFrame, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = coloured_squares(tmp_path, 24, size=(40, 40))
    mixed = pd.concat([table[:1].assign(fname=str(folder / "000.png")), other[1:].assign(is_valid=False)])
    mixed["fname"] = [name if name.startswith("/") else str(tmp_path / name) for name in mixed["fname"]]
    block(folder, get_x=ColReader("fname"), item_tfms=None).summary(mixed)
    output = capsys.readouterr().out
    assert "Stopped here: images of different sizes" in output
    assert "Resize(224)" in output


def test_fitting_points_reads_only_one_target(folder: Path, table: pd.DataFrame) -> None:
    calls: list[str] = []

    def center(row: pd.Series) -> list[float]:
        calls.append(row["fname"])
        return [row["x"], row["y"]]  # pyright: ignore[reportReturnType]

    datasets = block(folder, blocks=(ImageBlock, PointBlock), get_y=center).datasets(table)
    assert len(calls) == 1
    assert datasets.train[1][1].shape == (1, 2)


def test_points_that_look_like_fractions_are_an_error_unless_in_pixels_is_set(
    folder: Path, table: pd.DataFrame
) -> None:
    def fractions(row: pd.Series) -> list[float]:
        return [row["x"] / 64, row["y"] / 48]  # pyright: ignore[reportReturnType]

    points = block(folder, blocks=(ImageBlock, PointBlock), get_y=fractions)
    points.datasets(table)
    with pytest.raises(
        DataError, match=r"look like fractions of the image, .* in an image of 64 x 48 pixels; multiply"
    ):
        points.dataloaders(table, bs=4)
    points.new(blocks=(ImageBlock, PointBlock(in_pixels=True))).dataloaders(table, bs=4)


def test_points_are_checked_even_if_some_images_are_unreadable(tmp_path: Path) -> None:
    table = coloured_squares(tmp_path, 8)
    (tmp_path / "000.png").write_bytes(b"")
    points = block(tmp_path, blocks=(ImageBlock, PointBlock), get_y=lambda _: [0.25, 0.75])
    with pytest.raises(DataError, match="look like fractions of the image"):
        points.dataloaders(table, bs=2, skip_bad=True)
    for item in (
        points.new(blocks=(ImageBlock, PointBlock(in_pixels=True))).dataloaders(table, bs=2, skip_bad=True).valid
    ):
        assert len(item) == 2


def test_the_error_for_an_image_with_another_number_of_points_names_its_row(folder: Path, table: pd.DataFrame) -> None:
    def one_or_two(row: pd.Series) -> list[list[float]]:
        return [[20.0, 20.0]] * (1 if str(row["fname"]) == "004.png" else 2)

    points = block(folder, blocks=(ImageBlock, PointBlock), get_y=one_or_two)
    with pytest.raises(DataError, match="row 4: this image has 1 point, the others have 2"):
        for _ in points.dataloaders(table, bs=4, num_workers=0).train:
            pass


def test_the_fingerprint_notices_another_image_under_the_same_name(tmp_path: Path) -> None:
    for i in range(6):
        PIL.Image.new("RGB", (8, 8)).save(tmp_path / f"{i}.png")
    (tmp_path / "t.csv").write_text("file,label\n" + "".join(f"{i}.png,{'ab'[i % 2]}\n" for i in range(6)))

    def fingerprints() -> tuple[str, str]:
        source = read_source(tmp_path / "t.csv")
        by_row = DataBlock(
            (ImageBlock, CategoryBlock),
            get_x=attrgetter("path"),
            get_y=attrgetter("target"),
            splitter=IndexSplitter([0, 1]),
        )
        by_path = DataBlock(
            (ImageBlock, CategoryBlock), get_y=lambda path: "ab"[int(path.stem) % 2], splitter=IndexSplitter([0, 1])
        )
        files = sorted(tmp_path.glob("*.png"))
        return by_row.datasets(source).fingerprint(), by_path.datasets(files).fingerprint()

    before = fingerprints()
    assert fingerprints() == before
    PIL.Image.new("RGB", (9, 8), "red").save(tmp_path / "3.png")
    larger = fingerprints()
    assert all(a != b for a, b in zip(before, larger, strict=True))
    content = (tmp_path / "3.png").read_bytes()
    (tmp_path / "3.png").write_bytes(content[:-1] + b"?")
    assert all(a != b for a, b in zip(larger, fingerprints(), strict=True)), "a file of the same size"


@pytest.mark.parametrize("second", ["img/a1.jpg", "./img/a1.jpg", Path("img/x/../a1.jpg")])
def test_an_image_that_is_listed_twice_cannot_be_for_training_and_for_validation(second: Any) -> None:
    block = DataBlock(blocks=(ImageBlock, CategoryBlock), get_y=lambda path: Path(path).name[0])
    paths = ["img/a1.jpg", "img/b1.jpg", "img/b2.jpg", second]
    message = r"^'img/a1.jpg' is listed twice, for training \(item 0\) and for validation \(item 3\); list each"
    with pytest.raises(DataError, match=message):
        block.new(splitter=IndexSplitter([3])).datasets(paths)
    assert len(block.new(splitter=IndexSplitter([2])).datasets(paths).train) == 3
    table = pd.DataFrame({"name": ["a1", "b1", "b2", "a1"], "label": list("abba")})
    rows = block.new(get_x=ColReader("name", pref="img/", suff=".jpg"), get_y=ColReader("label"))
    with pytest.raises(DataError, match=message):
        rows.new(splitter=IndexSplitter([3])).datasets(table)
    assert len(rows.new(splitter=IndexSplitter([2])).datasets(table).train) == 3
