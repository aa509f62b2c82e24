import csv
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from eyebright.sources.label_table import read_labels

Run = Callable[..., subprocess.CompletedProcess[str]]
DRAWINGS = Path(__file__).resolve().parents[2] / "demo" / "drawings"
LABELS = {path.stem.split("-")[0] for path in (DRAWINGS / "twemoji").rglob("*.png")}


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "labels.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_table_names_exactly_the_images_that_are_there(shelf: tuple[Path, str]) -> None:
    out, _ = shelf
    assert sorted(row["fname"] for row in rows(out)) == sorted(path.name for path in (out / "photos").iterdir())
    assert len(rows(out)) == 60


def test_the_table_reads_as_several_labels_an_image_with_some_images_empty(shelf: tuple[Path, str]) -> None:
    table = read_labels(shelf[0] / "labels.csv")
    assert table.kind == "multi"
    assert {label for labels in table.labels for label in labels} == LABELS
    assert any(labels == () for labels in table.labels)
    assert sum(len(labels) > 1 for labels in table.labels) > 10


def test_a_quarter_of_the_images_validates(shelf: tuple[Path, str]) -> None:
    assert Counter(row["is_valid"] for row in rows(shelf[0])) == {"False": 45, "True": 15}


def test_labels_stand_once_and_in_order(shelf: tuple[Path, str]) -> None:
    for row in rows(shelf[0]):
        names = row["labels"].split()
        assert names == sorted(set(names))


def test_images_are_small_photographs_of_the_size_that_was_promised(shelf: tuple[Path, str]) -> None:
    for path in [*(shelf[0] / "photos").iterdir(), *(shelf[0] / "new").iterdir()]:
        with PIL.Image.open(path) as image:
            assert (image.format, image.mode) == ("JPEG", "RGB")
            assert 320 <= image.width <= 400
            assert 240 <= image.height <= 300
            assert np.asarray(image).std() > 8, "more than one flat colour"


def test_it_says_how_many_images_show_each_label_and_who_drew_them(shelf: tuple[Path, str]) -> None:
    out, said = shelf
    counts = {part: Counter[str]() for part in ("False", "True")}
    for row in rows(out):
        counts[row["is_valid"]].update(row["labels"].split())
    for label in LABELS:
        assert f"  {label:<8}{counts['False'][label]:>7}{counts['True'][label]:>7}\n" in said + "\n"
    assert "drawn by emojitwo, fluent, noto\n" in said
    assert "drawn by twemoji, whom training never sees" in said


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_ones(
    shelf: tuple[Path, str], tmp_path: Path, run_make_shelf: Run
) -> None:
    run_make_shelf(tmp_path / "same", "--images", 60)
    run_make_shelf(tmp_path / "other", "--images", 60, "--seed", 1)
    first = {path.relative_to(shelf[0]): path.read_bytes() for path in shelf[0].rglob("*.*")}
    same = {path.relative_to(tmp_path / "same"): path.read_bytes() for path in (tmp_path / "same").rglob("*.*")}
    assert same == first
    assert rows(tmp_path / "other") != rows(shelf[0])


def test_any_house_can_be_the_one_that_training_never_sees(tmp_path: Path, run_make_shelf: Run) -> None:
    done = run_make_shelf(tmp_path, "--images", 8, "--hold-out", "noto")
    assert "drawn by emojitwo, fluent, twemoji\n" in done.stdout
    assert "drawn by noto, whom training never sees" in done.stdout


@pytest.mark.parametrize(("option", "value"), [("--hold-out", "rembrandt"), ("--images", "3"), ("--images", "many")])
def test_what_cannot_be_made_is_refused_before_anything_is_written(
    option: str, value: str, tmp_path: Path, run_make_shelf: Run
) -> None:
    done = run_make_shelf(tmp_path / "set", option, value)
    assert done.returncode == 2
    assert option in done.stderr
    assert not (tmp_path / "set").exists()
