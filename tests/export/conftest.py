"""A saved model of each kind that is small, and one export of it."""

from collections.abc import Generator
from pathlib import Path

import pytest

from eyebright.evaluation.decide import fit_decision
from eyebright.export import page as page_module
from eyebright.export.export_onnx import export_onnx_files
from eyebright.export.exportable import Validation
from eyebright.export.files import Exported
from eyebright.export.page import ExportedPage, export_page
from eyebright.tasks.calibration import Temperature
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from eyebright.types import Thresholds
from support.chromium import Browser, chromium_path, running_chromium
from support.exports import cached_network
from support.images import coloured_squares
from support.learners import small_learner, squares_block


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with labels, three answers and an out-of-distribution score, with its validation images beside it."""
    root = tmp_path_factory.mktemp("export")
    rows = coloured_squares(root / "photos", 40)
    block = squares_block(root / "photos", item_tfms=Resize(112), batch_tfms=aug_transforms(size=96))
    learner = small_learner(block.dataloaders(rows, bs=8, num_workers=0), lin_ftrs=())  # it has heat maps
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


@pytest.fixture(scope="session")
def page(saved: Path, exported: Exported, tmp_path_factory: pytest.TempPathFactory) -> ExportedPage:
    """The page of the small model, with the network that was exported before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(page_module, "network_graph", cached_network(exported.folder))
        return export_page(saved, out=tmp_path_factory.mktemp("page"), validation=Validation(None, []))


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Generator[Browser, None, None]:
    """A Chromium for all tests."""
    program = chromium_path()
    if program is None:
        pytest.skip("Chromium is not installed")
    with running_chromium(tmp_path_factory.mktemp("chromium"), program) as running:
        yield running
