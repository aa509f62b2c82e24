"""Pascal VOC: difficult objects are unknown, parts of objects are not labels, ImageSets are the split."""

from pathlib import Path

import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, parts, write_text


def annotation(filename: str, *objects: str) -> str:
    inner = "".join(
        f"<object><name>{name.rstrip('?')}</name><difficult>{int(name.endswith('?'))}</difficult>"
        "<part><name>head</name></part></object>"
        for name in objects
    )
    return f"<annotation>\n<filename>{filename}</filename>\n{inner}\n</annotation>\n"


def voc(root: Path) -> Path:
    images(root, *(f"JPEGImages/{name}.jpg" for name in "abcd"))
    for name, objects in {"a": ("cat", "dog?"), "b": ("dog", "dog?"), "c": ()}.items():
        write_text(root / "Annotations" / f"{name}.xml", annotation(f"{name}.jpg", *objects))
    return root


def test_difficult_objects_alone_are_unknown_and_parts_of_objects_are_no_labels(tmp_path: Path) -> None:
    source = read_source(voc(tmp_path))
    assert labels(source) == {"JPEGImages/a.jpg": ["cat", "dog?"], "JPEGImages/b.jpg": ["dog"], "JPEGImages/c.jpg": []}
    assert dict(source.left_out) == {"JPEGImages/d.jpg": "without an XML file"}
    assert source.part is None
    assert "labels that are unknown, neither yes nor no, and masked: 1 cell of 3 images" in source.messages


def test_the_lists_of_image_sets_are_the_split_and_those_of_classes_are_not(tmp_path: Path) -> None:
    root = voc(tmp_path)
    for name, text in {"trainval": "a\nb\n", "val": "b\n", "test": "c\n", "cat_test": "a 1\n"}.items():
        write_text(root / "ImageSets" / "Main" / f"{name}.txt", text)
    assert list(parts(read_source(root)).values()) == ["train", "valid", "test"]


def test_the_folder_of_the_annotations_is_read_with_the_folder_of_the_images(tmp_path: Path) -> None:
    root = voc(tmp_path)
    assert set(labels(read_source(root / "Annotations", images=root / "JPEGImages"))) == {"a.jpg", "b.jpg", "c.jpg"}


def test_xml_files_beside_images_are_read_whatever_name_they_give(tmp_path: Path) -> None:
    root = images(tmp_path, "train/a.jpg", "valid/a.jpg")
    write_text(root / "train" / "a.xml", annotation("renamed.png", "cat"))
    write_text(root / "valid" / "a.xml", annotation("a.jpg", "dog"))
    assert labels(read_source(root)) == {"train/a.jpg": ["cat"], "valid/a.jpg": ["dog"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<annotation>\n<object>", r"b.xml' line 2 is not valid XML: .*; is the file cut off"),
        (annotation("b.jpg", ""), r"b.xml': an object has no name"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><annotation></annotation>', "declares XML entities, which are not read"),
    ],
)
def test_a_broken_file_is_an_error_with_its_place(text: str, said: str, tmp_path: Path) -> None:
    root = voc(tmp_path)
    write_text(root / "Annotations" / "b.xml", text)
    with pytest.raises(TableError, match=said):
        read_source(root)


def test_xml_of_another_kind_among_the_annotations_is_an_error(tmp_path: Path) -> None:
    write_text(voc(tmp_path) / "Annotations" / "d.xml", "<svg></svg>")
    with pytest.raises(InputError, match=r"d.xml' holds no 'annotation' of Pascal VOC; remove it from the folder"):
        read_source(tmp_path)


@pytest.mark.parametrize(
    "form", ["{}", "{}.jpg", "JPEGImages/{}.jpg", "C:\\data\\JPEGImages\\{}.JPG", "{} 1", "{}  -1"]
)
def test_lists_may_name_images_with_folders_and_extensions_and_begin_with_a_mark(form: str, tmp_path: Path) -> None:
    root = voc(tmp_path)
    for name, text in {"train": "ab", "val": "c"}.items():
        lines = "".join(f"{form.format(image)}\r\n" for image in text)
        write_text(root / "ImageSets" / "Main" / f"{name}.txt", f"\ufeff{lines}")
    source = read_source(root)
    assert list(parts(source).values()) == ["train", "train", "valid"]
    assert not any("ImageSets" in message for message in source.messages)


def test_names_in_lists_that_no_file_has_are_counted(tmp_path: Path) -> None:
    root = voc(tmp_path)
    write_text(root / "ImageSets" / "Main" / "val.txt", "c\nmy cat\n")
    assert "names in ImageSets/Main that no XML file has: 1 of 2 (such as 'my cat')" in read_source(root).messages


def test_a_name_in_a_list_may_end_like_the_mark_of_a_class(tmp_path: Path) -> None:
    root = images(tmp_path, "photo 0.jpg", "photo 1.jpg", "b.jpg")
    for name in ("photo 0", "photo 1", "b"):
        write_text(root / f"{name}.xml", annotation(f"{name}.jpg", "cat"))
    write_text(root / "ImageSets" / "Main" / "train.txt", "photo 0\nphoto 1.jpg\n")
    write_text(root / "ImageSets" / "Main" / "val.txt", "b  1\n")
    source = read_source(root)
    assert parts(source) == {"photo 0.jpg": "train", "photo 1.jpg": "train", "b.jpg": "valid"}


def test_an_image_without_a_file_is_left_out_though_one_of_its_name_has_one_in_another_folder(tmp_path: Path) -> None:
    root = images(tmp_path, "one/a.jpg", "two/a.jpg", "two/b.jpg")
    write_text(root / "one" / "a.xml", annotation("a.jpg", "cat"))
    write_text(root / "two" / "b.xml", annotation("b.jpg", "dog"))
    assert dict(read_source(root).left_out) == {"two/a.jpg": "without an XML file"}
    images(tmp_path, "SegmentationClass/a.jpg", "SegmentationClass/b.jpg")
    assert dict(read_source(root).left_out) == {"two/a.jpg": "without an XML file"}, "masks are no photographs"


def test_an_image_in_the_lists_of_two_parts_has_a_message(tmp_path: Path) -> None:
    root = voc(tmp_path)
    for name, text in {"train": "a\nb\n", "val": "b\n", "trainval": "a\nb\nc\n", "test": "c\n"}.items():
        write_text(root / "ImageSets" / "Main" / f"{name}.txt", text)
    source = read_source(root)
    assert list(parts(source).values()) == ["train", "valid", "test"]
    assert (
        "images in several lists in ImageSets/Main, of which one is used, 'test.txt' before 'val.txt' before "
        "'train.txt': 2 ('b' is in 'train.txt' and 'val.txt')"
    ) in source.messages
