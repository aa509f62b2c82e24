"""VGG Image Annotator: attributes of images and of regions, projects, and broken files."""

from pathlib import Path
from typing import Any

import pytest

from eyebright.errors import InputError, TableError
from eyebright.sources.read import read_source
from support.label_files import images, labels, write_json, write_text


def entry(name: str, of_file: dict[str, Any], *regions: dict[str, Any]) -> dict[str, Any]:
    own = {"caption": "", "public_domain": "no", "image_url": ""}
    shapes = [{"shape_attributes": {"name": "rect"}, "region_attributes": region} for region in regions]
    return {f"{name}123": {"filename": name, "size": 123, "regions": shapes, "file_attributes": own | of_file}}


def read(root: Path, *entries: dict[str, Any], project: dict[str, Any] | None = None, **options: Any) -> Any:
    images(root, "a.jpg", "b.jpg")
    merged: dict[str, Any] = {}
    for one in entries:
        merged |= one
    value = merged if project is None else {"_via_settings": {"ui": {}}, "_via_img_metadata": merged} | project
    return read_source(write_json(root / "x.json", value), **options)


def test_the_ticked_options_of_a_checkbox_are_labels(tmp_path: Path) -> None:
    source = read(
        tmp_path, entry("a.jpg", {"found": {"rust": True, "crack": False, "hole": True}}), entry("b.jpg", {"found": {}})
    )
    assert labels(source) == {"a.jpg": ["hole", "rust"], "b.jpg": []}
    assert "labels are the values of the attribute 'found' of images" in source.messages


def test_the_values_of_regions_are_labels_and_options_that_nobody_chose_are_unused(tmp_path: Path) -> None:
    options = {"region": {"defect": {"type": "dropdown", "options": {"rust": "", "dent": ""}}}, "file": {}}
    entries = entry("a.jpg", {}, {"defect": "rust"}, {"defect": "rust"}), entry("b.jpg", {}, {"defect": ""})
    source = read(tmp_path, *entries, project={"_via_attributes": options, "_via_image_id_list": ["a.jpg123"]})
    assert labels(source) == {"a.jpg": ["rust"], "b.jpg": []}
    assert source.unused == ("dent",)


def test_regions_of_the_first_version_are_an_object(tmp_path: Path) -> None:
    one = entry("a.jpg", {}, {"defect": "rust"}, {"defect": "hole"})
    one["a.jpg123"]["regions"] = {str(i): region for i, region in enumerate(one["a.jpg123"]["regions"])}
    assert labels(read(tmp_path, one)) == {"a.jpg": ["hole", "rust"]}


def test_several_attributes_are_an_error_until_one_is_named(tmp_path: Path) -> None:
    one = entry("a.jpg", {"light": "dark"}, {"defect": "rust"}, {"defect": "hole"})
    with pytest.raises(
        InputError, match="labels may be in the attributes 'light', 'defect'; name the one that is meant"
    ):
        read(tmp_path, one)
    assert labels(read(tmp_path, one, labels="defect")) == {"a.jpg": ["hole", "rust"]}
    assert labels(read(tmp_path, one, labels="light")) == {"a.jpg": "dark"}  # one for each image
    with pytest.raises(InputError, match="`labels` is one of the attributes 'light', 'defect'"):
        read(tmp_path, one, labels="colour")
    with pytest.raises(InputError, match="no attribute holds labels"):
        read(tmp_path, entry("a.jpg", {}))


@pytest.mark.parametrize("first", ["filename", "#filename"])
def test_csv_has_a_row_for_each_region(first: str, tmp_path: Path) -> None:
    root = images(tmp_path, "a.jpg", "b.jpg")
    rows = ['a.jpg,12,"{}",2,{i},"{""name"":""rect""}","{""defect"":""{label}""}"'] * 2
    text = f"{first},file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n"
    for i, label in enumerate(("rust", "hole")):
        text += rows[i].replace("{i}", str(i)).replace("{label}", label) + "\n"
    source = read_source(write_text(root / "x.csv", text + 'b.jpg,12,"{}",0,0,"{}","{}"\n'))
    assert labels(source) == {"a.jpg": ["hole", "rust"], "b.jpg": []}
    with pytest.raises(TableError, match="line 4: the attributes are not valid JSON: '{x'; export the file again"):
        read_source(write_text(root / "x.csv", text + 'b.jpg,12,"{}",0,0,"{}",{x\n'))


def test_a_broken_entry_is_an_error_with_its_line(tmp_path: Path) -> None:
    for broken, said in (
        ({"regions": [], "file_attributes": {}, "filename": 3}, "line 13: 'filename' must be a string, got 3"),
        (5, "line 13: an object {...} was expected, got 5"),
        ({"filename": "b.jpg", "regions": [1], "file_attributes": {}}, "'regions' is a list of objects, got"),
    ):
        with pytest.raises(TableError, match=said):
            read(tmp_path, entry("a.jpg", {"found": "x"}), {"b": broken})
