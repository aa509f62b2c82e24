"""Numbers of a table, in a unit far from 1: what is scored, saved and predicted is in that unit."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error

from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.model_folder import load_evaluation
from eyebright.sources.read import read_source
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.train_model import train_model
from support.images import coloured_squares
from support.learners import TINY_ARCH, use_random_weights


def test_scores_and_the_saved_evaluation_of_numbers_are_in_the_unit_of_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_random_weights(monkeypatch)
    table = coloured_squares(tmp_path / "photos", 24)
    table["price"] = 300_000 + 1000.5 * np.arange(24)
    table[["fname", "price", "is_valid"]].to_csv(tmp_path / "prices.csv", index=False)
    source = read_source(tmp_path / "prices.csv", images=tmp_path / "photos")
    options = TrainOptions(arch=TINY_ARCH, size=32, epochs=1, bs=6, precision="float32", device="cpu", progress="quiet")
    learner = train_model(source, tmp_path / "model", options=options)

    evaluation = load_evaluation(tmp_path / "model")
    valid = table[table["is_valid"]].set_index("fname")["price"]
    names = [path.name for path in evaluation.paths if path is not None]
    truth = torch.tensor(valid[names].to_numpy(), dtype=torch.float32)
    torch.testing.assert_close(evaluation.targets.reshape(-1).float(), truth)

    predicted = load_predictor(tmp_path / "model").predict([tmp_path / "photos" / name for name in names])
    values = [prediction.decoded[0] for prediction in predicted]
    np.testing.assert_allclose(evaluation.activated.reshape(-1), values, rtol=1e-5)
    expected = mean_absolute_error(truth, values)
    last = learner.run.history[-1]
    scored = next(value for name, value in last.items() if name not in ("epoch", "train_loss", "valid_loss", "time"))
    assert min(values) > 200_000
    assert scored == pytest.approx(expected, rel=1e-3)
