"""Findings about images: each is found where it was planted, and photographs have none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from eyebright.check.facts import FactTable, read_facts
from eyebright.check.finding import Finding
from eyebright.check.images import _FORMATS, image_findings
from eyebright.io.files import IMAGE_EXTENSIONS
from support.facts import facts_of
from support.sources import source_of_labels

N = 60


def found(facts: FactTable, files: list[str] | None = None) -> dict[str, Finding]:
    source = source_of_labels([{"cat"}] * len(facts), files)
    findings = image_findings(source, facts)
    assert len(json.loads(json.dumps([one.to_json() for one in findings]))) == len(findings)
    return {one.kind: one for one in findings}


def planted(column: str, value: Any, rows: tuple[int, ...] = (7,)) -> FactTable:
    values = getattr(facts_of(N), column).copy()
    values[list(rows)] = value
    return facts_of(N, **{column: values})


def test_ordinary_images_have_no_findings() -> None:
    assert found(facts_of(N)) == {}
    assert found(facts_of(0)) == {}


@pytest.mark.parametrize(
    ("kind", "column", "value", "severity"),
    [
        ("low_information", "contrast", 0.0, "warning"),
        ("tiny", "sizes", (20, 400), "warning"),
        ("blurry", "sharpness", 0.0004, "warning"),
        ("odd_size", "sizes", (4800, 6400), "note"),
        ("odd_size", "sizes", (120, 160), "note"),
        ("odd_aspect_ratio", "sizes", (240, 960), "note"),
        ("odd_aspect_ratio", "sizes", (960, 240), "note"),
        ("grayscale", "saturation", 0.0, "note"),
    ],
)
def test_an_image_that_is_unlike_the_others_is_found(kind: str, column: str, value: Any, severity: str) -> None:
    finding = found(planted(column, value))[kind]
    assert (finding.figure, finding.files, finding.severity) == (1, ("7.jpg",), severity)
    assert finding.sentence.startswith("1 image is ")


@pytest.mark.parametrize(("kind", "brightness"), [("dark", 0.05), ("light", 0.95)])
def test_images_that_are_nearly_black_or_white_are_found(kind: str, brightness: float) -> None:
    facts = facts_of(N)
    facts.brightness[[3, 4]], facts.contrast[[3, 4]] = brightness, 0.04
    finding = found(facts)[kind]
    assert finding.files == ("3.jpg", "4.jpg")
    assert finding.sentence.startswith("2 images are so ")


def test_a_night_shot_and_a_product_on_white_are_ordinary() -> None:
    facts = facts_of(N)
    facts.brightness[[3, 4]], facts.contrast[[3, 4]] = (0.06, 0.9), (0.12, 0.15)
    assert found(facts) == {}


def test_fog_is_not_blurry() -> None:
    facts = facts_of(N)
    facts.contrast[3], facts.sharpness[3] = 0.03, 0.0001
    assert found(facts) == {}


def test_a_small_image_that_was_enlarged_is_not_blurry() -> None:
    facts = facts_of(N, sizes=np.full((N, 2), 64, dtype=np.int32))
    facts.sharpness[:] = 0.0004
    assert found(facts) == {}


def test_a_blank_image_is_neither_dark_nor_blurry() -> None:
    facts = facts_of(N)
    facts.contrast[3] = facts.brightness[3] = facts.sharpness[3] = facts.saturation[3] = 0
    assert list(found(facts)) == ["low_information"]


def test_what_many_images_of_a_set_are_is_a_note() -> None:
    assert found(planted("sharpness", 0.0004, tuple(range(5))))["blurry"].severity == "warning"
    assert found(planted("sharpness", 0.0004, tuple(range(6))))["blurry"].severity == "note"


def test_a_set_of_grey_images_is_not_grey_among_coloured_ones() -> None:
    assert found(planted("saturation", 0.0, tuple(range(N // 2)))) == {}


def test_images_that_cannot_be_read_are_an_error_with_their_reasons_and_nothing_else() -> None:
    facts = facts_of(N, errors={2: "the file is truncated (x)", 5: "there is no such file"})
    for column in (facts.sizes, facts.contrast, facts.brightness, facts.sharpness, facts.saturation):
        column[[2, 5]] = 0
    findings = found(facts)
    assert list(findings) == ["unreadable"]
    assert findings["unreadable"].severity == "error"
    assert findings["unreadable"].details["reasons"] == {"2.jpg": "the file is truncated (x)"}
    assert findings["unreadable"].sentence == "1 image cannot be read: '2.jpg' (the file is truncated (x))."


def test_an_extension_of_another_format_is_said() -> None:
    files = [f"{i}.jpg" for i in range(N - 2)] + ["a.PNG", "b"]
    finding = found(facts_of(N), files)["wrong_extension"]
    assert (finding.files, finding.details["counts"]) == (("a.PNG",), {".PNG is JPEG": 1})
    jpegs = [f"{i}{['.jpg', '.JPEG', '.jpe', '.jfif'][i % 4]}" for i in range(N)]
    assert found(facts_of(N), jpegs) == {}


def test_every_extension_belongs_to_a_format() -> None:
    assert sorted({ending for endings in _FORMATS.values() for ending in endings}) == sorted(IMAGE_EXTENSIONS)


def test_names_that_differ_in_case_or_unicode_form_only_are_found() -> None:
    files = [f"{i}.jpg" for i in range(N - 4)] + ["a/Cat.jpg", "a/cat.JPG", "caf\u00e9.jpg", "cafe\u0301.jpg"]
    finding = found(facts_of(N), files)["file_names_alike"]
    assert finding.groups == (("a/Cat.jpg", "a/cat.JPG"), ("caf\u00e9.jpg", "cafe\u0301.jpg"))
    assert finding.figure == 4


def test_formats_and_modes_that_differ_are_counted() -> None:
    files = [f"{i}.{'png' if i < 2 else 'jpg'}" for i in range(N)]
    formats = ["PNG" if i < 2 else "JPEG" for i in range(N)]
    findings = found(facts_of(N, formats=formats, modes=["CMYK" if i == 9 else "RGB" for i in range(N)]), files)
    assert findings["mixed_formats"].details["counts"] == {"JPEG": 58, "PNG": 2}
    assert findings["colour_modes"].details["counts"] == {"RGB": 59, "CMYK": 1}
    assert findings["colour_modes"].files == ("9.jpg",)
    assert "CMYK: converted without its colour profile" in findings["colour_modes"].sentence


def scene(rng: np.random.Generator) -> np.ndarray:
    """A scene with large and small structure, of 360 x 480 pixels."""
    layers = [
        cv2.resize(rng.uniform(0, 1, (side * 3, side * 4, 3)), (480, 360), interpolation=cv2.INTER_CUBIC) / side**0.5
        for side in (1, 2, 4, 16, 64)
    ]
    pixels = np.sum(layers, axis=0)
    pixels = (pixels - pixels.mean()) / pixels.std() * 50 + rng.uniform(90, 150)
    return pixels.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("blurry", lambda pixels: cv2.GaussianBlur(pixels, (0, 0), 0.02 * 360)),
        ("dark", lambda pixels: (pixels * 0.2).astype(np.uint8)),
        ("light", lambda pixels: 255 - ((255 - pixels) * 0.15).astype(np.uint8)),
        ("low_information", lambda pixels: np.full_like(pixels, 120)),
        ("tiny", lambda pixels: cv2.resize(pixels, (40, 30), interpolation=cv2.INTER_AREA)),
        ("odd_aspect_ratio", lambda pixels: pixels[:100]),
        ("grayscale", lambda pixels: np.repeat(pixels.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)),
    ],
)
def test_files_that_were_changed_are_found_and_the_others_are_not(
    tmp_path: Path, kind: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    rng = np.random.default_rng(0)
    files = [f"{i:02}.jpg" for i in range(40)]
    for i, name in enumerate(files):
        pixels = scene(rng)
        PIL.Image.fromarray(change(pixels) if i < 3 else pixels).save(tmp_path / name, quality=90)
    findings = found(read_facts([tmp_path / name for name in files], threads=1), files)
    assert findings[kind].files == tuple(files[:3])
    assert set(findings) <= {kind, "odd_size"}
