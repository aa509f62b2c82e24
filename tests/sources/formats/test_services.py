"""Exports of Create ML, Azure Custom Vision, Azure ML, Google AutoML and Vertex AI."""

from pathlib import Path
from typing import Any

import pytest

from eyebright.errors import TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, parts, write_json, write_lines, write_text


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return images(tmp_path, "photos/a.jpg", "photos/b.jpg", "photos/c.jpg")


def test_create_ml_has_boxes_or_labels(root: Path) -> None:
    boxes = [{"label": "gull", "coordinates": {"x": 1}}, {"label": "gull", "coordinates": {"x": 2}}]
    value = [{"image": "a.jpg", "annotations": boxes}, {"image": "b.jpg", "annotations": [{"label": "tern"}]}]
    assert labels(read_source(write_json(root / "x.json", value))) == {
        "photos/a.jpg": ["gull"],
        "photos/b.jpg": ["tern"],
    }
    value = [{"filename": "a.jpg", "annotations": ["cup", "pen"]}, {"filename": "b.jpg", "annotations": []}]
    assert labels(read_source(write_json(root / "x.json", value))) == {
        "photos/a.jpg": ["cup", "pen"],
        "photos/b.jpg": [],
    }
    value = [{"filename": "a.jpg", "annotations": ["cup"]}, {"filename": "b.jpg", "annotations": ["pen"]}]
    assert labels(read_source(write_json(root / "x.json", value))) == {"photos/a.jpg": "cup", "photos/b.jpg": "pen"}


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"image": "b.jpg"}, "line 6: 'annotations' is a list of labels or of boxes, got None"),
        ({"image": "b.jpg", "annotations": [{"coordinates": {}}]}, "line 6: there is no 'label' among the keys 'coord"),
        ({"image": "b.jpg", "annotations": ["x", {"label": "y"}]}, "line 6: 'annotations' is a list of objects"),
        ({"annotations": []}, "there is no 'image', 'imagefilename', 'filename' among the keys 'annotations'"),
        (7, r"line 6: an object {...} was expected, got 7"),
    ],
)
def test_a_broken_entry_of_create_ml_is_an_error_with_its_line(entry: Any, said: str, root: Path) -> None:
    with pytest.raises(TableError, match=said):
        read_source(write_json(root / "x.json", [{"image": "a.jpg", "annotations": []}, entry]))


def tagged(key: str, *tags: str, **more: Any) -> dict[str, Any]:
    address = f"https://x.blob.core.windows.net/y:i-{key}/o-{key}?sv=1"
    return {"id": key, "originalImageUri": address, "tags": [{"tagId": "1", "tagName": tag} for tag in tags]} | more


def test_custom_vision_names_images_by_their_ids(root: Path) -> None:
    value = [tagged("a", "moss", "fern"), tagged("b", "Negative"), tagged("c"), tagged("d", "moss", regions=None)]
    source = read_source(write_json(root / "x.json", value), images=root / "photos")
    assert labels(source) == {"a.jpg": ["fern", "moss"], "b.jpg": [], "d": ["moss"]}
    assert dict(source.left_out) == {"c.jpg": "not labelled yet"}
    assert "images whose only tag is 'Negative', which have no label: 1" in source.messages
    assert any(message.startswith("file names without an image") for message in source.messages)
    value = [tagged("a", regions=[{"tagName": "moss", "left": 0.1}])]
    assert labels(read_source(write_json(root / "x.json", value))) == {"photos/a.jpg": ["moss"]}
    with pytest.raises(TableError, match="line 2: there is no 'tagName' among the keys 'tagId'"):
        read_source(write_json(root / "x.json", [tagged("a", tags=[{"tagId": "1"}])]))


def azure(name: str, label: Any) -> dict[str, Any]:
    return {"image_url": f"azureml://subscriptions/0/paths/photos/{name}", "image_details": {}, "label": label}


def test_azure_ml_has_a_class_labels_or_boxes(root: Path) -> None:
    path = root / "train_annotations.jsonl"
    found = labels(read_source(write_lines(path, [azure("a.jpg", ["can", "milk"]), azure("b.jpg", [])])))
    assert found == {"photos/a.jpg": ["can", "milk"], "photos/b.jpg": []}
    found = labels(read_source(write_lines(path, [azure("a.jpg", "can"), azure("b.jpg", "milk")])))
    assert found == {"photos/a.jpg": "can", "photos/b.jpg": "milk"}
    found = labels(read_source(write_lines(path, [azure("a.jpg", [{"label": "can", "topX": 0.1}])])))
    assert found == {"photos/a.jpg": ["can"]}
    with pytest.raises(TableError, match="line 2: 'label' must be a string, or a list of strings or boxes, got 5"):
        read_source(write_lines(path, [azure("a.jpg", "can"), azure("b.jpg", 5)]))


def test_azure_ml_files_of_several_parts_are_read_together(root: Path) -> None:
    write_lines(root / "train_annotations.jsonl", [azure("a.jpg", ["can", "milk"])])
    write_lines(root / "validation_annotations.jsonl", [azure("b.jpg", ["can"])])
    source = read_source(root, kind="labels")
    assert parts(source) == {"photos/a.jpg": "train", "photos/b.jpg": "valid"}


def test_automl_has_rows_without_a_header(root: Path) -> None:
    text = (
        "TRAIN,gs://x/photos/a.jpg,rose,tulip\nVALIDATION,gs://x/photos/b.jpg\nUNASSIGNED,gs://x/photos/c.jpg,rose,\n"
    )
    source = read_source(write_text(root / "x.csv", text))
    assert labels(source) == {"photos/a.jpg": ["rose", "tulip"], "photos/b.jpg": [], "photos/c.jpg": ["rose"]}
    assert list(parts(source).values()) == ["train", "valid", None]
    text = "gs://x/photos/a.jpg,rose\ngs://x/photos/b.jpg,tulip\n"
    assert labels(read_source(write_text(root / "x.csv", text))) == {"photos/a.jpg": "rose", "photos/b.jpg": "tulip"}


def test_boxes_of_automl_are_the_labels_of_their_image(root: Path) -> None:
    text = "".join(f"TRAIN,gs://x/photos/a.jpg,{label},0.1,0.2,,,0.3,0.4,,\n" for label in ("rose", "rose", "tulip"))
    assert labels(read_source(write_text(root / "x.csv", text))) == {"photos/a.jpg": ["rose", "tulip"]}


def test_a_broken_row_of_automl_is_an_error_with_its_line(root: Path) -> None:
    rows = [f"TRAIN,gs://x/photos/a.jpg,label{i}" for i in range(30)]
    with pytest.raises(
        TableError, match="line 31: TRAIN, VALIDATION, TEST or UNASSIGNED, .* were expected, got 'TRIAN,"
    ):
        read_source(write_text(root / "x.csv", "\n".join([*rows, "TRIAN,gs://x/photos/b.jpg,rose"])))
    with pytest.raises(TableError, match=r"line 31: 'gs://x/photos/a.jpg' has another part on line 1"):
        read_source(write_text(root / "x.csv", "\n".join([*rows, "TEST,gs://x/photos/a.jpg,rose"])))


def vertex(name: str, use: str | None, **more: Any) -> dict[str, Any]:
    labels_of_item = {} if use is None else {"dataItemResourceLabels": {"aiplatform.googleapis.com/ml_use": use}}
    return {"imageGcsUri": f"gs://bucket/photos/{name}"} | labels_of_item | more


def test_vertex_has_annotations_and_parts(root: Path) -> None:
    lines = [
        vertex("a.jpg", "training", classificationAnnotations=[{"displayName": "rose"}, {"displayName": "tulip"}]),
        vertex("b.jpg", "test", classificationAnnotations=[]),
        vertex("c.jpg", None),
    ]
    source = read_source(write_lines(root / "data-00001-of-00001.jsonl", lines))
    assert labels(source) == {"photos/a.jpg": ["rose", "tulip"], "photos/b.jpg": []}
    assert list(parts(source).values()) == ["train", "test"]
    assert dict(source.left_out) == {"photos/c.jpg": "not labelled yet"}
    lines = [vertex(name, None, classificationAnnotation={"displayName": "rose"}) for name in ("a.jpg", "b.jpg")]
    assert labels(read_source(write_lines(root / "x.jsonl", lines))) == {"photos/a.jpg": "rose", "photos/b.jpg": "rose"}
    lines = [vertex("a.jpg", None, boundingBoxAnnotations=[{"displayName": "rose", "xMin": 0.1}])]
    assert labels(read_source(write_lines(root / "x.jsonl", lines))) == {"photos/a.jpg": ["rose"]}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            vertex("b.jpg", "tomorrow", classificationAnnotations=[]),
            "line 2: '.*ml_use' is training, validation or test, got",
        ),
        (vertex("b.jpg", None, classificationAnnotations=[{}]), "line 2: there is no 'displayName' among the keys"),
        ({"imageGcsUri": ""}, "line 2: 'imageGcsUri' must be a string, got ''"),
    ],
)
def test_a_broken_line_of_vertex_is_an_error(line: Any, said: str, root: Path) -> None:
    good = vertex("a.jpg", "training", classificationAnnotations=[{"displayName": "rose"}])
    with pytest.raises(TableError, match=said):
        read_source(write_lines(root / "x.jsonl", [good, line]))
