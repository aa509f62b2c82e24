"""The parts of images from a table of their own."""

from pathlib import Path

import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from support.label_files import images, parts, write_text


def labels_csv(root: Path, text: str = "file,labels\na.png,cat\nb.png,dog\nc.png,cat\n") -> Path:
    images(root, "a.png", "b.png", "c.png")
    return write_text(root / "labels.csv", text)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("split.csv", "file,split,group,why\na.png,train,,x\nb.png,valid,,x\nc.png,test,,x\n"),
        ("parts.csv", "image,which\nc,test\nb,val\na,training\n"),
        ("parts.txt", "a.png train\nb.png val\nc.png test\n"),
        ("list_eval_partition.csv", "image_id,partition\na.png,0\nb.png,1\nc.png,2\n"),
        ("list_eval_partition.txt", "a.png 0\nb.png 1\nc.png 2\n"),
    ],
)
def test_a_table_gives_the_part_of_each_image_in_any_order(tmp_path: Path, name: str, text: str) -> None:
    source = read_source(labels_csv(tmp_path), split=str(write_text(tmp_path / "x" / name, text)))
    assert parts(source) == {"a.png": "train", "b.png": "valid", "c.png": "test"}
    assert f"'{name}' gives the split: train 1, valid 1, test 1" in source.messages
    assert source.read_options["split"] == str((tmp_path / "x" / name).resolve())


def test_it_takes_the_place_of_the_parts_of_the_data_and_suits_folders_too(tmp_path: Path) -> None:
    path = labels_csv(tmp_path / "x", "file,labels,split\na.png,cat,train\nb.png,dog,valid\nc.png,cat,valid\n")
    split = write_text(tmp_path / "split.csv", "file,split\na.png,valid\nb.png,train\nc.png,train\n")
    assert list(parts(read_source(path, split=str(split))).values()) == ["valid", "train", "train"]
    images(tmp_path / "y", "train/cat/a.png", "valid/dog/b.png", "train/dog/c.png")
    assert parts(read_source(tmp_path / "y", split=str(split))) == {
        "train/cat/a.png": "valid",
        "train/dog/c.png": "train",
        "valid/dog/b.png": "train",
    }


def test_rows_of_images_that_the_data_do_not_have_are_said(tmp_path: Path) -> None:
    split = write_text(
        tmp_path / "s.csv", "file,split\na.png,train\nb.png,valid\nc.png,train\ne.png,test\nd.png,test\n"
    )
    source = read_source(labels_csv(tmp_path), split=str(split))
    assert "rows of 's.csv' whose images are not in the data: 2 ('d.png')" in source.messages


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,split\na.png,train\nb.png,valid\n", "there is no row for 'c.png', one of 1 images without a part; add"),
        (
            "file,split\na.png,train\nb.png,maybe\n",
            "line 3: 'maybe' in column 'split'; train, valid or test was expected",
        ),
        ("file,which\na.png,0\nb.png,1\nc.png,2\n", "line 2: '0' in column 'which'; train, valid or test was expected"),
        ("file,split\na.png,train\na.png,valid\n", "line 3: image 'a.png' is for valid, and for train in another row"),
        (
            "file,x,y\na.png,train,1\n",
            "no column specifies which images are for training: there are 'x', 'y'; call one",
        ),
    ],
)
def test_a_broken_table_of_parts_is_an_error(tmp_path: Path, text: str, message: str) -> None:
    path = labels_csv(tmp_path)
    with pytest.raises(TableError, match=f"split.csv'.*{message}"):
        read_source(path, split=str(write_text(tmp_path / "x" / "split.csv", text)))


def test_numbers_of_celeba_are_0_1_and_2_only(tmp_path: Path) -> None:
    split = write_text(tmp_path / "x" / "list_eval_partition.txt", "a.png 0\nb.png 3\n")
    with pytest.raises(TableError, match="line 2: '3' in column 'class'; 0, 1 or 2 was expected"):
        read_source(labels_csv(tmp_path), split=str(split))


def test_a_fold_of_the_table_validates_and_parts_in_it_stay(tmp_path: Path) -> None:
    split = write_text(tmp_path / "x" / "folds.csv", "file,fold\na.png,0\nb.png,1\nc.png,test\n")
    source = read_source(labels_csv(tmp_path), split=str(split), valid_fold=1)
    assert parts(source) == {"a.png": "train", "b.png": "valid", "c.png": "test"}


def test_names_with_spaces_at_their_ends_are_found(tmp_path: Path) -> None:
    images(tmp_path / "y", "cat/ a.png", "cat/b.png", "dog/c.png", "dog/ d.png")
    text = "file,split\ncat/ a.png,train\ncat/b.png,valid\ndog/c.png,train\ndog/ d.png,valid\n"
    source = read_source(tmp_path / "y", split=str(write_text(tmp_path / "split.csv", text)))
    assert list(parts(source).values()) == ["train", "valid", "valid", "train"]


@pytest.mark.parametrize(
    ("fold", "message"),
    [
        (
            None,
            "line 2: '0' in column 'fold'; train, valid or test was expected; if it is the number of a fold, `valid_f",
        ),
        (2, "there is no fold 2, which `valid_fold` names; column 'fold' has the folds '0', '1'"),
    ],
)
def test_folds_need_the_one_that_validates(tmp_path: Path, fold: int | None, message: str) -> None:
    split = write_text(tmp_path / "x" / "folds.csv", "file,fold\na.png,0\nb.png,1\nc.png,1\n")
    with pytest.raises(TableError, match=message):
        read_source(labels_csv(tmp_path), split=str(split), valid_fold=fold)


def test_a_fold_of_a_table_without_folds_is_an_error(tmp_path: Path) -> None:
    split = write_text(tmp_path / "x" / "split.csv", "file,split\na.png,train\nb.png,valid\nc.png,train\n")
    with pytest.raises(TableError, match="there is no fold 0, .*; column 'split' numbers no folds"):
        read_source(labels_csv(tmp_path), split=str(split), valid_fold=0)
    with pytest.raises(InputError, match="`valid_fold` needs `split`, the column or the table that numbers the folds"):
        read_source(labels_csv(tmp_path), valid_fold=0)
