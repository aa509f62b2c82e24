"""Suspects of a saved model are found from its folder alone, and written as CSV and JSON."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from eyebright.cli.main import run
from eyebright.errors import ArtifactError, InputError
from eyebright.evaluation.suspects import find_suspects
from eyebright.inference.model_folder import load_evaluation
from eyebright.workflow.command_options.labelling import SuspectOptions
from eyebright.workflow.report import make_report
from eyebright.workflow.suspects import COLUMNS, make_suspects
from support.images import coloured_squares
from support.learners import small_learner, squares_block


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two folders of the same model, with and without out-of-fold predictions; some of its targets are wrong."""
    root = tmp_path_factory.mktemp("models")
    rows = coloured_squares(root / "photos", 40)
    learner = small_learner(squares_block(root / "photos").dataloaders(rows, bs=8, num_workers=0))
    evaluation = learner.evaluate()
    targets = evaluation.targets.clone()
    targets[0] = 1 - targets[0]
    targets[1, 0] = torch.nan
    outputs = 4 * (2 * evaluation.targets.nan_to_num() - 1)
    found = replace(evaluation, targets=targets, outputs=outputs)
    learner.save_model(root / "without", evaluation=found)
    learner.save_model(root / "with", evaluation=found, out_of_fold=replace(found, part="out_of_fold"))
    return {"with": root / "with", "without": root / "without"}


def test_all_suspects_are_written(models: dict[str, Path], tmp_path: Path) -> None:
    options = SuspectOptions(models["with"], out=tmp_path / "new" / "s.csv", json=tmp_path / "new" / "s.json")
    found = make_suspects(options)
    assert found.notice == ""
    assert list(found.suspects) == find_suspects(load_evaluation(models["with"], part="out_of_fold"))
    assert {one.file for one in found.suspects[:2]} == {found.evaluation.files[0]}
    with (tmp_path / "new" / "s.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == COLUMNS
    assert [row["file"] for row in rows] == [one.file for one in found.suspects]
    assert [float(row["score"]) for row in rows] == pytest.approx([one.score for one in found.suspects], rel=1e-5)
    content = json.loads((tmp_path / "new" / "s.json").read_text(encoding="utf-8"))
    assert (content["part"], content["images"]) == ("out_of_fold", len(found.evaluation))
    assert [one["label"] for one in content["suspects"]] == [one.label for one in found.suspects]
    make_suspects(options)  # its own files may be replaced


def test_without_out_of_fold_answers_validation_images_are_looked_at_and_it_is_said(
    models: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    found = make_suspects(SuspectOptions(models["without"]))
    assert found.notice == "no out-of-fold predictions: only the 10 validation images are examined"
    assert run(["suspects", str(models["without"]), "--limit", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{found.notice}; to examine all labelled images, train with eyebright train --folds 5")
    assert lines[1] == f"{len(found.suspects)} suspects in 10 images"
    assert found.suspects[0].file in lines[2]
    assert lines[3:] == [f"{len(found.suspects) - 1} more; --out FILE has all of them"]


def test_each_suspect_is_one_line(models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["suspects", str(models["with"]), "--out", str(tmp_path / "s.csv")]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("wrong label: " in line and " is given, its probability is 0." in line for line in lines)
    assert lines[-1] == f"suspects: {tmp_path / 's.csv'}"


def test_other_files_are_not_written_over(models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "labels").write_text("file,labels\n")
    for option in ("out", "json"):
        with pytest.raises(InputError, match=r"labels' exists and holds no suspects"):
            make_suspects(replace(SuspectOptions(models["with"]), **{option: tmp_path / "labels"}))
    with pytest.raises(ArtifactError, match="there is no model folder"):
        make_suspects(SuspectOptions(tmp_path / "nothing"))


def test_the_report_shows_them(models: dict[str, Path], tmp_path: Path) -> None:
    data = make_report(models["with"], out=tmp_path / "report.html")
    (section,) = (section for section in data.sections if section.anchor == "suspects")
    assert "labelled images (each predicted by a head that was not fitted to it)" in section.intro
    first = section.blocks[0].cards[0]  # type: ignore[union-attr]
    assert first.path == make_suspects(SuspectOptions(models["with"])).suspects[0].file
    data = make_report(models["without"], out=tmp_path / "report.html")
    assert any("10 validation images" in one.intro for one in data.sections if one.anchor == "suspects")
