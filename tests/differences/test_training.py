"""Defects of fastai in training and thresholds; row numbers refer to ``README.md`` in this folder."""

import json
from pathlib import Path

import matplotlib as mpl
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from sklearn.metrics import f1_score

from eyebright.inference.load_predictor import load_predictor
from eyebright.learner.learner import Learner
from eyebright.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, pos_weights
from eyebright.metrics.labels import f1_macro
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.types import Thresholds
from support.gold import gold
from support.learners import small_learner, squares_block, squares_learner


def weights(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}


def equal(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(tensor, second[name]) for name, tensor in first.items())


def test_weights_per_label_are_exact_in_training_and_validation(folder: Path, table: pd.DataFrame) -> None:
    """Row 6: fastai flattens labels before weighting, so ``BCEWithLogitsLossFlat(weight=...)`` is a RuntimeError."""
    learner = squares_learner(folder, table)
    _, targets = learner.get_preds(ds_idx=0)
    positives = targets.sum(dim=0)
    pos_weight = pos_weights(positives, len(targets) - positives)
    loss_weights = {"weight": torch.tensor([1.0, 2.0, 3.0]), "pos_weight": pos_weight}
    learner.loss_func = BCEWithLogitsLossFlat(**loss_weights)
    learner.fit(1, 1e-3)
    probabilities, targets = learner.get_preds()
    expected = torch.nn.BCEWithLogitsLoss(**loss_weights)(probabilities.logit(), targets)
    assert learner.validate()[0] == pytest.approx(expected.item(), rel=1e-4)


def test_the_weighted_validation_loss_does_not_depend_on_the_batch_size(folder: Path, table: pd.DataFrame) -> None:
    """Row 6: fastai averages batch losses by their number of images and not by their weight: 2.783 for 2.668."""
    block = squares_block(
        folder, blocks=(ImageBlock, CategoryBlock), get_y=lambda row: row["labels"].split(" ")[0] or "none"
    )
    losses = []
    for val_bs in (1, 4, 6):
        learner = small_learner(block.dataloaders(table, bs=6, val_bs=val_bs))
        learner.loss_func = CrossEntropyLossFlat([1.0, 5.0, 2.0, 9.0])
        losses.append(learner.validate()[0])
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-5)


def test_metrics_predictions_titles_and_the_saved_model_use_the_same_thresholds(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    """Row 8: in fastai only the metric uses its threshold; predictions, titles and exported models use 0.5."""
    key = "decodes threshold is loss_func.thresh (0.5), metric thresh .2 is not used for predictions"
    assert gold("g09_learner")[key] == 0.5
    mpl.use("Agg")
    learner = squares_learner(folder, table, metrics=f1_macro)
    probabilities, targets = learner.get_preds()
    learner.thresholds = Thresholds(tuple(probabilities.quantile(0.5, dim=0).tolist()))
    decided = learner.thresholds.decide(probabilities)
    assert not torch.equal(decided, probabilities > 0.5)

    assert learner.validate()[1] == pytest.approx(f1_score(targets, decided, average="macro", zero_division=0))
    decoded = [frozenset(learner.dls.vocab[row]) for row in decided]
    assert learner.get_preds(with_decoded=True)[2] == decoded
    learner.show_results(dl=learner.dls.valid, max_n=6)
    titles = [ax.get_title().split("\n")[1] for ax in plt.gcf().axes]
    plt.close("all")
    assert titles == [learner.dls.target.text(labels) or "(no label)" for labels in decoded]
    images = [folder / name for name in table[table["is_valid"]]["fname"]]
    saved = load_predictor(learner.save_model(tmp_path / "model"))
    assert [prediction.decoded for prediction in saved.predict(images)] == decoded
    assert learner.predict(images[0]).decoded == decoded[0]


def test_trained_weights_do_not_depend_on_workers_and_global_generators(folder: Path, table: pd.DataFrame) -> None:
    """Row 14: in fastai the same seed gives other weights with two workers than with none."""
    recorded = json.loads(gold("g11_state")["set_seed(1,True) twice: identical losses?"])
    assert recorded == {"same_nw0": True, "same_nw2": True, "nw0_equals_nw2": False}
    results = []
    for workers, seed in ((0, 1), (2, 99)):
        torch.manual_seed(seed)
        learner = small_learner(squares_block(folder).dataloaders(table, bs=6, num_workers=workers))
        learner.fine_tune(1, 1e-3)
        results.append(weights(learner))
    assert equal(*results)


def test_lr_find_writes_no_files(
    folder: Path, table: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 16: fastai writes a checkpoint to the learner's path, which may be read-only or used by another run."""
    assert gold("g04_lrfind")["read-only path"].startswith("FileNotFoundError")
    monkeypatch.chdir(tmp_path)
    dls = squares_block(folder).dataloaders(table, tmp_path / "missing", bs=6)
    small_learner(dls).lr_find(num_it=20, show_plot=False)
    assert list(tmp_path.iterdir()) == []


def test_creating_a_learner_does_not_change_the_dataloaders(folder: Path, table: pd.DataFrame) -> None:
    """Row 20: each pretrained fastai learner adds another Normalize to the data loaders passed to it."""
    extra = gold("g12_extra")
    assert extra["vision_learner(pretrained) adds Normalize to the caller dls in place"] == [1, 2, 2]
    assert extra["second learner on the same dls adds again?"] == 2
    dls = squares_block(folder).dataloaders(table, bs=6)
    before, pipeline = dls.valid.one_batch()[0], dls.pipeline
    first, second = small_learner(dls), small_learner(dls)
    after = dls.valid.one_batch()[0]
    assert dls.pipeline is pipeline
    assert torch.equal(before, after)
    assert torch.equal(first.model.normalize(after), second.model.normalize(after))


def test_momentum_and_weight_decay_of_a_fit_do_not_affect_the_next_fit(folder: Path, table: pd.DataFrame) -> None:
    """Other defects: in fastai both keep the values of the last fit."""
    extra = gold("g12_extra")
    assert extra["mom used by fit(): fresh vs after fit_one_cycle"] == pytest.approx([0.9, 0.9413], abs=1e-4)
    assert extra["wd=0.3 given to one fit sticks in the next"] == 0.3
    learner = squares_learner(folder, table)
    learner.fit_one_cycle(1, 1e-3, wd=0.3)
    assert learner.opt.param_groups[0]["weight_decay"] == 0.3
    learner.fit(1, 1e-3)
    assert {group["mom"] for group in learner.opt.param_groups} == {0.9}
    assert {group["weight_decay"] for group in learner.opt.param_groups} == {0.01}


def test_gradients_are_freed_after_training(folder: Path, table: pd.DataFrame) -> None:
    """Row "also": device memory that is not freed after training."""
    learner = squares_learner(folder, table)
    learner.fit(1, 1e-3)
    assert all(parameter.grad is None for parameter in learner.model.parameters())
