"""Which format a file or a folder has: found by looking inside, said, and an error where two are equally likely."""

from pathlib import Path
from typing import Any

import pytest

from eyebright.errors import InputError
from eyebright.sources.read import read_source
from eyebright.sources.recognise import recognise
from eyebright.sources.registry import FORMATS, format_named
from support.label_files import images, labels, parts, write_json, write_text

COCO = {
    "images": [{"id": 1, "file_name": "a.jpg"}],
    "annotations": [{"image_id": 1, "category_id": 7}],
    "categories": [{"id": 7, "name": "cat"}],
}


def coco(*files: str) -> dict[str, Any]:
    return COCO | {
        "images": [{"id": i, "file_name": file} for i, file in enumerate(files)],
        "annotations": [{"image_id": i, "category_id": 7} for i in range(len(files))],
    }


def test_each_format_has_a_name_of_its_own_and_recognises_something() -> None:
    assert len({each.name for each in FORMATS}) == len(FORMATS)
    asked_for = [each.name for each in FORMATS if not each.recognises_file and not each.recognises_folder]
    assert asked_for == ["names"]  # with `pattern` alone


def test_the_format_of_a_file_is_found_whatever_its_extension(tmp_path: Path) -> None:
    images(tmp_path, "a.jpg", "b.jpg")
    assert recognise(write_json(tmp_path / "x.txt", COCO)).format.name == "coco"
    assert recognise(write_text(tmp_path / "x.dat", "file,label\na.jpg,cat\n")).format.name == "table"


def test_a_folder_holds_the_files_of_one_format_beside_its_images(tmp_path: Path) -> None:
    root = images(tmp_path, "images/a.jpg", "images/b.jpg")
    write_json(root / "annotations" / "instances.json", COCO)
    write_text(root / "README.txt", "a, b\nc\n")
    source = read_source(root)
    assert labels(source) == {"images/a.jpg": ["cat"]}
    assert source.messages[0] == "'instances.json' is read as COCO"


def test_files_named_after_parts_are_the_split(tmp_path: Path) -> None:
    root = images(tmp_path, *(f"photos/{name}.jpg" for name in "abc"))
    for name, file in (("train2017", "a"), ("val2017", "b"), ("test", "c")):
        write_json(root / "annotations" / f"instances_{name}.json", coco(f"{file}.jpg"))
    source = read_source(root)
    assert parts(source) == {"photos/a.jpg": "train", "photos/b.jpg": "valid", "photos/c.jpg": "test"}
    assert "the names of files or folders give the split: train 1, valid 1, test 1" in source.messages


def test_folders_named_after_parts_are_the_split_and_equal_names_in_them_are_different_images(tmp_path: Path) -> None:
    root = images(tmp_path, "train/a.jpg", "valid/a.jpg")
    for part in ("train", "valid"):
        write_json(root / part / "_annotations.coco.json", coco("a.jpg"))
    assert parts(read_source(root)) == {"train/a.jpg": "train", "valid/a.jpg": "valid"}


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("instances.json", "keypoints.json"), "several label files, 'instances.json', 'keypoints.json'; give the one"),
        (("x.json", "x_train.json"), r"only some are named after a part \(train, valid, test\)"),
    ],
)
def test_label_files_that_do_not_belong_together_are_an_error(
    names: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    root = images(tmp_path, "a.jpg")
    for name in names:
        write_json(root / name, COCO)
    with pytest.raises(InputError, match=said):
        read_source(root)


def test_two_readings_that_are_equally_good_are_an_error_that_shows_both(tmp_path: Path) -> None:
    root = images(tmp_path, "cat/a.jpg", "dog/b.jpg")
    write_text(root / "labels.csv", "file,label\ncat/a.jpg,old\ndog/b.jpg,new\n")
    with pytest.raises(InputError, match=r"in 2 ways: 'labels.csv' as a table \(`format='table'`\); or class folders"):
        read_source(root)
    assert labels(read_source(root, format="table")) == {"cat/a.jpg": "old", "dog/b.jpg": "new"}
    assert labels(read_source(root, format="folders")) == {"cat/a.jpg": "cat", "dog/b.jpg": "dog"}


def test_a_format_that_says_more_is_taken_before_class_folders_and_tables(tmp_path: Path) -> None:
    root = images(tmp_path, "left/a.jpg", "right/b.jpg")
    write_text(root / "sizes.csv", "file,width\na.jpg,8\n")
    write_json(root / "x.json", coco("a.jpg", "b.jpg"))
    assert labels(read_source(root)) == {"left/a.jpg": ["cat"], "right/b.jpg": ["cat"]}
    assert set(labels(read_source(root, format="folders")).values()) == {"left", "right"}


def test_a_format_that_is_not_known_says_what_the_file_looks_like_and_what_is_known(tmp_path: Path) -> None:
    for value, looks_like in (
        ({"a": 1, "b": []}, "a JSON object with the keys 'a', 'b'"),
        ([{"c": 1}], "a JSON list of objects with the keys 'c'"),
        ([], "a JSON list"),
    ):
        path = write_json(tmp_path / "x.json", value)
        with pytest.raises(
            InputError, match=rf"x.json' looks like {looks_like}, which is not a known format.* coco \(JSON with"
        ):
            read_source(path)
    with pytest.raises(InputError, match="looks like XML of 'svg', which is not a known format"):
        read_source(write_text(tmp_path / "x.xml", '<?xml version="1.0"?><!-- a --><svg></svg>'))


def test_the_file_of_one_image_leads_to_its_folder(tmp_path: Path) -> None:
    content = {"shapes": [{"label": "cup", "points": [[1, 2]]}], "flags": {}, "imagePath": "a.jpg"}
    path = write_json(images(tmp_path, "a.jpg") / "a.json", content)
    with pytest.raises(InputError, match=f"a.json' belongs to one image of LabelMe; give its folder, '{tmp_path}'"):
        read_source(path)


def test_the_format_that_is_asked_for_is_read_or_an_error(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg")
    with pytest.raises(InputError, match="there is no `format='cocoa'`. Did you mean 'coco'"):
        read_source(root, format="cocoa")
    with pytest.raises(
        InputError, match="has no file of `format='coco'`: JSON with 'images', .*; give the file itself"
    ):
        read_source(root, format="coco")
    assert format_named("coco").title == "COCO"


def test_an_option_that_the_format_does_not_take_is_an_error(tmp_path: Path) -> None:
    path = write_json(images(tmp_path, "a.jpg") / "x.json", COCO)
    with pytest.raises(InputError, match="is COCO, which has no use for `delimiter`; leave it out"):
        read_source(path, delimiter=";")


def test_a_file_for_each_image_is_not_looked_at_as_a_label_file(tmp_path: Path) -> None:
    root = images(tmp_path, "cat/a.jpg", "dog/b.jpg")
    write_text(root / "cat" / "a.json", "{")
    for i in range(30):
        write_json(root / "dog" / f"{i}.json", COCO)
    assert recognise(root).format.name == "folders"


def test_how_a_source_was_read_reads_it_again(tmp_path: Path) -> None:
    path = write_json(images(tmp_path, "a.jpg") / "x.json", COCO)
    source = read_source(path, format="coco")
    assert read_source(**source.read_options).messages == source.messages


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "is empty"), (b" \n", "is empty"), (b"\x1f\x8b\x08\x00", "is compressed"), (b"\x00\x01", "is not JSON")],
)
def test_a_damaged_label_file_beside_others_is_an_error_and_its_images_are_not_left_out(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    root = images(tmp_path, *(f"photos/{name}.jpg" for name in "ab"))
    write_json(root / "train.json", coco("a.jpg"))
    (root / "valid.json").write_bytes(content)
    with pytest.raises(InputError, match=f"valid.json' {problem}, and the other .json files in its folder are COCO"):
        read_source(root)


def test_a_label_file_of_another_kind_beside_those_that_are_read_is_said(tmp_path: Path) -> None:
    root = images(tmp_path, *(f"photos/{name}.jpg" for name in "ab"))
    write_json(root / "train.json", coco("a.jpg"))
    write_json(root / "valid.json", {"pictures": []})
    said = "label files that are not read, since they are not COCO: 'valid.json'"
    assert said in read_source(root).messages
    assert said in read_source(root, format="coco").messages
    (root / "valid.json").rename(root / "photos" / "valid.json")
    assert said not in read_source(root).messages  # beside images it may be anything


def test_many_label_files_in_a_folder_are_said_and_read_where_their_format_is_named(tmp_path: Path) -> None:
    for i in range(21):
        images(tmp_path, f"cat/{i}c.jpg", f"dog/{i}d.jpg")
        write_text(tmp_path / f"part{i:02}.csv", f"file,labels\ncat/{i}c.jpg,x y\ndog/{i}d.jpg,y\n")
    source = read_source(tmp_path)
    assert source.kind == "category"
    assert any("files that are not read, since so many" in said and "21 .csv" in said for said in source.messages)
    assert "part00.csv" in next(said for said in source.messages if "so many" in said)
    asked = read_source(tmp_path, format="table")
    assert (len(asked), asked.kind) == (42, "multicategory")
    assert not any("so many" in said for said in asked.messages)


def test_a_file_with_the_whole_name_of_its_image_is_no_label_file(tmp_path: Path) -> None:
    for i in range(21):
        images(tmp_path, f"cat/{i}c.jpg", f"dog/{i}d.jpg")
        write_json(tmp_path / "cat" / f"{i}c.jpg.json", coco(f"{i}c.jpg"))
    assert not any("so many" in said for said in read_source(tmp_path).messages)
    for i in range(2, 21):
        (tmp_path / "cat" / f"{i}c.jpg.json").unlink()
    assert recognise(tmp_path).format.name == "folders"


def test_of_a_file_for_each_image_only_a_few_are_read_to_recognise_a_format_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(30):
        images(tmp_path, f"images/{i}.jpg")
        write_text(tmp_path / "labels" / f"{i}.txt", "0 0.5 0.5 1 1\n")
    write_text(tmp_path / "classes.txt", "cat\n")
    opened: list[Path] = []
    open_file = Path.open

    def opened_and_counted(path: Path, *args: Any, **kwargs: Any) -> Any:
        opened.append(path)
        return open_file(path, *args, **kwargs)

    monkeypatch.setattr(Path, "open", opened_and_counted)
    assert recognise(tmp_path, format_named("yolo")).format.name == "yolo"
    assert len(opened) < 5


def test_messages_of_many_label_files_are_counted_and_a_few_files_are_named(tmp_path: Path) -> None:
    for i in range(25):
        images(tmp_path, f"photos/{i}.jpg")
        write_json(tmp_path / f"batch{i:02}.json", coco(f"{i}.jpg"))
    said = read_source(tmp_path, format="coco").messages
    few = "'batch00.json', 'batch01.json', 'batch02.json', ... (25 in all)"
    assert said[0] == f"{few} are read as COCO"
    assert f"25 label files ({few}) have a message like that of the first: any number of labels" in said[1]
    assert len(said) == 3


def test_several_messages_of_one_kind_in_few_files_are_all_said(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg", "b.jpg")
    names = ["Cat", "cat", "Dog", "dog"]
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    every = {"annotations": [{"image_id": 0, "category_id": number} for number in range(4)], "categories": categories}
    for part, image in (("train", "a.jpg"), ("valid", "b.jpg")):
        write_json(root / f"{part}.json", coco(image) | every)
    said = read_source(root).messages
    assert not any("like that of the first" in message for message in said)
    for part in ("train", "valid"):
        for name in ("'Cat', 'cat'", "'Dog', 'dog'"):
            assert any(message.startswith(f"{part}.json: ") and name in message for message in said), (part, name)


def test_a_label_that_only_images_of_another_file_have_is_not_said_to_have_no_image(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg", "b.jpg")
    categories = [{"id": 7, "name": "cat"}, {"id": 8, "name": "dog"}, {"id": 9, "name": "cow"}]
    write_json(root / "train.json", coco("a.jpg") | {"categories": categories})
    dogs = {"annotations": [{"image_id": 0, "category_id": 8}], "categories": categories}
    write_json(root / "valid.json", coco("b.jpg") | dogs)
    without_image = [said for said in read_source(root).messages if "no image has" in said]
    assert without_image == ["labels that no image has, which cannot be learnt: 'cow'"]


def test_a_file_for_each_image_is_no_label_file_that_is_missing(tmp_path: Path) -> None:
    for i in range(21):
        images(tmp_path, f"cat/{i}c.jpg", f"dog/{i}d.jpg")
        write_text(tmp_path / "captions" / f"{i}c.txt", "a cat")
    assert not any("so many" in said for said in read_source(tmp_path).messages)
