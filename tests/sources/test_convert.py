"""What is written in another format is read back as it was, wherever the format can hold it."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pandas as pd
import PIL.Image
import pytest
from hypothesis import given, settings, strategies as st

from eyebright._all_but import AllBut
from eyebright._choices import WriteFormat
from eyebright.errors import InputError
from eyebright.sources.categorical import Categorical
from eyebright.sources.convert import WRITERS, convert_source
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.sources.writer import Writer, count_unknown
from eyebright.types import LabelSet
from support.sources import source_of_classes, source_of_labels, source_of_numbers, source_of_points

FILES = ["a/1.png", "a/2.png", "b/1.png", "c d/ö.png", "5.png", "6.png"]
PARTS = ["train", "train", "valid", None, "test", "train"]
NAN = float("nan")
WORDS = st.text("ab;|/, ö", min_size=1, max_size=4).map(lambda text: " ".join(f"x{text}".split()))

LABELS = [["cat", "dog"], [], ["dog"], ["cat", "grey wolf"], ["dog"], ["cat"]]
UNKNOWN = [LabelSet(["cat"], unknown=["dog"]), LabelSet(unknown=["cat", "dog"]), *map(LabelSet, LABELS[2:])]
POINTS = [[[1.5, 2], [30.25, 11]], [[0, 0], [40, 30]], [[NAN, NAN], [3, 4]], *[[[5, 6], [7, 8.125]]] * 3]
NUMBERS = [[1.5, -2e9], [0, NAN], [1e-9, 3], [4, 5], [6, 7], [8, 9]]

SOURCES: Mapping[str, Source] = {
    "labels": source_of_labels(LABELS, FILES),
    "one label each": source_of_labels([["cat"], ["dog"]] * 3, FILES),
    "unknown labels": source_of_labels(UNKNOWN, FILES),
    "classes": source_of_classes(["cat", "dog", "cat", "wolf", "dog", "cat"], FILES),
    "points": source_of_points(POINTS, FILES, names=("left eye", "right eye"), mirror=(1, 0)),
    "points without names": source_of_points(POINTS, FILES),
    "numbers": source_of_numbers(NUMBERS, FILES, names=("width", "height")),
}
REFUSED = {
    ("labels", "folders"), ("one label each", "folders"), ("unknown labels", "folders"), ("unknown labels", "coco"),
    ("points", "folders"), ("points without names", "folders"),
    ("numbers", "folders"), ("numbers", "coco"), ("numbers", "labelstudio"),
}  # fmt: skip


def test_every_format_that_can_be_asked_for_has_its_writer() -> None:
    assert set(WRITERS) == set(get_args(WriteFormat))


def on_disk(source: Source, folder: Path, **changes: Any) -> Source:
    """The source with images of 40 x 30 pixels, each another, in a folder."""
    for number, file in enumerate(map(str, source.files)):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (40, 30), (number, 0, 0)).save(folder / file)
    return replace(source, root=folder, **changes)


def content(source: Source) -> dict[Any, tuple[Any, Any]]:
    """The target and the part of each image, by its first pixel, which no format changes."""
    result: dict[Any, tuple[Any, Any]] = {}
    for row in source:
        with PIL.Image.open(row.path) as image:
            key = image.getpixel((0, 0))
        target = row.target
        if isinstance(target, np.ndarray):
            target = np.round(target, 9).tolist()
        elif not isinstance(target, str):
            target = (sorted(target), sorted(target.unknown))
        result[key] = (str(target), row.part or "train")
    return result


def without_parts(found: dict[Any, tuple[Any, Any]]) -> dict[Any, Any]:
    return {key: target for key, (target, _) in found.items()}


@pytest.mark.parametrize("has_parts", [False, True])
@pytest.mark.parametrize("to", WRITERS)
@pytest.mark.parametrize("kind", SOURCES)
def test_every_format_gives_back_what_it_holds_or_refuses_it(
    kind: str, to: str, has_parts: bool, tmp_path: Path
) -> None:
    source = on_disk(SOURCES[kind], tmp_path / "images", part=Categorical.of(PARTS) if has_parts else None)
    out = tmp_path / f"out{WRITERS[to].suffix}"
    if (kind, to) in REFUSED:
        with pytest.raises(InputError, match=r"cannot hold .*`to='csv'` and `to='parquet'`"):
            convert_source(source, to, out)
        assert not out.exists()
        return
    converted = convert_source(source, to, out)
    again = read_source(converted.path, **converted.read_options)
    assert again.kind == source.kind
    expected, found = content(source), content(again)
    assert found == expected if has_parts else without_parts(found) == without_parts(expected)
    assert (again.split is not None) == has_parts
    if source.names and to != "folders":
        assert again.names == source.names
        assert again.mirror == source.mirror


@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_tables_keep_groups_and_other_columns_and_others_say_that_they_do_not(to: str, tmp_path: Path) -> None:
    columns = pd.DataFrame({"site": ["x", "y"] * 3, "age": [1, 2, 3, 4, 5, 6]})
    group = Categorical.of(["p1", "p1", "p2", "\0alone", "p2", "p3"])
    source = on_disk(SOURCES["labels"], tmp_path / "images", columns=columns, group=group)
    converted = convert_source(source, to, tmp_path / f"t.{to}")
    again = read_source(converted.path, **converted.read_options)
    assert converted.messages == ()
    assert again.columns["site"].tolist() == columns["site"].tolist()
    assert list(map(int, again.columns["age"])) == columns["age"].tolist()
    assert again.group is not None
    assert [name for name in again.group if not name.startswith("\0")] == ["p1", "p1", "p2", "p2", "p3"]
    messages = convert_source(source, "coco", tmp_path / "c.json").messages
    assert "COCO does not hold: the group of each image" in messages
    assert "COCO does not hold: the columns 'site', 'age'" in messages


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sets(WORDS), min_size=2, max_size=6).filter(any))
def test_labels_with_delimiters_in_them_come_back_from_csv(labels: list[set[str]]) -> None:

    with tempfile.TemporaryDirectory() as folder:
        source = on_disk(source_of_labels(labels, FILES[: len(labels)]), Path(folder) / "images")
        converted = convert_source(source, "csv", Path(folder) / "t.csv")
        again = read_source(converted.path, **converted.read_options)
        assert [set(target) for target in again.targets] == labels


def test_a_path_that_exists_and_an_unknown_format_are_refused(tmp_path: Path) -> None:
    source = on_disk(SOURCES["labels"], tmp_path / "images")
    (tmp_path / "t.csv").write_text("mine")
    with pytest.raises(InputError, match=r"'.*t\.csv' exists; choose another `out`"):
        convert_source(source, "csv", tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "mine"
    with pytest.raises(InputError, match=r"unknown format\. Did you mean 'coco'"):
        convert_source(source, "cocoo", tmp_path / "x.json")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "t.csv"]


def test_two_images_of_one_name_and_class_both_arrive(tmp_path: Path) -> None:
    source = on_disk(
        source_of_classes(["cat"] * 3 + ["dog"] * 3, ["a/1.png", "b/1.png", "c/1.png", *FILES[3:]]), tmp_path / "i"
    )
    converted = convert_source(source, "folders", tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "cat").iterdir()) == ["1.png", "b_1.png", "c_1.png"]
    assert without_parts(content(read_source(converted.path))) == without_parts(content(source))


def test_a_class_that_is_no_folder_and_a_missing_image_leave_nothing_behind(tmp_path: Path) -> None:
    source = on_disk(source_of_classes(["a/b", "dog"] * 3, FILES), tmp_path / "images")
    with pytest.raises(InputError, match="class 'a/b' cannot be the name of a folder of a class"):
        convert_source(source, "folders", tmp_path / "out")
    source = on_disk(SOURCES["classes"], tmp_path / "images")
    (tmp_path / "images" / FILES[2]).unlink()
    with pytest.raises(InputError, match=r"cannot copy '.*b/1\.png': No such file"):
        convert_source(source, "folders", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_unknown_cells_are_counted_by_image_and_label() -> None:
    assert count_unknown(SOURCES["unknown labels"]) == 3
    assert count_unknown(SOURCES["points"]) == 1
    assert count_unknown(SOURCES["numbers"]) == 1
    assert count_unknown(SOURCES["classes"]) == 0


def test_what_nobody_has_looked_at_is_not_written_as_no(tmp_path: Path) -> None:
    looked_at = frozenset({"cat", "dog"})
    sets = [
        LabelSet(["cat"], unknown=AllBut(looked_at, ["cat"])),
        LabelSet(["dog"], unknown=AllBut(looked_at, ["dog"])),
    ]
    source = on_disk(replace(source_of_labels(sets * 3, FILES), unused=("unicorn",)), tmp_path / "images")
    converted = convert_source(source, "csv", tmp_path / "t.csv")
    assert "CSV does not hold: labels that are declared and that no image has: 'unicorn'" in converted.messages
    again = read_source(converted.path, **converted.read_options)
    assert "unicorn" not in {label for target in again.targets for label in {*target, *target.unknown}}
    assert content(again) == content(source)
    declared = read_source(convert_source(replace(source, targets=Categorical.of([LabelSet(["cat"])] * 6)), "coco",
                                          tmp_path / "c.json").path, images=source.root, kind="labels")  # fmt: skip
    assert declared.unused == ("unicorn",)


def test_pairs_of_points_that_names_do_not_show_come_back(tmp_path: Path) -> None:
    source = source_of_points(POINTS, FILES, names=("a", "b"), mirror=(1, 0))
    for mirror in ((1, 0), None):
        given = on_disk(replace(source, mirror=mirror), tmp_path / "images")
        for to in ("csv", "coco", "labelstudio"):
            converted = convert_source(given, to, tmp_path / f"{to}{mirror}{WRITERS[to].suffix}")
            assert read_source(converted.path, **converted.read_options).mirror == mirror


def test_names_that_a_format_cannot_hold_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    for name in (".net", "train", "Test set"):
        source = on_disk(source_of_classes([name, "dog"] * 3, FILES), tmp_path / "images")
        with pytest.raises(InputError, match="cannot be the name of a folder of a class"):
            convert_source(source, "folders", tmp_path / "out")
    broken = replace(SOURCES["labels"], files=np.array(["a\udce9.png", *FILES[1:]], dtype=object))
    for to in ("csv", "parquet", "coco", "labelstudio"):
        with pytest.raises(InputError, match="is UTF-8, which the name of .* is not; rename the file"):
            convert_source(replace(broken, root=tmp_path), to, tmp_path / f"x{WRITERS[to].suffix}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images"]


@pytest.mark.parametrize("classes", [["unlabeled", "dog"], ["dog", "No label"], ["images", "masks"], ["\ud800", "dog"]])
def test_classes_whose_folders_would_not_be_read_as_classes_are_refused(classes: list[str], tmp_path: Path) -> None:
    source = on_disk(source_of_classes(classes * 3, FILES), tmp_path / "images")
    with pytest.raises(InputError, match=r"would not be read as classes.*give `to='csv'`|is not valid Unicode"):
        convert_source(source, "folders", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


@pytest.mark.parametrize("name", ["?", "nan", "[]", "NaN"])
@pytest.mark.parametrize("to", ["csv", "parquet"])
def test_words_that_mean_none_or_unknown_in_a_cell_are_refused_as_classes_and_kept_as_labels(
    to: str, name: str, tmp_path: Path
) -> None:
    classes = on_disk(source_of_classes([name, "dog"] * 3, FILES), tmp_path / "images")
    with pytest.raises(InputError, match="cannot be the text of a cell, where it would be read as an unknown or"):
        convert_source(classes, to, tmp_path / f"c.{to}")
    again = read_source(convert_source(classes, "coco", tmp_path / "c.json").path, images=classes.root, kind="class")
    assert content(again) == content(classes)
    labels = on_disk(source_of_labels([[name], ["dog"], []] * 2, FILES), tmp_path / "images")
    converted = convert_source(labels, to, tmp_path / f"l.{to}")
    assert content(read_source(converted.path, **converted.read_options)) == content(labels)


@pytest.mark.parametrize("to", ["csv", "parquet", "coco", "labelstudio"])
def test_labels_and_classes_that_are_not_valid_unicode_are_an_error_of_a_sentence(to: str, tmp_path: Path) -> None:
    for source in (
        source_of_classes(["caf\udce9", "dog"] * 3, FILES),
        source_of_labels([["caf\udce9"], []] * 3, FILES),
    ):
        with pytest.raises(InputError, match=r"is UTF-8, which the label or class 'caf.* is not; rename it"):
            convert_source(on_disk(source, tmp_path / "images"), to, tmp_path / f"x{WRITERS[to].suffix}")
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_images_without_an_extension_get_that_of_their_format_in_a_folder(tmp_path: Path) -> None:
    files = ["1.png", "2.png", "3", "4.dat", "5.PNG", "6.png"]
    for number, file in enumerate(files):
        (tmp_path / "images").mkdir(exist_ok=True)
        PIL.Image.new("RGB", (40, 30), (number, 0, 0)).save(tmp_path / "images" / file, format="PNG")
    source = replace(source_of_classes(["cat", "dog"] * 3, files), root=tmp_path / "images")
    again = read_source(convert_source(source, "folders", tmp_path / "out").path)
    assert {Path(file).name for file in again.files} == {"1.png", "2.png", "3.png", "4.dat.png", "5.PNG", "6.png"}
    assert content(again) == content(source)


@pytest.mark.parametrize("to", ["csv", "labelstudio", "folders"])
def test_what_another_process_has_written_in_the_meantime_is_not_replaced(
    to: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = on_disk(SOURCES["classes"], tmp_path / "photos", part=Categorical.of(PARTS))
    out, write = tmp_path / "out", WRITERS[to].write

    def late(given: Source, place: Path) -> Mapping[str, Any]:
        out.write_text("of another process")
        return write(given, place)

    monkeypatch.setitem(cast("dict[str, Writer]", WRITERS), to, replace(WRITERS[to], write=late))
    with pytest.raises(InputError, match="out' exists; choose another `out`, or remove it"):
        convert_source(source, to, out)
    assert out.read_text() == "of another process"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "photos"]


@pytest.mark.parametrize("to", ["csv", "parquet", "labelstudio"])
def test_names_that_would_be_read_as_those_of_other_images_are_refused(to: str, tmp_path: Path) -> None:
    source = source_of_classes(["cat", "dog", "cat"], [" a/1.png", "a/1.png", "b.png "])
    message = (
        "' a/1.png' would be read as 'a/1.png', another image, since readers of .* remove the spaces around a name"
    )
    with pytest.raises(InputError, match=message):
        convert_source(source, to, tmp_path / "out")


@pytest.mark.parametrize(("to", "name"), [("csv", "a.parquet"), ("parquet", "a.CSV"), ("parquet", "a.json")])
def test_a_name_of_another_format_is_refused(to: str, name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"{name}' is the name of another format than .*; give one that ends in .{to}"):
        convert_source(SOURCES["classes"], to, tmp_path / name)
