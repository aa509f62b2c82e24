"""A linear head on a frozen backbone: its features, its targets, and what becomes of the model."""

from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge
from torch.nn import functional

from eyebright.errors import ArtifactError, InputError
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.model_folder import load_evaluation
from eyebright.learner.learner import Learner
from eyebright.models.build import build_model, model_description
from eyebright.models.linear_head import pooled_features, use_linear_head
from eyebright.models.saved import build_saved
from eyebright.train.evaluate import Outputs
from eyebright.train.events import Event, FeaturesComputed, FeaturesStarted
from eyebright.train.frozen import image_groups
from eyebright.train.linear_head.folds import target_folds
from support.learners import SQUARES, TINY_ARCH, small_learner, squares_block

Arrays = tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]


def learner_of(folder: Path, table: pd.DataFrame, kind: str, **options: Any) -> Learner:
    dls = squares_block(folder, **SQUARES[kind]).dataloaders(table, bs=8, num_workers=0, **options)
    return small_learner(dls, metrics=dls.target.metrics())


def features_and_targets(learner: Learner, subset: int, *, grid: int = 1) -> Arrays:
    """Computed by the layers of the model itself, image by image."""
    model = learner.model.eval()
    features, targets = [], []
    with torch.no_grad():
        for batch in learner.dls.evaluation_loader(subset).batches(0):
            assert batch.y is not None
            for image, target in zip(batch.x, batch.y, strict=True):
                maps = model.body(model.normalize(image[None]))
                if grid == 1:
                    features.append(torch.cat([maps.amax((2, 3)), maps.mean((2, 3))], dim=1)[0])
                else:
                    features.append(functional.adaptive_avg_pool2d(maps, grid)[0].flatten())
                targets.append(target)
    return torch.stack(features).double().numpy(), torch.stack(targets).numpy()


def scaled(features: np.ndarray[Any, Any], others: np.ndarray[Any, Any]) -> Arrays:
    """Standardised features, whose scales are at least the median standard deviation of those that vary."""
    scale = features.std(axis=0)
    varies = scale > 1e-12
    median = np.sort(scale[varies])[(varies.sum() - 1) // 2]
    scale = np.where(varies, scale.clip(min=median), 1)
    return (features - features.mean(axis=0)) / scale, (others - features.mean(axis=0)) / scale


def test_labels_get_the_probabilities_of_scikit_learn_on_the_features_of_the_model(
    folder: Path, table: pd.DataFrame
) -> None:
    learner = learner_of(folder, table, "multicategory")
    (x, y), (others, _) = features_and_targets(learner, 0), features_and_targets(learner, 1)
    x, others = scaled(x, others)
    learner.fit_head(C=0.01)
    probabilities, _ = learner.get_preds()
    for j in range(y.shape[1]):
        model = LogisticRegression(C=0.01, tol=1e-10, max_iter=10_000).fit(x, y[:, j])
        np.testing.assert_allclose(probabilities[:, j], model.predict_proba(others)[:, 1], atol=2e-4)


def test_classes_get_the_probabilities_of_scikit_learn(folder: Path, table: pd.DataFrame) -> None:
    learner = learner_of(folder, table, "category")
    (x, y), (others, _) = features_and_targets(learner, 0), features_and_targets(learner, 1)
    x, others = scaled(x, others)
    learner.fit_head(C=0.01)
    model = LogisticRegression(C=0.01, tol=1e-10, max_iter=10_000).fit(x, y)
    np.testing.assert_allclose(learner.get_preds()[0], model.predict_proba(others), atol=2e-4)


def test_points_are_fitted_to_a_grid_of_places_by_ridge_regression(folder: Path, table: pd.DataFrame) -> None:
    learner = learner_of(folder, table, "points")
    (x, y), (others, _) = features_and_targets(learner, 0, grid=4), features_and_targets(learner, 1, grid=4)
    x, others = scaled(x, others)
    learner.fit_head(C=0.1)
    outputs = learner.trainer.outputs.of_loader(learner.dls.valid, exact=True).outputs.numpy()
    for j, column in enumerate(y.reshape(len(y), -1).T):
        known = ~np.isnan(column)
        expected = Ridge(alpha=1 / 0.1).fit(x[known], column[known]).predict(others)
        np.testing.assert_allclose(outputs[:, j], expected, atol=1e-3 * column[known].std())


def test_ordered_classes_are_yes_below_no_at_and_unknown_above_the_class(folder: Path, table: pd.DataFrame) -> None:
    target = learner_of(folder, table, "ordinal").dls.target
    first, second, third, unknown = target.head_targets(torch.tensor([0, 1, 2, -1]))[:, :2].tolist()
    assert (first[0], second, third) == (0, [1, 0], [1, 1])
    assert np.isnan([first[1], *unknown]).all()


def test_the_loss_of_ordered_classes_falls_with_the_penalty(folder: Path, table: pd.DataFrame) -> None:
    learner = learner_of(folder, table, "ordinal")
    losses: list[float] = []
    for C in (1e-6, 1e-4, 1e-2):
        learner.fit_head(C=C)
        losses.append(learner.validate(0)[0])
    assert losses == sorted(losses, reverse=True)


def test_the_head_becomes_pooling_and_one_layer_and_the_backbone_stays(folder: Path, table: pd.DataFrame) -> None:
    learner = learner_of(folder, table, "multicategory")
    backbone = {name: tensor.clone() for name, tensor in learner.model.body.state_dict().items()}
    head = learner.fit_head()
    layers = [type(layer).__name__ for layer in learner.model.head.children()]
    assert layers == ["AdaptiveConcatPool2d", "Flatten", "Linear"]
    assert all(torch.equal(tensor, backbone[name]) for name, tensor in learner.model.body.state_dict().items())
    assert learner.model.description.lin_ftrs == ()
    assert head.C_choices
    manifest = learner.manifest()
    assert manifest.scores["mAP"] == pytest.approx(learner.validate()[1])
    assert manifest.training["backbone_was_trained"] is False
    assert [choice["C"] for choice in manifest.training["linear_head"]] == [choice.C for choice in head.C_choices]
    named = [name for choice in manifest.training["linear_head"] for name in choice["outputs"]]
    assert sorted(named) == list(learner.dls.vocab)


def test_a_model_with_a_fitted_head_can_be_trained_further_and_saved(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8, num_workers=0)
    learner = small_learner(dls, train_bn=False, keep_statistics=True)
    learner.fit_head(C=1e-3)
    before = learner.validate()[0]
    learner.fine_tune(1, 1e-6)
    assert learner.validate()[0] == pytest.approx(before, rel=1e-2)  # training starts from the fitted head
    assert len(learner.run.history) == 2
    learner.save_model(tmp_path / "model")
    [prediction] = load_predictor(tmp_path / "model").predict([str(folder / table["fname"].iloc[0])])
    assert prediction.path.endswith(str(table["fname"].iloc[0]))


def test_weights_of_images_count_in_the_fit(folder: Path, table: pd.DataFrame) -> None:
    weights = np.where(table["labels"].str.contains("red"), 100.0, 1.0)
    plain, weighted = (learner_of(folder, table, "multicategory", **o) for o in ({}, {"sample_weights": weights}))
    index = list(plain.dls.vocab).index("red")
    for learner in (plain, weighted):
        learner.fit_head(C=1e-4)
    assert bool((weighted.get_preds()[0][:, index] > plain.get_preds()[0][:, index]).all())


def test_there_is_a_group_for_each_item_of_the_data(folder: Path, table: pd.DataFrame) -> None:
    learner = learner_of(folder, table, "multicategory")
    learner.fit_head(groups=[f"person {i % 7}" for i in range(len(table))])
    with pytest.raises(InputError, match=r"`groups` needs one group for each of 40 items, got 3"):
        learner.fit_head(groups=["a", "b", "c"])
    with pytest.raises(InputError, match="`groups` must be values that can be compared"):
        learner.fit_head(groups=[["a"]] * len(table))


def test_images_without_a_group_are_groups_of_their_own() -> None:
    outputs = Outputs(torch.zeros(5, 1), torch.zeros(5, 1), (4, 3, 2, 1, 0), ())
    numbers = image_groups(["a", None, float("nan"), "b", "a"], outputs, 5)
    assert numbers is not None
    assert numbers.tolist() == [0, 1, 2, 3, 0]


def test_skipped_images_are_left_out_of_the_fit(folder: Path, table: pd.DataFrame) -> None:
    (folder / "broken.png").write_bytes(b"no image")
    broken = table.iloc[[0]].assign(fname="broken.png", is_valid=False)
    whole = learner_of(folder, table, "multicategory")
    skipping = learner_of(folder, pd.concat([table, broken], ignore_index=True), "multicategory", skip_bad=True)
    for learner in (whole, skipping):
        learner.fit_head(C=0.01)
    torch.testing.assert_close(skipping.get_preds()[0], whole.get_preds()[0], atol=2e-4, rtol=0)
    assert any("broken.png" in path for path in skipping.dls.skipped)


def test_the_features_of_each_batch_are_an_event(
    folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = learner_of(folder, table, "multicategory")
    events: list[Event] = []
    monkeypatch.setattr(learner.trainer, "_show_progress", lambda _: nullcontext(events.append))
    learner.fit_head(C=1.0)
    assert events[:3] == [FeaturesStarted(4), FeaturesComputed(1, 4), FeaturesComputed(2, 4)]
    assert events[-1] == FeaturesComputed(2, 2)


def test_out_of_fold_outputs_are_those_of_heads_that_were_fitted_to_the_other_folds(
    folder: Path, table: pd.DataFrame
) -> None:
    learner = learner_of(folder, table, "multicategory")
    (x, y), (more, targets) = features_and_targets(learner, 0), features_and_targets(learner, 1)
    items = [*learner.dls.train_ds.indices, *learner.dls.valid_ds.indices]
    order = np.argsort(items)
    x, y = np.concatenate([x, more])[order], np.concatenate([y, targets])[order]
    folds = target_folds(torch.from_numpy(y), 4, objective="binary", seed=learner.run.seed).numpy()
    evaluation = learner.out_of_fold(4, C=0.01)
    assert (evaluation.indices, evaluation.part) == (tuple(range(len(table))), "out_of_fold")
    for fold in range(4):
        own = folds == fold
        seen, unseen = scaled(x[~own], x[own])
        for j in range(y.shape[1]):
            model = LogisticRegression(C=0.01, tol=1e-10, max_iter=10_000).fit(seen, y[~own, j])
            np.testing.assert_allclose(
                evaluation.activated[own, j], model.predict_proba(unseen)[:, 1], atol=2e-4, err_msg=f"{fold}, {j}"
            )


@pytest.mark.parametrize("kind", SQUARES)
def test_every_kind_has_out_of_fold_outputs_that_are_saved_with_the_model(
    kind: str, folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    learner = learner_of(folder, table, kind)
    evaluation = learner.out_of_fold(3)
    learner.save_model(tmp_path / "model", out_of_fold=evaluation)
    read = load_evaluation(tmp_path / "model", part="out_of_fold")
    torch.testing.assert_close(read.outputs, evaluation.outputs, rtol=0, atol=0)
    torch.testing.assert_close(read.targets, evaluation.targets, rtol=0, atol=0, equal_nan=True)
    assert (read.files, read.part, len(read)) == (evaluation.files, "out_of_fold", len(table))
    learner.save_model(tmp_path / "model")
    with pytest.raises(ArtifactError, match=r"contains no out_of_fold.parquet, since .* train again with `folds=5`"):
        load_evaluation(tmp_path / "model", part="out_of_fold")


def test_features_are_computed_once_while_the_backbone_stays_the_same(
    folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = learner_of(folder, table, "multicategory")
    events: list[Event] = []
    monkeypatch.setattr(learner.trainer, "_show_progress", lambda _: nullcontext(events.append))
    learner.fit_head()
    learner.out_of_fold(3)
    learner.fit_head(C=1.0)
    assert [event for event in events if isinstance(event, FeaturesStarted)] == [FeaturesStarted(4), FeaturesStarted(2)]
    with torch.no_grad():
        next(learner.model.body.parameters()).mul_(1.01)
    learner.fit_head()
    assert sum(isinstance(event, FeaturesStarted) for event in events) == 4


def test_a_backbone_that_was_trained_on_the_images_has_no_out_of_fold_outputs(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    dls = squares_block(folder).dataloaders(table, bs=8, num_workers=0)
    dls.path = tmp_path
    learner = small_learner(dls, train_bn=False)
    learner.freeze()
    learner.fit_one_cycle(1, 1e-3)  # the head alone
    learner.out_of_fold(3)
    learner.unfreeze()
    learner.fit_one_cycle(1, 1e-3)
    with pytest.raises(InputError, match="the backbone was trained, perhaps on these images"):
        learner.out_of_fold(3)
    learner.fit_head()
    learner.save("weights")
    again, loaded = (small_learner(dls, train_bn=False, lin_ftrs=(), first_bn=False, ps=0) for _ in range(2))
    loaded.load("weights")
    same_model = Learner(dls, learner.model, progress="quiet")
    for other in (learner, loaded, same_model):
        with pytest.raises(InputError, match="the backbone was trained, perhaps on these images"):
            other.out_of_fold(3)
    again.out_of_fold(3)


@pytest.mark.parametrize("n_folds", [1, 41])
def test_the_number_of_folds_is_from_two_to_the_number_of_images(
    n_folds: int, folder: Path, table: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match=f"from 2 to the number of images, 40; got {n_folds}"):
        learner_of(folder, table, "multicategory").out_of_fold(n_folds)


def test_labels_that_do_not_vary_without_a_fold_get_a_constant_output(folder: Path, table: pd.DataFrame) -> None:
    rows = table.assign(labels="", is_valid=[i % 4 == 0 for i in range(len(table))])
    rows.loc[1, "labels"] = "red"  # the only image with the only label
    learner = learner_of(folder, rows, "multicategory")
    evaluation = learner.out_of_fold(4)
    assert evaluation.outputs.shape == (len(table), 1)
    assert bool(evaluation.outputs.isfinite().all())


def test_a_model_whose_head_pools_to_a_grid_keeps_it_and_can_be_saved(tmp_path: Path) -> None:
    description = model_description(TINY_ARCH, 2, size=32)
    model = build_model(replace(description, pool_size=2)).eval()
    features = pooled_features(model)(torch.zeros(1, 3, 32, 32)).shape[1]
    use_linear_head(model, torch.ones(2, features), torch.zeros(2))
    rebuilt = build_saved(model.description, model.state_dict())
    x = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(rebuilt(x), model.eval()(x))
