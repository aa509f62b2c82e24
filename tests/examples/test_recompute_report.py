"""The script computes every score of a report again, from the saved evaluation alone."""

import json
import runpy
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyebright.evaluation.decide import fit_decision
from eyebright.learner.learner import Learner
from eyebright.tasks.calibration import Beta, Calibration, Isotonic, NoCalibration, Platt, Temperature
from eyebright.workflow.report import make_report
from support.images import coloured_squares
from support.learners import SQUARES, small_learner, squares_block

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "recompute_report.py"
CALIBRATIONS: dict[str, Calibration] = {
    "temperature": Temperature(2.5),
    "platt": Platt((0.5, 1.0, 2.0), (0.1, -1.0, 0.3)),
    "beta": Beta((0.5, 1.0, 2.0), (0.8, 1.0, 0.4), (0.1, -0.5, 0.3)),
    "isotonic": Isotonic(((-1.0, 0.0, 1.0),) * 3, ((-2.0, -0.5, 1.0),) * 3),
}


@pytest.fixture(scope="module")
def learner_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Learner]:
    """Makes a learner with random weights, once for each kind of target."""
    images, made = tmp_path_factory.mktemp("photos"), dict[str, Learner]()
    rows = coloured_squares(images, 120)

    def learner(kind: str) -> Learner:
        if kind not in made:
            dls = squares_block(images, **SQUARES[kind]).dataloaders(rows, bs=8, num_workers=0)
            made[kind] = small_learner(dls)
        return made[kind]

    return learner


def saved(learner: Learner, folder: Path, calibration: Calibration | None = None) -> Path:
    evaluation = learner.evaluate()
    calibrated = replace(learner.decision, calibration=calibration or NoCalibration())
    learner.decision = fit_decision(evaluation.with_decision(calibrated))
    learner.save_model(folder, evaluation=evaluation.with_decision(learner.decision))
    make_report(folder)
    return folder


def check(folder: Path) -> None:
    """Every score of the report is computed by the script, and equal."""
    script = runpy.run_path(str(SCRIPT))
    expected = script["reported"](json.loads((folder / "report.json").read_text(encoding="utf-8")))
    computed: dict[str, Any] = script["recompute"](folder)
    counts = ("known", "unknown", "images", "predicted", "in_training", "threshold", "_of_targets", "largest", "_90")
    scores = {name for name in expected if not name.endswith(counts)}
    assert computed.keys() == scores
    for name in scores:
        assert computed[name] == pytest.approx(expected[name], rel=1e-4, abs=1e-6), name


@pytest.mark.parametrize("kind", SQUARES)
def test_every_score_of_a_report_is_computed_again(
    kind: str, learner_of: Callable[[str], Learner], tmp_path: Path
) -> None:
    check(saved(learner_of(kind), tmp_path / "model"))


@pytest.mark.parametrize("kind", CALIBRATIONS)
def test_calibrated_scores_are_computed_again(kind: str, learner_of: Callable[[str], Learner], tmp_path: Path) -> None:
    check(saved(learner_of("multicategory"), tmp_path / "model", CALIBRATIONS[kind]))


def test_the_script_prints_both_scores_and_fails_where_they_differ(
    learner_of: Callable[[str], Learner], tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    folder = saved(learner_of("multicategory"), tmp_path / "model")
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(folder)])
    with pytest.raises(SystemExit, match="^False$"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
    name, *pair = capsys.readouterr().out.splitlines()[0].split()
    assert name == "mAP"
    assert np.allclose(*map(float, pair))
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    report["metrics"][0]["value"] += 0.01
    (folder / "report.json").write_text(json.dumps(report), encoding="utf-8")
    with pytest.raises(SystemExit, match="^True$"):
        runpy.run_path(str(SCRIPT), run_name="__main__")
