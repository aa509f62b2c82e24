"""`none_label`: a label that means that an image has none is no label."""

from pathlib import Path

import numpy as np
import pytest

from eyebright._all_but import AllBut
from eyebright.errors import InputError
from eyebright.sources.categorical import Categorical
from eyebright.sources.none_label import with_none_label
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.sources.text_table import strings
from eyebright.types import LabelSet
from support.label_files import images, labels, write_text

CELLS = "Image Index,Finding Labels\na.png,Edema|Mass\nb.png,No Finding\nc.png,No Finding|Mass\nd.png,Edema\n"
MEANS = "'No Finding' means that an image has no label, and is not a label itself: {}"
BOTH = "images with 'No Finding' and another label, which contradict each other; the other label is kept: {}"


def test_images_with_it_alone_have_no_label_and_contradictions_are_counted(tmp_path: Path) -> None:
    source = read_source(write_text(tmp_path / "t.csv", CELLS), none_label="No Finding")
    assert labels(source) == {"a.png": ["Edema", "Mass"], "b.png": [], "c.png": ["Mass"], "d.png": ["Edema"]}
    assert {MEANS.format("1 image"), BOTH.format(1)} <= set(source.messages)
    block = source.block()
    assert block.fit([block.read(row.target) for row in source]).label_names == ("Edema", "Mass")


def test_without_the_option_it_is_a_label_and_a_message_says_how_to_change_it(tmp_path: Path) -> None:
    source = read_source(write_text(tmp_path / "t.csv", CELLS))
    assert labels(source)["b.png"] == ["No Finding"]
    hint = "'No Finding' is taken for a label like the others; if it means that an image has none, "
    assert source.messages[-1] == f"{hint}`none_label='No Finding'` says so"
    assert not any("`none_label" in message for message in
                   read_source(tmp_path / "t.csv", none_label="No Finding").messages)  # fmt: skip


def test_a_class_that_is_called_so_is_a_class_without_a_message(tmp_path: Path) -> None:
    source = read_source(write_text(tmp_path / "t.csv", "file,label\na.jpg,cat\nb.jpg,none of these\nc.jpg,cat\n"))
    assert source.kind == "category"
    assert not any("none_label" in message for message in source.messages)


def test_a_column_of_0_and_1_that_is_called_so_is_no_label(tmp_path: Path) -> None:
    rows = "a.jpg,1,0,0\nb.jpg,0,1,1\nc.jpg,1,1,0\nd.jpg,0,0,0\ne.jpg,1,0,0\n"
    path = write_text(tmp_path / "t.csv", f"file,No Finding,Edema,Mass\n{rows}")
    source = read_source(path, none_label="No Finding")
    assert list(labels(source).values()) == [[], ["Edema", "Mass"], ["Edema"], [], []]
    assert {MEANS.format("2 images"), BOTH.format(1)} <= set(source.messages)


def test_columns_with_exactly_one_1_are_labels_if_one_of_them_means_none(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "file,No Finding,Edema,Mass\na.jpg,1,0,0\nb.jpg,0,1,0\nc.jpg,0,0,1\n")
    assert read_source(path).kind == "category"
    source = read_source(path, none_label="No Finding")
    assert (source.kind, labels(source)) == ("multicategory", {"a.jpg": [], "b.jpg": ["Edema"], "c.jpg": ["Mass"]})
    assert source.messages[-1] == "images have any number of labels, since some have none"


def test_a_folder_of_such_images_has_no_label(tmp_path: Path) -> None:
    source = read_source(images(tmp_path, "none/1.png", "cat/2.png", "dog/3.png"), none_label="none")
    assert labels(source) == {"none/1.png": [], "cat/2.png": ["cat"], "dog/3.png": ["dog"]}


def test_other_labels_that_are_unknown_are_no_where_it_is_yes_and_stay_unknown_elsewhere(tmp_path: Path) -> None:
    head = "Path,Sex,Age,Frontal/Lateral,AP/PA,No Finding,Edema,Mass\n"
    rows = (
        "a.png,F,4,Frontal,AP,1,,\nb.png,F,4,Frontal,AP,,1,-1\nc.png,F,4,Frontal,AP,1,,1\nd.png,F,4,Frontal,AP,0,0,\n"
    )
    images(tmp_path, *(f"{name}.png" for name in "abcd"))
    path = write_text(tmp_path / "t.csv", head + rows)
    source = read_source(path, none_label="No Finding")
    assert list(labels(source).values()) == [[], ["Edema", "Mass?"], ["Edema?", "Mass"], ["Mass?"]]
    assert "images with 'No Finding' whose other labels were unknown, and are now no: 1" in source.messages


def test_of_all_labels_but_some_it_is_left_out_without_a_copy(tmp_path: Path) -> None:
    vocabulary = frozenset({"none", *(f"label {i}" for i in range(300))})
    sets = (LabelSet(["label 1"], unknown=AllBut(vocabulary, ["label 1"])), LabelSet(["none"]))
    targets = Categorical(sets, np.array([0, 1], dtype=np.int32))
    source = with_none_label(Source("multicategory", tmp_path, strings(["a.jpg", "b.jpg"]), targets), "none")
    assert isinstance(source.targets, Categorical)
    first, second = source.targets
    assert isinstance(first.unknown, AllBut)
    assert first.unknown == vocabulary - {"none", "label 1"}
    assert second == LabelSet()


def test_a_label_that_is_declared_and_on_no_image_is_left_out_too(tmp_path: Path) -> None:
    path = write_text(tmp_path / "t.csv", "file,No Finding,Edema,Mass\na.jpg,0,1,1\nb.jpg,0,1,0\n")
    source = read_source(path, none_label="No Finding")
    assert source.unused == ()
    assert MEANS.format("0 images") in source.messages


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        (CELLS, {"none_label": "No finding"}, "`none_label='No finding'`: unknown label. Did you mean 'No Fi"),
        (CELLS, {"none_label": ""}, "`none_label=''`: unknown label"),
        ("file,labels\na.jpg,none\nb.jpg,none\n", {"none_label": "none"}, "'none'` is the only label; an image with"),
        (
            "file,x1,y1\na.jpg,1,2\n",
            {"none_label": "none"},
            "any number of labels for each image, and these have points",
        ),
        ("file,a\n1.jpg,0.5\n", {"none_label": "none"}, "labels for each image, and these have numbers; leave it out"),
        ("file,label\na.jpg,x\nb.jpg,y\n", {"none_label": "x", "kind": "class"}, "and these have one class for each"),
        ("file,stars\na.jpg,1\nb.jpg,2\n", {"none_label": "1", "kind": "ratings"}, "and these have one class for each"),
    ],
)
def test_what_cannot_mean_none_is_an_error(text: str, options: dict[str, str], said: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=said):
        read_source(write_text(tmp_path / "t.csv", text), **options)  # pyright: ignore[reportArgumentType]


def test_a_run_is_repeated_with_the_same_label(tmp_path: Path) -> None:
    source = read_source(write_text(tmp_path / "t.csv", CELLS), none_label="No Finding")
    assert source.read_options["none_label"] == "No Finding"
    assert labels(read_source(**source.read_options)) == labels(source)


UNKNOWN = "where the {} of an image {} unknown, write ? in a table, or leave the image out"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("file,class\na.jpg,cat\nb.jpg,NA\nc.jpg,dog\n", "'NA' is taken for a class like the others; "),
        (
            "file,class\na.jpg,cat\nb.jpg,-\nc.jpg,None\nd.jpg,dog\n",
            "'-', 'None' are taken for classes like the others; ",
        ),
        ("file,labels\na.jpg,cat dog\nb.jpg,Unknown\nc.jpg,dog\n", "'Unknown' is taken for a label like the others; "),
    ],
)
def test_a_label_that_may_mean_unknown_stays_one_with_a_message(tmp_path: Path, text: str, hint: str) -> None:
    source = read_source(write_text(tmp_path / "t.csv", text))
    of_class = source.kind == "category"
    assert hint + UNKNOWN.format(*(("class", "is") if of_class else ("labels", "are"))) in source.messages


@pytest.mark.parametrize("cell", ["?", "nanny", "nail", "unknown fish"])
def test_a_cell_that_is_known_or_marked_as_unknown_has_no_such_message(tmp_path: Path, cell: str) -> None:
    source = read_source(write_text(tmp_path / "t.csv", f"file,class\na.jpg,cat\nb.jpg,{cell}\nc.jpg,dog\n"))
    assert source.kind == "category"
    assert not any("like the others" in message for message in source.messages)
