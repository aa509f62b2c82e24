"""Points come back in pixels of the image that was given, and a class that asks does so, from both graphs."""

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pytest

from eyebright.export.export_onnx import export_onnx_files
from eyebright.export.files import Exported
from eyebright.export.parity import LIMIT
from eyebright.export.record import read_export
from eyebright.inference.load_predictor import load_predictor
from eyebright.types import Thresholds
from support.learners import SQUARES, small_learner, squares_block


@pytest.fixture(scope="module")
def points(folder: Path, table: pd.DataFrame) -> Path:
    dls = squares_block(folder, **SQUARES["points"]).dataloaders(table, bs=8, num_workers=0)
    return small_learner(dls).save_model(folder / "model")


@pytest.fixture(scope="module")
def of_points(points: Path) -> Exported:
    return export_onnx_files(points)


@pytest.mark.slow
def test_points_of_both_graphs_are_those_of_python(of_points: Exported) -> None:
    for parity in of_points.parity.values():
        assert parity.images == parity.made == 7
        assert parity.difference <= LIMIT
        assert parity.measured_in == "of the image's longer side"
        assert parity.answers == 0
        assert "decisions" not in parity.sentence


@pytest.mark.parametrize("size", [(90, 60), (33, 200)], ids=str)
def test_points_are_in_pixels_of_the_given_image(size: tuple[int, int], points: Path, of_points: Exported) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, *size, 3), dtype=np.uint8)
    session: Any = onnxruntime.InferenceSession(read_export(of_points.folder))
    [found] = session.run(None, {"images": images})
    assert found.shape == (2, 1, 2)
    expected = [
        one.activated.numpy() for one in load_predictor(points, device="cpu", runtime="torch").predict([*images])
    ]
    np.testing.assert_allclose(found, expected, rtol=0, atol=LIMIT * max(size))


@pytest.mark.slow
def test_a_class_that_asks_a_person_is_exported_and_compared(folder: Path, table: pd.DataFrame) -> None:
    dls = squares_block(folder, **SQUARES["category"]).dataloaders(table, bs=8, num_workers=0)
    learner = small_learner(dls)
    learner.thresholds = Thresholds(0.5, lower=0.0)
    exported = export_onnx_files(learner.save_model(folder / "asking"))
    assert exported.record.content["asks_up_to"] == 0.5
    for parity in exported.parity.values():
        assert (parity.answers, parity.changed_far) == (7, 0)
    images = np.random.default_rng(0).integers(0, 256, (4, 60, 90, 3), dtype=np.uint8)
    session: Any = onnxruntime.InferenceSession(read_export(exported.folder))
    _, _, asks = session.run(None, {"images": images})
    found = load_predictor(exported.folder, device="cpu", runtime="torch").predict([*images])
    assert asks.tolist() == [int(bool(one.ask)) for one in found]
