"""FiftyOne: labels by number and by name, samples with fields, and broken files."""

from pathlib import Path
from typing import Any

import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, parts, write_json


def read(root: Path, value: Any, **options: Any) -> Any:
    images(root, "data/a.jpg", "data/b.jpg", "data/c.jpg")
    return read_source(write_json(root / "labels.json", value), **options)


@pytest.mark.parametrize("given", [[0, 1], ["cat", "dog"], [{"label": "cat", "confidence": 0.9}, {"label": 1}]])
def test_a_label_is_a_number_of_the_classes_or_a_text(given: list[Any], tmp_path: Path) -> None:
    value = {"classes": ["cat", "dog", "cow"], "labels": {"a": given[0], "b": given[1], "c": None}}
    source = read(tmp_path, value)
    assert labels(source) == {"data/a.jpg": "cat", "data/b.jpg": "dog"}
    assert (source.unused, dict(source.left_out)) == (("cow",), {"data/c.jpg": "not labelled yet"})


def test_lists_are_any_number_of_labels(tmp_path: Path) -> None:
    value = {"labels": {"a": [0, 1], "b": [], "c": [1]}, "classes": ["cat", "dog"]}
    assert labels(read(tmp_path, value)) == {"data/a.jpg": ["cat", "dog"], "data/b.jpg": [], "data/c.jpg": ["dog"]}


def test_folders_of_parts_are_the_split(tmp_path: Path) -> None:
    root = images(tmp_path, "train/data/1.jpg", "validation/data/1.jpg")
    for part in ("train", "validation"):
        write_json(root / part / "labels.json", {"classes": ["cat", "dog"], "labels": {"1": 0}})
    assert parts(read_source(root)) == {"train/data/1.jpg": "train", "validation/data/1.jpg": "valid"}


def field(*names: str, kind: str = "Classifications") -> dict[str, Any]:
    return {"_cls": kind, kind.lower(): [{"_cls": kind[:-1], "label": name} for name in names]}


def test_samples_have_a_field_with_labels(tmp_path: Path) -> None:
    one = {"_cls": "Classification", "label": "cat"}
    samples = [
        {"filepath": "data/a.jpg", "truth": one, "metadata": {"_cls": "ImageMetadata"}},
        {"filepath": "data/b.jpg"},
    ]
    source = read(tmp_path, {"samples": samples})
    assert labels(source) == {"data/a.jpg": "cat"}
    assert dict(source.left_out) == {"data/b.jpg": "not labelled yet"}
    for kind in ("Classifications", "Detections"):
        samples = [{"filepath": "data/a.jpg", "truth": field("cat", "cat", "dog", kind=kind)}]
        assert labels(read(tmp_path, {"samples": samples})) == {"data/a.jpg": ["cat", "dog"]}


def test_several_fields_are_an_error_until_one_is_named(tmp_path: Path) -> None:
    samples = [{"filepath": "data/a.jpg", "truth": field("cat", "cow"), "guess": field("dog", "cow")}]
    with pytest.raises(InputError, match="has labels in the fields 'truth', 'guess'; name one of them with `labels`"):
        read(tmp_path, {"samples": samples})
    assert labels(read(tmp_path, {"samples": samples}, labels="truth")) == {"data/a.jpg": ["cat", "cow"]}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            {"classes": ["cat"], "labels": {"a": 1}},
            "line 6: the label of 'a' must be a string or the index of one of 1 classes",
        ),
        ({"classes": ["cat"], "labels": {"a": True}}, "a string or the index of one of 1 classes, got True"),
        (
            {"samples": [{"filepath": "data/a.jpg", "truth": {"_cls": "Classification"}}]},
            "there is no 'label' among",
        ),
    ],
)
def test_a_broken_file_is_an_error_with_its_line(value: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(TableError, match=said):
        read(tmp_path, value)


def test_a_file_whose_labels_go_on_after_the_first_part_is_recognised(tmp_path: Path) -> None:
    value = {"classes": ["cat", "dog"], "labels": {f"image {i:07d} with a long name": i % 2 for i in range(30_000)}}
    images(tmp_path, "image 0000000 with a long name.jpg")
    assert len(read_source(write_json(tmp_path / "labels.json", value))) == 30_000
