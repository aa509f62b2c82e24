"""A saved model of each kind that is small, and one export of it."""

from pathlib import Path

import pytest

from eyebright.evaluation.decide import fit_decision
from eyebright.export.export_onnx import Exported, export_onnx_files
from eyebright.tasks.calibration import Temperature
from eyebright.types import Thresholds
from support.images import coloured_squares
from support.learners import small_learner, squares_block


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with labels, three answers and an out-of-distribution score, with its validation images beside it."""
    root = tmp_path_factory.mktemp("export")
    rows = coloured_squares(root / "photos", 40)
    learner = small_learner(squares_block(root / "photos").dataloaders(rows, bs=8, num_workers=0))
    evaluation = learner.evaluate()
    decision = fit_decision(evaluation).with_calibration(Temperature(1.5))
    learner.decision = decision.with_thresholds(Thresholds(0.5, lower=0.45))
    evaluation = evaluation.with_decision(learner.decision)
    ood = learner.fit_out_of_distribution()
    assert ood is not None
    return learner.save_model(root / "model", evaluation=evaluation, out_of_distribution=ood)


@pytest.fixture(scope="session")
def exported(saved: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Its export, in another folder."""
    return export_onnx_files(saved, out=tmp_path_factory.mktemp("shipped"))
