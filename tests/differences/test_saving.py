"""Defects of fastai in saved models and predictions; row numbers refer to ``README.md`` in this folder."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file

from eyebright.data.block import DataBlock
from eyebright.inference.folder_format import MANIFEST, WEIGHTS
from eyebright.inference.load_predictor import load_predictor
from eyebright.models.build import build_model, model_description
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.transforms.spatial import Resize
from eyebright.types import Thresholds
from support.gold import gold
from support.learners import small_learner, squares_learner
from support.training import in_another_process

FIRST_SCHEMA: dict[str, Any] = {
    "schema": 1,
    "created": "2025-01-01T00:00:00+00:00",
    "model": {
        "arch": "test_resnet",
        "classes": 2,
        "input": {"size": [32, 32], "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5], "interpolation": "bilinear"},
        "n_in": 3,
        "concat_pool": True,
        "lin_ftrs": None,
        "ps": 0.5,
        "bn_final": False,
        "first_bn": True,
        "lin_first": False,
        "y_range": None,
        "pool": True,
        "output_shape": None,
    },
    "target": {"kind": "multicategory", "encoded": False, "vocab": ["bus", "car"]},
    "thresholds": {"values": [0.25, 0.75], "metric": "f1_macro"},
    "view": [{"kind": "Resize", "size": 32, "method": "crop", "pad_mode": "reflection", "interpolation": None}],
    "scores": {"mAP": 0.5},
    "training": {"seed": 0},
    "data": {"train": 3},
    "versions": {"eyebright": "0.0.1", "torch": "2.0.0", "timm": "0.9.0"},
}
"""A manifest as the first schema has it: it stays readable whatever becomes of the code."""

PREDICT_IN_NEW_PROCESS = """
import sys
from eyebright.learner.saved_learner import load_learner
print(*load_learner(sys.argv[1]).predict(sys.argv[2]).activated.tolist())
"""


@pytest.mark.slow
def test_a_model_trained_with_lambda_getters_can_be_exported(folder: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    """Row 2: fastai pickles getters and splitters with the model, which fails, or includes their code."""
    pickled = gold("g11_state")["export.pkl: distinct importable globals the pickle calls"]
    assert pickled.startswith('{"n_distinct_globals": 87')
    column = "labels"

    def splitter(rows: pd.DataFrame) -> tuple[list[int], list[int]]:
        return [i for i in range(len(rows)) if i % 4], [i for i in range(len(rows)) if not i % 4]

    block = DataBlock(
        (ImageBlock, MultiCategoryBlock),
        get_x=lambda row: folder / row["fname"],
        get_y=lambda row: row[column].split(),
        splitter=splitter,
        item_tfms=Resize(32),
    )
    learner = small_learner(block.dataloaders(table, tmp_path, bs=6))
    image = folder / "001.png"
    exported = learner.export("model")
    process = in_another_process("-W", "ignore", "-c", PREDICT_IN_NEW_PROCESS, str(exported), str(image))
    assert process.returncode == 0, process.stderr
    scores = [float(score) for score in process.stdout.split()]
    assert scores == pytest.approx(learner.predict(image).activated.tolist(), abs=1e-5)


def test_a_model_saved_by_an_older_version_is_loaded(folder: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    """Row 3: fastai's export contains class names, so another version of fastai or a dependency cannot load it."""
    model = build_model(model_description("test_resnet", 2, size=32)).eval()
    save_file(model.state_dict(), tmp_path / WEIGHTS)
    (tmp_path / MANIFEST).write_text(json.dumps(FIRST_SCHEMA))
    predictor = load_predictor(tmp_path)
    assert predictor.thresholds == Thresholds((0.25, 0.75), metric="f1_macro")
    [one] = predictor.predict(torch.full((3, 32, 32), 0.5))
    with torch.no_grad():
        expected = model(torch.full((1, 3, 32, 32), 128 / 255)).sigmoid()[0]
    assert torch.allclose(one.activated, expected, atol=1e-5)


def test_a_manifest_contains_no_names_of_modules(folder: Path, table: pd.DataFrame) -> None:
    """Row 3: without names of modules, moving code does not break saved models."""
    manifest = squares_learner(folder, table).manifest().to_json()
    manifest.pop("versions")
    assert "eyebright" not in json.dumps(manifest)
    assert "torch." not in json.dumps(manifest)


def test_predictions_for_many_images_include_their_paths(folder: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    """Row 23: fastai returns a tensor in the order of a loader, and predicts one image with a whole learner."""
    learner = squares_learner(folder, table)
    predictor = load_predictor(learner.save_model(tmp_path / "model"))
    paths = [folder / name for name in reversed(table["fname"][:5])] + [tmp_path / "missing.png"]
    predictions = predictor.predict(paths, bs=2)
    assert predictions.to_frame()["path"].tolist() == [str(path) for path in paths[:5]]
    assert list(predictions.skipped) == [str(tmp_path / "missing.png")]
    single = predictor.predict(paths[0])[0]
    assert torch.allclose(single.activated, predictions[0].activated, atol=1e-5)


def test_an_exported_model_includes_its_normalisation(folder: Path, table: pd.DataFrame) -> None:
    """Row 25: fastai normalises in the data loader, so deployed networks must repeat it."""
    model = squares_learner(folder, table).model.eval()
    images = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    exported = torch.export.export(model, (images,)).module()
    with torch.no_grad():
        expected = model.head(model.body((images - 0.5) / 0.5))  # mean and std of this backbone
        assert torch.allclose(exported(images), expected, atol=1e-5)
