"""``eyebright report``: the page of the training again, and what is said where images or points are missing."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

from eyebright.cli.main import run
from support.images import coloured_squares
from support.learners import TINY_ARCH, use_random_weights

QUICK = ["--arch", TINY_ARCH, "--size", "32", "--epochs", "1", "--precision", "float32", "--quiet", "--bs", "8"]
QUICK += ["--head", "book"]  # a fitted head makes no mistakes here, and the page has images of mistakes


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """The labels of the coloured squares in ``table.attrs["folder"]``."""
    folder = tmp_path_factory.mktemp("squares")
    table = coloured_squares(folder / "photos", 40)
    table.attrs["folder"] = folder
    table[["fname", "labels", "is_valid"]].to_csv(folder / "labels.csv", index=False)
    return table


@pytest.fixture(scope="module")
def model(table: pd.DataFrame) -> Path:
    """A model that the command line has trained."""
    folder = table.attrs["folder"]
    with pytest.MonkeyPatch.context() as patch:  # the small network has no weights that a package brings
        use_random_weights(patch)
        arguments = [str(folder / "labels.csv"), "--images", str(folder / "photos"), "--out", str(folder / "model")]
        assert run(["train", *arguments, *QUICK]) == 0
    return folder / "model"


def test_the_report_of_the_folder_is_the_one_of_the_training(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (model / "report.html").read_bytes()
    assert run(["report", str(model), "--out", str(tmp_path / "again.html")]) == 0
    assert (tmp_path / "again.html").read_bytes() == before
    said = capsys.readouterr()
    assert said.out.splitlines()[0].startswith("mAP 0.")
    assert said.out.splitlines()[-1] == f"report: {tmp_path / 'again.html'}"
    assert said.err == ""
    assert run(["report", str(model)]) == 0
    assert (model / "report.html").read_bytes() == before


def test_moved_images_are_reported_and_found_with_their_new_folder(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (model / "report.html").read_bytes()
    photos = model.parent / "photos"
    shutil.move(photos, tmp_path / "elsewhere")
    try:
        assert run(["report", str(model), "--out", str(tmp_path / "without.html")]) == 0
        said = capsys.readouterr()
        assert "could not be read, or are not the evaluated ones" in said.err
        assert "--images" in said.err
        assert b"data:image" not in (tmp_path / "without.html").read_bytes()
        given = ["report", str(model), "--images", str(tmp_path / "elsewhere"), "--out", str(tmp_path / "with.html")]
        assert run(given) == 0
        assert (tmp_path / "with.html").read_bytes() == before
        assert capsys.readouterr().err == ""
    finally:
        shutil.move(tmp_path / "elsewhere", photos)


def test_a_project_that_was_moved_keeps_its_thumbnails(model: Path, tmp_path: Path) -> None:
    before = (model / "report.html").read_bytes()
    shutil.copytree(model.parent, tmp_path / "project")
    (tmp_path / "project" / "photos").rename(tmp_path / "project" / "pictures")
    moved = tmp_path / "project" / "model"
    assert run(["report", str(moved), "--out", str(tmp_path / "gone.html")]) == 0
    assert (tmp_path / "gone.html").read_bytes() != before
    (tmp_path / "project" / "pictures").rename(tmp_path / "project" / "photos")
    assert run(["report", str(moved)]) == 0
    assert (moved / "report.html").read_bytes() == before
    assert str(model.parent).encode() not in (moved / "evaluation.parquet").read_bytes()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda model: (model / "evaluation.parquet").unlink(), "contains no evaluation.parquet"),
        (lambda model: (model / "evaluation.parquet").write_bytes(b""), "is damaged, or belongs to another model"),
        (lambda model: (model / "history.csv").write_text("epoch\nlow\n"), "cannot read the history"),
        (lambda model: shutil.rmtree(model), "there is no model folder"),
    ],
)
def test_missing_or_damaged_files_are_an_error_of_one_line(
    model: Path, spoil: object, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model, tmp_path / "model")
    spoil(tmp_path / "model")  # type: ignore[operator]
    assert run(["report", str(tmp_path / "model")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert words in error
    assert len(error.splitlines()) == 1


def test_labels_cannot_be_normalised_by_points(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["report", str(model), "--normalize-by", "left,right"]) == 2
    assert capsys.readouterr().err == "error: --normalize-by (left, right) is for models that predict points\n"
    assert run(["report", str(model), "--images", str(model / "nowhere")]) == 2
    assert "there is no folder of images" in capsys.readouterr().err


def test_wrongly_edited_report_facts_are_an_error_of_one_line(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(model, tmp_path / "model")
    file = tmp_path / "model" / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    manifest["report"]["split"] = 3
    file.write_text(json.dumps(manifest), encoding="utf-8")
    assert run(["report", str(tmp_path / "model")]) == 2
    assert "the saved facts of the report have the wrong form" in capsys.readouterr().err


def test_what_is_no_page_is_not_written_over(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "labels.csv").write_text("file,labels\n")
    assert run(["report", str(model), "--out", str(tmp_path / "labels.csv")]) == 2
    assert "labels.csv' exists and holds no report; choose another file for --out" in capsys.readouterr().err
    assert (tmp_path / "labels.csv").read_text() == "file,labels\n"
