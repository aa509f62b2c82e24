"""Shortcuts are found where they were planted, and hardly ever by chance."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from eyebright.check.facts import FactTable, read_facts
from eyebright.check.finding import Finding
from eyebright.check.properties import properties
from eyebright.check.shortcuts import Shortcut, find_shortcuts, shortcut_findings
from eyebright.sources.source import Source
from eyebright.types import LabelSet
from support.facts import facts_of
from support.sources import source_of_classes, source_of_labels, source_of_numbers, source_of_points

N = 120
GLASSES = np.arange(N) % 3 == 0


def source(**columns: Any) -> Source:
    return source_of_labels(
        [{"glasses"} if one else {"hat"} if i % 2 else set() for i, one in enumerate(GLASSES)], **columns
    )


def found(source: Source, facts: FactTable) -> dict[str, Finding]:
    """The findings by property and label."""
    findings = shortcut_findings(source, facts)
    assert len(json.loads(json.dumps([one.to_json() for one in findings]))) == len(findings)
    return {f"{one.details['property']}: {one.labels[0]}": one for one in findings}


def shortcuts(source: Source, facts: FactTable) -> tuple[list[Shortcut], int]:
    return find_shortcuts(source, properties(source, facts))


def test_a_clean_set_has_no_shortcut() -> None:
    assert shortcut_findings(source(), facts_of(N)) == []


@pytest.mark.parametrize(
    ("column", "name"),
    [
        ("brightness", "brightness"),
        ("contrast", "contrast"),
        ("darkest", "brightness of the darkest pixels"),
        ("lightest", "brightness of the lightest pixels"),
        ("saturation", "saturation"),
        ("sharpness", "sharpness"),
        ("border_spread", "spread of the border"),
    ],
)
@pytest.mark.parametrize("sign", [1, -1])
def test_a_property_that_is_another_with_the_label_is_found(column: str, name: str, sign: int) -> None:
    facts = facts_of(N)
    values = 1 + getattr(facts, column) + GLASSES * sign * 3 * getattr(facts, column).std()
    finding = found(source(), facts_of(N, **{column: values}))[f"{name}: glasses"]
    assert (finding.kind, finding.severity, finding.figure_name) == ("shortcut", "warning", "AUC")
    low, high = finding.details["interval"]
    assert finding.details["limit"] < low < finding.figure < high <= 1
    assert (finding.details["images_with"], finding.details["images_without"]) == (40, 80)


def test_the_finding_says_the_direction_and_shows_images_of_both_sides() -> None:
    brightness = facts_of(N).brightness + GLASSES
    finding = found(source(), facts_of(N, brightness=brightness))["brightness: glasses"]
    assert finding.sentence.startswith(
        "Images with 'glasses' are brighter: the brightness by itself predicts the label, AUC 1.000 (corrected "
        "interval 0."
    )
    assert "40 images with it, 80 without" in finding.sentence
    order = np.argsort(brightness)
    assert finding.details["with"] == [f"{i}.jpg" for i in order[::-1][:8]]
    assert finding.details["without"] == [f"{i}.jpg" for i in order[:8]]
    assert finding.files == (*finding.details["with"], *finding.details["without"])
    darker = found(source(), facts_of(N, brightness=1 - brightness / 3))["brightness: glasses"]
    assert "Images with 'glasses' are darker" in darker.sentence
    assert darker.figure == finding.figure


def test_sizes_formats_modes_cameras_and_sizes_of_files_are_found() -> None:
    sizes = np.where(GLASSES[:, None], [400, 400], [480, 640]).astype(np.int32)
    several = facts_of(
        N,
        sizes=sizes,
        formats=["PNG" if one else "JPEG" for one in GLASSES],
        modes=["L" if one else "RGB" for one in GLASSES],
        cameras=["A" if one else "B" for one in GLASSES],
        size_bytes=np.where(GLASSES, 50_000, 100_000) + np.arange(N),
    )
    names = ["height", "width", "aspect ratio", "file format", "colour mode", "camera", "file size"]
    assert {f"{name}: glasses" for name in names} <= set(found(source(), several))


def test_another_compression_is_found_where_the_bytes_vary_with_the_detail() -> None:
    facts = facts_of(N)
    rng = np.random.default_rng(5)
    area = facts.sizes.prod(axis=1)
    sharpness = rng.lognormal(-3, 1, N)
    size_bytes = (area * sharpness**0.7 * np.where(GLASSES, 0.7, 1) * rng.lognormal(0, 0.1, N)).astype(np.int64)
    several = found(source(), facts_of(N, sharpness=sharpness, size_bytes=size_bytes))
    assert list(several) == ["compression: glasses"]
    assert "images with 'glasses' are more compressed" in several["compression: glasses"].sentence.lower()


def test_a_folder_that_predicts_a_label_is_a_shortcut() -> None:
    files = [f"train/site_{'a' if one else 'b'}/{i}.jpg" for i, one in enumerate(GLASSES)]
    assert list(found(source(files=files), facts_of(N))) == ["folder: glasses"]


def test_folders_and_files_that_are_called_after_their_class_are_no_shortcut() -> None:
    classes = [("cat", "dog", "cow")[i % 3] for i in range(N)]
    named = [f"train/{name.upper()}/{name}_{i:03}.jpg" for i, name in enumerate(classes)]
    assert found(source_of_classes(classes, named), facts_of(N)) == {}
    other = [f"n0{ord(name[2])}/{i:03}.jpg" for i, name in enumerate(classes)]
    assert found(source_of_classes(classes, other), facts_of(N)) == {}


def test_a_folder_of_several_class_folders_is_no_shortcut_and_one_that_mixes_classes_is() -> None:
    breeds = ["poodle", "persian", "siamese", "sphynx"]
    classes = [breeds[i % 4] for i in range(N)]
    above = [f"{'dogs' if name == 'poodle' else 'cats'}/{name}/{i}.jpg" for i, name in enumerate(classes)]
    sick = [("sick", "sicker")[i // 4 % 2] if i % 4 < 2 else "well" for i in range(N)]
    assert found(source_of_classes(classes, above), facts_of(N)) == {}
    sites = [f"site{i % 4 // 2}/{i}.jpg" for i in range(N)]
    assert list(found(source_of_classes(sick, sites), facts_of(N))) == ["folder: well"]


def test_a_folder_inside_of_a_class_folder_is_a_shortcut() -> None:
    classes = ["cat" if one else "dog" for one in GLASSES]
    files = [
        f"{name}/{'indoors' if one else 'outdoors'}/{i}.jpg"
        for i, (name, one) in enumerate(zip(classes, GLASSES, strict=True))
    ]
    assert list(found(source_of_classes(classes, files), facts_of(N))) == ["folder: cat"]


def test_names_of_files_that_predict_a_label_are_a_note() -> None:
    files = [f"{'IMG' if one else 'DSC'}_{i:04}.jpg" for i, one in enumerate(GLASSES)]
    (finding,) = found(source(files=files), facts_of(N)).values()
    assert (finding.kind, finding.severity) == ("names_predict_labels", "note")
    assert finding.details["property"] == "beginning of the file name"
    files = [f"{i + 1000 * one:04}.jpg" for i, one in enumerate(GLASSES)]
    assert list(found(source(files=files), facts_of(N))) == ["number in the file name: glasses"]


def test_unknown_cells_are_left_out() -> None:
    sets = [
        LabelSet({"glasses"}) if one else LabelSet({"hat"} if i % 2 else (), unknown={"glasses"} if i % 4 < 2 else ())
        for i, one in enumerate(GLASSES)
    ]
    is_unknown = np.array(["glasses" in one.unknown for one in sets])
    brightness = np.where(GLASSES | is_unknown, 0.8, 0.2) + np.linspace(0, 0.1, N)
    finding = found(source_of_labels(sets), facts_of(N, brightness=brightness))["brightness: glasses"]
    assert (finding.figure, finding.details["images_without"]) == (1, int((~GLASSES & ~is_unknown).sum()))


def test_unreadable_images_are_left_out() -> None:
    brightness = np.where(GLASSES, 0.8, 0.5) + np.linspace(0, 0.1, N)
    bad = {int(i): "truncated" for i in np.flatnonzero(GLASSES)[:5]}
    brightness[list(bad)] = 0
    finding = found(source(), facts_of(N, brightness=brightness, errors=bad))["brightness: glasses"]
    assert (finding.figure, finding.details["images_with"]) == (1, 35)


def test_of_two_classes_only_one_is_reported() -> None:
    classes = ["cat" if one else "dog" for one in GLASSES]
    assert list(found(source_of_classes(classes), facts_of(N, brightness=GLASSES + 0.0))) == ["brightness: cat"]


def test_each_of_three_classes_is_one_against_the_rest() -> None:
    classes = [("cat", "dog", "cow")[i % 3] for i in range(N)]
    brightness = np.array([{"cat": 0.2, "dog": 0.5, "cow": 0.8}[name] for name in classes])
    assert set(found(source_of_classes(classes), facts_of(N, brightness=brightness))) == {
        "brightness: cat",
        "brightness: cow",
    }


def test_numbers_are_above_or_below_their_median_and_points_have_no_shortcut() -> None:
    ages = np.linspace(1, 80, N)
    ages[:6] = np.nan
    facts = facts_of(N, brightness=ages / 100)
    finding = found(source_of_numbers(ages[:, None], names=("age",)), facts)["brightness: age above its median"]
    assert (finding.figure, finding.details["images_with"] + finding.details["images_without"]) == (1, N - 6)
    assert shortcut_findings(source_of_points(np.zeros((N, 2, 2))), facts) == []


def test_frames_of_few_films_are_not_taken_for_many_images() -> None:
    """The 40 images with the label are of 4 films: that these are all brighter is chance."""
    group = [f"film {i // 30 if one else 4 + i // 12}" for i, one in enumerate(GLASSES)]
    brightness = GLASSES * 0.5 + np.linspace(0, 0.1, N)
    assert found(source(), facts_of(N, brightness=brightness))
    assert found(source(group=group), facts_of(N, brightness=brightness)) == {}


def test_a_group_that_is_a_folder_does_not_predict_its_own_images() -> None:
    group = [f"patient {i % 30}" for i in range(N)]
    sick = np.arange(N) % 30 < 10
    files = [f"{group[i]}/{i}.jpg" for i in range(N)]
    labels = [{"sick"} if one else set[str]() for one in sick]
    grouped = source_of_labels(labels, files, group=group)
    assert [one.property.name for one in shortcuts(grouped, facts_of(N))[0]] == []


def test_random_labels_have_no_shortcuts() -> None:
    """50 times: 300 images, 12 labels from rare to frequent, 15 properties and more."""
    rng = np.random.default_rng(3)
    claimed = 0
    for seed in range(50):
        cells = rng.random((300, 12)) < np.linspace(0.04, 0.6, 12)
        files = [f"site{rng.integers(40)}/{'abcdef'[rng.integers(6)]}{rng.integers(999):03}.jpg" for _ in range(300)]
        facts = facts_of(300, seed=seed, cameras=[f"camera {i}" for i in rng.integers(0, 60, 300)])
        labels = source_of_labels([{f"label {j}" for j in np.flatnonzero(row)} for row in cells], files)
        claimed += len(shortcuts(labels, facts)[0])
    assert claimed == 0


def test_labels_with_few_images_are_not_tried() -> None:
    few = source_of_labels([{"glasses"} if i < 9 else set[str]() for i in range(N)])
    assert shortcuts(few, facts_of(N, brightness=(np.arange(N) < 9) + 0.0)) == ([], 1)


def test_the_order_of_the_rows_does_not_matter() -> None:
    files = [f"site_{i % 7}/{i}.jpg" for i in range(N)]
    facts = facts_of(N, brightness=np.arange(N) % 3 + np.linspace(0, 1.5, N), cameras=[f"{i % 5}" for i in range(N)])
    order = np.random.default_rng(0).permutation(N)
    shuffled = facts_of(N, brightness=facts.brightness[order], cameras=[f"{i % 5}" for i in order])
    sources = [
        source_of_labels([{"x"} if i % 3 == 0 or i % 7 == 1 else set[str]() for i in rows], [files[i] for i in rows])
        for rows in (range(N), order)
    ]
    first, second = (
        {one.property.name: one.auc for one in shortcuts(each, table)[0]}
        for each, table in zip(sources, (facts, shuffled), strict=True)
    )
    assert first == pytest.approx(second)


def photograph(path: Path, rng: np.random.Generator, change: str) -> None:
    """An image with structure; every other property varies as in photographs."""
    coarse = rng.integers(0, 256, (6, 8, 3)).astype(np.uint8)
    pixels = np.asarray(PIL.Image.fromarray(coarse).resize((160, 120), PIL.Image.Resampling.BICUBIC)).astype(float)
    pixels = 128 + (pixels - 128) * rng.uniform(0.4, 0.8) + rng.normal(0, 12, pixels.shape) + rng.normal(0, 20)
    if change == "brightness":
        pixels += 51
    pixels *= 0.8 if change == "a fifth darker" else 1
    if change == "border":
        pixels[:5], pixels[-5:], pixels[:, :5], pixels[:, -5:] = 0, 0, 0, 0
    image = PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
    image.save(path, quality=60 if change == "file size" else 90)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ("", set[str]()),
        ("brightness", {"brightness", "brightness of the darkest pixels"}),
        ("a fifth darker", {"brightness of the lightest pixels"}),
        ("border", {"spread of the border", "brightness of the border"}),
        ("file size", {"file size", "number of bytes per pixel"}),
    ],
)
def test_planted_shortcuts_are_found_in_files(tmp_path: Path, change: str, names: set[str]) -> None:
    rng = np.random.default_rng(4)
    files = [f"{i:03}.jpg" for i in range(N)]
    for i, name in enumerate(files):
        photograph(tmp_path / name, rng, change if GLASSES[i] else "")
    labelled = source(files=files)
    facts = read_facts([tmp_path / name for name in files], threads=1)
    claims = {one.property.name for one in shortcuts(labelled, facts)[0] if one.label == "glasses"}
    assert names <= claims
    assert bool(claims) == bool(change)
