"""YOLO: names in both spellings, parts, empty and missing text files, and broken rows."""

from pathlib import Path

import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from eyebright.sources.simple_yaml import read_simple_yaml
from support.label_files import images, labels, parts, write_text

ROW = "0.5 0.5 0.1 0.1"
LIST = (
    "path: ../datasets/shop  # elsewhere\ntrain: images/train\nval: images/val\nnc: 3\nnames: ['cat', 'dog', \"c,w\"]\n"
)
MAPPING = "train: images/train\nval: [images/val]\n\n# classes\nnames:\n  0: cat\n  1: dog\n  2: 'c,w'\n"


def yolo(root: Path, yaml: str = LIST) -> Path:
    images(root, "images/train/a.jpg", "images/train/b.png", "images/val/a.jpg")
    write_text(root / "labels" / "train" / "a.txt", f"0 {ROW}\n2 0.1 0.2 0.3 0.4 0.5 0.6 0.7\n0 {ROW}\n")
    write_text(root / "labels" / "val" / "a.txt", "")
    write_text(root / "data.yaml", yaml)
    return root


@pytest.mark.parametrize("yaml", [LIST, MAPPING, LIST.replace("['cat', 'dog', \"c,w\"]", "[cat,\n  dog, 'c,w'\n]")])
def test_classes_are_named_in_the_yaml_and_images_without_objects_have_no_label(yaml: str, tmp_path: Path) -> None:
    for path in (yolo(tmp_path, yaml), tmp_path / "data.yaml"):
        source = read_source(path)
        assert labels(source) == {
            "images/train/a.jpg": ["c,w", "cat"],
            "images/train/b.png": [],
            "images/val/a.jpg": [],
        }
        assert list(parts(source).values()) == ["train", "train", "valid"]
        assert source.unused == ("dog",)
        assert "images without a text file, which have no object: 1" in source.messages


def test_the_layout_of_roboflow_has_the_parts_outside_and_paths_that_lead_up(tmp_path: Path) -> None:
    root = images(tmp_path, "train/images/a.jpg", "valid/images/b.jpg")
    write_text(root / "train" / "labels" / "a.txt", f"1 {ROW}\n")
    write_text(root / "valid" / "labels" / "b.txt", f"0 {ROW}\n")
    write_text(root / "data.yaml", "train: ../train/images\nval: ../valid/images\nnames:\n- cat\n- dog\n")
    source = read_source(root)
    assert labels(source) == {"train/images/a.jpg": ["dog"], "valid/images/b.jpg": ["cat"]}
    assert list(parts(source).values()) == ["train", "valid"]


def test_text_files_beside_images_are_read_with_names_or_by_number(tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg", "b.jpg")
    write_text(root / "a.txt", f"1 {ROW}\n")
    source = read_source(root)
    assert labels(source) == {"a.jpg": ["1"], "b.jpg": []}
    assert "no file has names of the classes, so they are named by their numbers" in source.messages
    write_text(root / "classes.txt", "cat\ndog\n")
    assert labels(read_source(root)) == {"a.jpg": ["dog"], "b.jpg": []}


def test_a_part_may_be_a_list_of_images(tmp_path: Path) -> None:
    root = yolo(tmp_path, LIST.replace("train: images/train", "train: train.txt"))
    write_text(root / "train.txt", "./images/train/b.png\n../shop/images/train/a.jpg\n")
    assert list(labels(read_source(root))) == ["images/train/a.jpg", "images/train/b.png", "images/val/a.jpg"]
    images(tmp_path.parent, "secret.jpg")
    write_text(root / "train.txt", "../secret.jpg\n")
    with pytest.raises(
        TableError, match="'../secret.jpg' is outside of the folder of the data; copy the image into it"
    ):
        read_source(root)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (f"3 {ROW}", r"a.txt' line 1: class 3 has no name; there are 3 names"),
        (f"cat {ROW}", r"a.txt' line 1: the number of a class and numbers were expected, got 'cat 0.5"),
        ("0 0.5 x", "the number of a class and numbers were expected"),
        (f"0 {ROW}\n1 0.5", "a.txt' line 2: a class and at least four numbers were expected, got '1 0.5'; is the"),
        (f"0 {ROW}\n1", "a.txt' line 2: a class and at least four numbers were expected, got '1'"),
    ],
)
def test_a_broken_row_is_an_error_with_its_place(row: str, said: str, tmp_path: Path) -> None:
    write_text(yolo(tmp_path) / "labels" / "train" / "a.txt", row)
    with pytest.raises(TableError, match=said):
        read_source(tmp_path)


@pytest.mark.parametrize(
    ("yaml", "said"),
    [
        (f"train: {'9' * 300}\nnames: [cat]\n", "'train' is '999.*', and there is no such folder in"),
        ("train: images/gone\nnames: [cat]\n", "'train' is 'images/gone', and there is no such folder in"),
        ("train: images/train\nval: images/val\nnames: cat\n", "'names' is a list of the classes, or their names"),
        ("train: images/train\nnames: [cat\n", r"line 2: '\[' is not closed"),
        ("train: images/train\nval: images/train\nnames: [cat, a, b]\n", "is in 'val' and in another part"),
        ("train: images/train\nnames: {0: cat, dog}\n", "keys and values such as {0: cat, 1: dog} were expected"),
        ("train: images/train\nnames:\n  cat\n", "line 3: a key and a value such as '0: cat' were expected"),
    ],
)
def test_a_broken_yaml_is_an_error_with_its_place(yaml: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=said):
        read_source(yolo(tmp_path, yaml))


def test_several_yaml_files_are_an_error(tmp_path: Path) -> None:
    write_text(yolo(tmp_path) / "other.yaml", LIST)
    with pytest.raises(InputError, match="has several YAML files, 'data.yaml', 'other.yaml'; give the one"):
        read_source(tmp_path)


def test_a_list_of_images_cannot_lead_out_of_the_folder(tmp_path: Path) -> None:
    root = yolo(tmp_path / "data", LIST.replace("train: images/train", "train: /etc"))
    with pytest.raises(TableError, match="'train' is '/etc', and there is no such folder in"):
        read_source(root)


def test_yaml_with_comments_quotes_and_nested_keys_is_read(tmp_path: Path) -> None:
    text = '---\na: \'x # y\'  # comment\n"b": {0: u, 1: "v, w"}\nc:\n  k: 1\n  deep:\n    inner: 2\nd:\ne:\n'
    text += " - one\n - 'two'\n"
    assert read_simple_yaml(write_text(tmp_path / "x.yaml", text)) == {
        "a": "x # y",
        "b": {"0": "u", "1": "v, w"},
        "c": {"k": "1", "deep": ""},
        "d": "",
        "e": ["one", "two"],
    }
    with pytest.raises(TableError, match="line 1: a key and a value such as 'names"):
        read_simple_yaml(write_text(tmp_path / "x.yaml", "- a\n"))


def test_a_yaml_without_folders_names_the_classes_and_says_how_the_images_are_found(tmp_path: Path) -> None:
    root = yolo(tmp_path, "nc: 3\nnames: [cat, dog, fox]\n")
    for path in (root, root / "data.yaml"):
        source = read_source(path)
        assert labels(source)["images/train/a.jpg"] == ["cat", "fox"]
        assert list(parts(source).values()) == ["train", "train", "valid"]
        assert any(message.startswith("'data.yaml' has no entry 'train'") for message in source.messages)
        assert not any("no file has names" in message for message in source.messages)


def test_an_entry_without_a_folder_is_said_to_be_empty(tmp_path: Path) -> None:
    root = yolo(tmp_path, "names: [cat, dog, fox]\ntrain:\nval: ''\n")
    said = next(message for message in read_source(root).messages if message.startswith("'data.yaml' has"))
    assert said.startswith("'data.yaml' has only empty entries 'train', 'val' for folders of images, so all images")


def test_one_entry_without_a_folder_is_said_in_the_singular(tmp_path: Path) -> None:
    said = read_source(yolo(tmp_path, "names: [cat, dog, fox]\ntrain:\n")).messages
    assert any(message.startswith("'data.yaml' has only an empty entry 'train' for") for message in said)


def test_a_yaml_that_names_only_images_for_testing_is_followed(tmp_path: Path) -> None:
    source = read_source(yolo(tmp_path, "test: images/train\nnames: [cat, dog, fox]\n"))
    assert parts(source) == {"images/train/a.jpg": "test", "images/train/b.png": "test"}


def test_settings_of_another_program_beside_class_folders_are_no_yolo(tmp_path: Path) -> None:
    images(tmp_path, "cat/a.jpg", "dog/b.jpg")
    write_text(tmp_path / "config.yaml", "names: [cat, dog]\n")
    assert labels(read_source(tmp_path)) == {"cat/a.jpg": "cat", "dog/b.jpg": "dog"}


def test_a_text_file_without_an_image_may_lie_beside_a_root_below_a_folder_images(tmp_path: Path) -> None:
    root = images(tmp_path, "images/set/a.png", "images/set/b.png") / "images" / "set"
    write_text(root / "data.yaml", "names: [cat, dog]\n")
    for name in ("a", "b", "z"):
        write_text(tmp_path / "labels" / "set" / f"{name}.txt", f"0 {ROW}\n")
    said = "text files of objects that belong to none of the images, which are ignored: 1 ('../../labels/set/z.txt')"
    assert said in read_source(root, format="yolo").messages


def test_text_files_without_an_image_and_classes_of_one_name_have_a_message(tmp_path: Path) -> None:
    root = yolo(tmp_path, LIST.replace("'dog'", "'cat'"))
    for name in ("z.txt", "y.TXT", "classes.txt", "notes.txt"):
        write_text(root / "labels" / "train" / name, "a note\n" if name == "notes.txt" else f"0 {ROW}\n")
    messages = read_source(root).messages
    assert "classes of one name, which are one label: 'cat' (0, 1)" in messages
    said = "text files of objects that belong to none of the images, which are ignored: 2 ('labels/train/y.TXT')"
    assert said in messages


def test_another_number_of_classes_than_names_has_a_message(tmp_path: Path) -> None:
    source = read_source(yolo(tmp_path, LIST.replace("nc: 3", "nc: 5")))
    expected = "'data.yaml' states 5 classes (nc) and names 3 classes, which are read: 'cat', 'dog', 'c,w'"
    assert expected in source.messages
    assert not any("(nc)" in message for message in read_source(yolo(tmp_path)).messages)
