"""``eyebright compare``: what is printed of two models."""

from pathlib import Path

import pytest

from eyebright.cli.main import run
from eyebright.evaluation.decide import fit_decision
from support.images import coloured_squares
from support.learners import small_learner, squares_block


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """Two models of the coloured squares."""
    root = tmp_path_factory.mktemp("models")
    rows = coloured_squares(root / "photos", 60)
    dls = squares_block(root / "photos").dataloaders(rows, bs=8, num_workers=0)
    for name, seed in (("old", 0), ("new", 1)):
        learner = small_learner(dls, seed=seed)
        evaluation = learner.evaluate()
        learner.decision = fit_decision(evaluation)
        learner.save_model(root / name, evaluation=evaluation.with_decision(learner.decision))
    return str(root / "old"), str(root / "new")


def test_scores_and_changed_images_are_printed(
    models: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["compare", *models, "--out", str(tmp_path / "changes.html"), "--show", "1"]) == 0
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "15 images that both models evaluated"
    assert lines[1].startswith("mAP from 0.")
    assert "95 % CI" in lines[1]
    assert sum(line.startswith("worse: 0") for line in lines) <= 1
    assert lines[-1] == f"comparison: {tmp_path / 'changes.html'}"
    assert said.err == ""


def test_a_model_beside_itself_changes_nothing(models: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", models[0], models[0]]) == 0
    out = capsys.readouterr().out
    assert "0 from wrong to right, 0 from right to wrong" in out
    assert "worse:" not in out


def test_an_error_is_one_line(models: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", models[0], str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
