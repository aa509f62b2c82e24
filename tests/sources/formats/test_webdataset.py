"""WebDataset: classes in .cls, labels in .json, shards of parts, and broken shards."""

import json
from pathlib import Path
from typing import Any

import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.headers import readable
from eyebright.sources.read import read_source
from support.containers import png, write_tar
from support.label_files import labels, parts


def shard(path: Path, values: dict[str, Any]) -> Path:
    """A shard with an image and a .cls (text or number) or .json member (anything else) for each key."""
    members: list[tuple[str, bytes]] = []
    for i, (key, value) in enumerate(values.items()):
        members.append((f"{key}.png", png(10 * i)))
        if isinstance(value, (str, int)):
            members.append((f"{key}.cls", str(value).encode()))
        elif value is not None:
            members.append((f"{key}.json", json.dumps(value).encode()))
    return write_tar(path, members)


def test_a_number_in_a_cls_member_is_the_class_and_shards_of_parts_are_the_split(tmp_path: Path) -> None:
    shard(tmp_path / "train-000000.tar", {"000": 0, "001": 1})
    shard(tmp_path / "train-000001.tar", {"002": 1})
    shard(tmp_path / "val-000000.tar", {"003": 0})
    source = read_source(tmp_path)
    assert source.kind == "category"
    assert labels(source) == {
        "train-000000.tar::000.png": "0",
        "train-000000.tar::001.png": "1",
        "train-000001.tar::002.png": "1",
        "val-000000.tar::003.png": "0",
    }
    assert list(parts(source).values()) == ["train", "train", "train", "valid"]


def test_the_images_of_a_shard_are_read_like_files(tmp_path: Path) -> None:
    source = readable(read_source(shard(tmp_path / "a.tar", {"x/1": 0, "x/2": 1})), skip_bad=False)
    assert source.sizes is not None
    assert source.sizes.tolist() == [[8, 8], [8, 8]]
    assert str(source[0].path) == f"{tmp_path}/a.tar::x/1.png"


def test_lists_in_a_json_member_are_labels_and_none_is_an_image_without_a_label(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", {"1": {"caption": "x", "tags": ["cat"]}, "2": {"tags": []}})
    source = read_source(path)
    assert labels(source) == {"a.tar::1.png": ["cat"], "a.tar::2.png": []}
    assert "labels are in the key 'tags' of the .json members" in source.messages


def test_a_text_in_a_json_member_is_a_class_and_labels_names_the_key(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", {"1": {"label": "x", "breed": "pug"}, "2": {"label": "y", "breed": "lab"}})
    assert labels(read_source(path, labels="breed")) == {"a.tar::1.png": "pug", "a.tar::2.png": "lab"}
    assert labels(read_source(path)) == {"a.tar::1.png": "x", "a.tar::2.png": "y"}


def test_a_sample_without_labels_is_left_out_and_said(tmp_path: Path) -> None:
    source = read_source(shard(tmp_path / "a.tar", {"1": 0, "2": None, "3": 1}))
    assert dict(source.left_out) == {"a.tar::2.png": "without labels"}
    assert len(source) == 2


def test_more_shards_than_other_label_files_are_all_read(tmp_path: Path) -> None:
    for i in range(25):
        shard(tmp_path / f"{i:06d}.tar", {f"{i}a": i % 2})
    assert len(read_source(tmp_path)) == 25


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ([("2.cls", b"1")], "the sample '2' has no image; one was expected"),
        ([("2.png", png()), ("2.jpg", png()), ("2.cls", b"1")], "the sample '2' has several images, '2.png', '2.jpg'"),
        ([("2.png", png()), ("2.cls", b"a b")], "'2.cls' holds 'a b'; one class was expected"),
        ([("2.png", png()), ("2.json", b"{")], "'2.json' is no JSON"),
        ([("2.png", png()), ("2.json", b"[1]")], r"'2.json' holds \[1\]; an object with the labels was expected"),
        (
            [("2.png", png()), ("2.json", b'{"x": 1}')],
            "no key of '2.json' is called 'labels' or 'class'; there are 'x'",
        ),
        ([("2.png", png()), ("2.json", b'{"labels": {}}')], r"'labels' of '2.json' is \{\}; a label, a number"),
        ([("2.png", png()), ("2.json", b'{"labels": [0.5]}')], r"'labels' of '2.json' is \[0.5\]; a label, a number"),
        ([("2.png", png()), ("2.cls", b"\xff")], "'2.cls' is no UTF-8 text"),
    ],
)
def test_a_broken_sample_is_an_error_that_names_it(
    tmp_path: Path, members: list[tuple[str, bytes]], message: str
) -> None:
    path = write_tar(tmp_path / "a.tar", [("1.png", png()), ("1.cls", b"0"), *members])
    with pytest.raises(TableError, match=message):
        read_source(path)


def test_a_shard_that_is_cut_off_a_missing_key_and_a_folder_of_images_are_errors(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", {"1": {"labels": ["cat"]}})
    with pytest.raises(TableError, match=r"'1.json' has no key 'label'. Did you mean 'labels'"):
        read_source(path, labels="label")
    with pytest.raises(InputError, match="the images of .* are in it; leave `images` out"):
        read_source(path, images=tmp_path)
    whole = shard(tmp_path / "b.tar", {"1": 0, "2": 1}).read_bytes()
    (tmp_path / "b.tar").write_bytes(whole[:2100])
    with pytest.raises(InputError, match="b.tar' is cut off after 2,048 bytes; copy or download it again"):
        read_source(tmp_path / "b.tar", format="webdataset")


def test_a_tar_file_of_something_else_is_not_taken_for_labels(tmp_path: Path) -> None:
    write_tar(tmp_path / "backup.tar", [("notes.txt", b"x"), ("a.png", png())])
    for name in ("cat", "dog"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(png())
    assert read_source(tmp_path).kind == "category"


@pytest.mark.parametrize(
    ("further", "said"),
    [
        (("1.PNG", png(90)), "the sample '1' has several images, '1.png', '1.PNG'"),
        (("1.CLS", b"1"), "the sample '1' has its labels twice, in '1.cls', '1.CLS'; keep one"),
    ],
)
def test_members_whose_names_differ_in_case_only_are_an_error_and_none_is_lost(
    further: tuple[str, bytes], said: str, tmp_path: Path
) -> None:
    path = write_tar(tmp_path / "a.tar", [("1.png", png(10)), ("1.cls", b"0"), further])
    with pytest.raises(TableError, match=said):
        read_source(path)


def test_rows_with_a_zero_or_one_for_each_label_are_an_error_and_not_the_labels_0_and_1(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", {"1": {"labels": [0, 1, 1]}, "2": {"labels": [1, 0, 0]}})
    with pytest.raises(TableError, match="hold 0 and 1 only, such as .0, 1, 1. of 'a.tar::1.png', which may be a row"):
        read_source(path)
    numbers = shard(tmp_path / "b.tar", {"1": {"labels": [0, 1]}, "2": {"labels": [2]}})
    assert labels(read_source(numbers)) == {"b.tar::1.png": ["0", "1"], "b.tar::2.png": ["2"]}


def test_true_and_false_are_no_names_of_labels(tmp_path: Path) -> None:
    path = shard(tmp_path / "a.tar", {"1": {"labels": [True, "cat"]}})
    with pytest.raises(TableError, match=r"'labels' of '1.json' is \[True, 'cat'\]; a label, a number of a class"):
        read_source(path)


@pytest.mark.parametrize("kept", [0, 700])
def test_a_shard_that_is_empty_or_cut_off_is_an_error_and_its_images_are_not_left_out(
    kept: int, tmp_path: Path
) -> None:
    shard(tmp_path / "train-0.tar", {"000": 0, "001": 1})
    cut = shard(tmp_path / "train-1.tar", {"002": 0, "003": 1})
    cut.write_bytes(cut.read_bytes()[:kept])
    with pytest.raises(InputError, match=r"train-1.tar' .*the other .tar files in its folder are WebDataset"):
        read_source(tmp_path)


def test_labels_in_json_beside_a_cls_member_are_said_and_can_be_asked_for(tmp_path: Path) -> None:
    members = [("1.png", png(1)), ("1.cls", b"3"), ("1.json", b'{"caption": "a cat", "label": "cat"}')]
    members += [("2.png", png(2)), ("2.cls", b"4"), ("2.json", b'{"caption": "a dog", "label": "dog"}')]
    path = write_tar(tmp_path / "a.tar", members)
    source = read_source(path)
    assert labels(source) == {"a.tar::1.png": "3", "a.tar::2.png": "4"}
    assert (
        "classes are those of the .cls members; the .json members have labels, too, in the key 'label' (such as "
        "'cat' of '1.json'), which are not used; `labels='label'` uses these"
    ) in source.messages
    asked = read_source(path, labels="label")
    assert labels(asked) == {"a.tar::1.png": "cat", "a.tar::2.png": "dog"}
    assert not any(".cls" in message for message in asked.messages)


def test_json_without_labels_beside_a_cls_member_is_no_matter(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "a.tar", [("1.png", png(1)), ("1.cls", b"3"), ("1.json", b'{"width": 8}'),
                                          ("2.png", png(2)), ("2.cls", b"4")])  # fmt: skip
    assert not any(".json" in message for message in read_source(path).messages)
