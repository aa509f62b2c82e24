"""A model folder of an older schema is written as one of today, with the same predictions."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from eyebright.cli.main import run
from eyebright.errors import ArtifactError, InputError
from eyebright.inference import save_folder
from eyebright.inference.inspect_folder import inspect_folder
from eyebright.inference.load_predictor import load_predictor
from eyebright.workflow.migrate import migrate_model
from eyebright.workflow.report import make_report
from support.tuned_models import saved

OLD = Path(__file__).parents[1] / "inference" / "schema_1"
IMAGES = sorted((OLD / "images").glob("*.png"))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("kind", ["classes", "labels", "numbers", "points"])
def test_the_migrated_model_gives_the_same_predictions(kind: str, tmp_path: Path) -> None:
    before = contents(OLD / kind)
    new = migrate_model(OLD / kind, out=tmp_path / "new")
    assert contents(OLD / kind) == before
    old, found = (load_predictor(folder, device="cpu").predict(IMAGES) for folder in (OLD / kind, new))
    for one, other in zip(old, found, strict=True):
        np.testing.assert_array_equal(one.activated, other.activated)
    assert json.loads((new / "manifest.json").read_text())["schema"] == 2
    assert inspect_folder(new).problems == []
    assert (new / "README.md").is_file()


def test_a_model_is_migrated_where_it_is_and_only_once(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(OLD / "labels", tmp_path / "model"))
    said: list[str] = []
    migrate_model(folder, say=said.append)
    assert "now has schema 2 (before: 1)" in said[0]
    after = contents(folder)
    said.clear()
    migrate_model(folder, say=said.append)
    assert "already has schema 2" in said[0]
    assert contents(folder) == after


@pytest.mark.parametrize("missing", [["README.md"], ["report.html", "README.md", "report.json"], ["report.json"]])
@pytest.mark.parametrize("has_evaluation", [True, False])
def test_what_a_killed_migration_has_not_written_is_written_by_the_next(
    has_evaluation: bool, missing: list[str], tmp_path: Path
) -> None:
    if has_evaluation:
        folder = saved(tmp_path / "model")
        make_report(folder)
    else:
        folder = Path(shutil.copytree(OLD / "labels", tmp_path / "model"))
        migrate_model(folder)
    after = contents(folder)
    there = [name for name in missing if (folder / name).is_file()]
    for name in there:
        (folder / name).unlink()
    (folder / ".manifest.json.0a1b2c3d").mkdir()
    said: list[str] = []
    migrate_model(folder, say=said.append)
    assert ("its report and model card are written" if there else "nothing was changed") in said[0]
    assert contents(folder) == after


def test_an_evaluation_that_is_missing_is_no_report_that_is_missing(tmp_path: Path) -> None:
    folder = saved(tmp_path / "model")
    (folder / "evaluation.parquet").unlink()
    migrate_model(folder)
    assert (folder / "README.md").is_file()


def test_a_full_disk_leaves_the_old_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = Path(shutil.copytree(OLD / "labels", tmp_path / "model"))
    before = contents(folder)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(save_folder, "save_file", full)
    with pytest.raises(ArtifactError, match="No space left on device; what was there before is unchanged"):
        migrate_model(folder)
    assert contents(folder) == before


def test_a_folder_that_holds_something_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(InputError, match=r"`out` must be a new or an empty folder, but '.*' contains 'mine.txt'"):
        migrate_model(OLD / "labels", out=tmp_path)
    with pytest.raises(InputError, match="is not: Not a directory"):
        migrate_model(OLD / "labels", out=tmp_path / "mine.txt")


def test_the_command_says_where_the_model_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["migrate", str(OLD / "numbers"), "--out", str(tmp_path / "new")]) == 0
    assert f"model: {tmp_path / 'new'}" in capsys.readouterr().out
    assert run(["migrate", str(tmp_path / "none")]) == 2
