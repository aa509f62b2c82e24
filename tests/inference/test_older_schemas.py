"""Model folders of older versions can be loaded and give the same predictions as when they were saved."""

import json
from pathlib import Path

import numpy as np
import pytest

from eyebright.errors import ArtifactError
from eyebright.inference.folder_format import MANIFEST
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.model_folder import load_evaluation, load_model
from eyebright.inference.save_folder import save_model

FOLDER = Path(__file__).with_name("schema_1")
KINDS = sorted(path.parent.name for path in FOLDER.glob(f"*/{MANIFEST}"))
IMAGES = sorted((FOLDER / "images").glob("*.png"))


def test_there_is_a_folder_for_each_kind_of_target_of_schema_1() -> None:
    assert KINDS == ["classes", "labels", "numbers", "points"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_schema_1_gives_the_same_predictions(kind: str) -> None:
    assert json.loads((FOLDER / kind / MANIFEST).read_text(encoding="utf-8"))["schema"] == 1
    expected = json.loads((FOLDER / kind / "expected.json").read_text(encoding="utf-8"))
    predictor = load_predictor(FOLDER / kind, device="cpu")
    predictions = predictor.predict(IMAGES)
    assert [predictor.target.text(one.decoded) for one in predictions] == expected["words"]
    frame = predictions.to_frame()
    assert list(frame.columns) == expected["frame"]["columns"]
    for column, cells in zip(
        frame.columns[1:], zip(*[row[1:] for row in expected["frame"]["data"]], strict=True), strict=True
    ):
        if column == "labels":
            assert frame[column].tolist() == list(cells)
        else:
            np.testing.assert_allclose(frame[column], cells, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_of_schema_1_is_saved_as_the_newest_schema(kind: str, tmp_path: Path) -> None:
    manifest, state = load_model(FOLDER / kind)
    save_model(tmp_path, manifest, state)
    again, _ = load_model(tmp_path)
    assert json.loads((tmp_path / MANIFEST).read_text(encoding="utf-8"))["schema"] == 2
    assert (again.decision, again.model) == (manifest.decision, manifest.model)


def test_the_missing_evaluation_of_a_model_of_schema_1_is_an_error_that_says_so() -> None:
    with pytest.raises(ArtifactError, match=r"contains no evaluation.parquet, since the model was saved without"):
        load_evaluation(FOLDER / "labels")
