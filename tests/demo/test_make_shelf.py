import csv
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from eyebright.sources.read import read_source

Run = Callable[..., subprocess.CompletedProcess[str]]
DRAWINGS = Path(__file__).resolve().parents[2] / "demo" / "drawings"
LABELS = {path.stem.split("-")[0] for path in (DRAWINGS / "twemoji").rglob("*.png")}


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_has_one_row_for_each_image_file(shelf: tuple[Path, str]) -> None:
    out, _ = shelf
    assert sorted(row["fname"] for row in rows(out)) == sorted(path.name for path in (out / "photos").iterdir())
    assert len(rows(out)) == 60


def test_images_have_several_labels_and_some_have_none(shelf: tuple[Path, str]) -> None:
    source = read_source(shelf[0] / "labels.csv", images=shelf[0] / "photos")
    assert source.kind == "multicategory"
    assert {label for labels in source.targets for label in labels} == LABELS
    assert any(labels == set() for labels in source.targets)
    assert sum(len(labels) > 1 for labels in source.targets) > 10


def test_a_quarter_of_the_images_is_the_validation_set(shelf: tuple[Path, str]) -> None:
    assert Counter(row["is_valid"] for row in rows(shelf[0])) == {"False": 45, "True": 15}


def test_labels_are_sorted_and_unique(shelf: tuple[Path, str]) -> None:
    for row in rows(shelf[0]):
        names = row["labels"].split()
        assert names == sorted(set(names))


def test_images_are_small_rgb_jpegs(shelf: tuple[Path, str]) -> None:
    for path in [*(shelf[0] / "photos").iterdir(), *(shelf[0] / "new").iterdir()]:
        with PIL.Image.open(path) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert 320 <= image.width <= 400
            assert 240 <= image.height <= 300
            assert np.asarray(image).std() > 8, "the image is not a uniform colour"


def test_the_script_prints_the_number_of_images_per_label_and_the_vendors(shelf: tuple[Path, str]) -> None:
    out, printed = shelf
    counts = {part: Counter[str]() for part in ("False", "True")}
    for row in rows(out):
        counts[row["is_valid"]].update(row["labels"].split())
    for label in LABELS:
        assert f"  {label:<8}{counts['False'][label]:>7}{counts['True'][label]:>7}\n" in printed + "\n"
    assert "drawings by emojitwo, fluent, noto\n" in printed
    assert "drawings by twemoji, which is not in the training set" in printed


@pytest.mark.slow
def test_files_are_the_same_for_the_same_seed_and_differ_for_another(tmp_path: Path, run_make_shelf: Run) -> None:
    for name, seed in (("first", 0), ("same", 0), ("other", 1)):
        run_make_shelf(tmp_path / name, "--count", 16, "--seed", seed)
    first, same = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in (tmp_path / name).rglob("*.*")}
        for name in ("first", "same")
    )
    assert len(first) > 16
    assert same == first
    assert rows(tmp_path / "other") != rows(tmp_path / "first")


def test_any_vendor_can_be_held_out(tmp_path: Path, run_make_shelf: Run) -> None:
    result = run_make_shelf(tmp_path, "--count", 8, "--hold-out", "noto")
    assert "drawings by emojitwo, fluent, twemoji\n" in result.stdout
    assert "drawings by noto, which is not in the training set" in result.stdout


@pytest.mark.parametrize(("option", "value"), [("--hold-out", "unknown"), ("--count", "3"), ("--count", "many")])
def test_invalid_options_are_refused_before_anything_is_written(
    option: str, value: str, tmp_path: Path, run_make_shelf: Run
) -> None:
    result = run_make_shelf(tmp_path / "dataset", option, value)
    assert result.returncode == 2
    assert option in result.stderr
    assert not (tmp_path / "dataset").exists()
