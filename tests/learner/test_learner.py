"""The methods of `Learner`: those of the book, and their differences from it."""

import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from sklearn.metrics import average_precision_score, f1_score
from torch import nn
from torchvision.transforms import v2

from eyebright.data.getters import ColReader
from eyebright.errors import ArtifactError, ImageError, InputError, TrainingError
from eyebright.learner.learner import Learner
from eyebright.learner.saved_learner import load_learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.metrics.labels import accuracy_multi, f1_macro, mean_ap
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.points import PointBlock
from eyebright.train.events import EpochDone, Event, Observer
from eyebright.train.options import FitOptions
from eyebright.transforms.normalize import Normalize, imagenet_stats
from eyebright.transforms.spatial import Resize
from eyebright.transforms.torchvision import PixelTransform
from eyebright.types import Thresholds
from support.images import coloured_squares
from support.learners import SQUARES, small_learner, squares_block, squares_learner


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    return coloured_squares(folder, 48)


@pytest.fixture(scope="module")
def trained(folder: Path, table: pd.DataFrame) -> Learner:
    learner = squares_learner(folder, table, metrics=[mean_ap, f1_macro])
    learner.fine_tune(2, 5e-3)
    return learner


def weights(learner: Learner) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}


def test_fine_tune_trains_the_head_and_then_all_layers(folder: Path, table: pd.DataFrame) -> None:
    learner = squares_learner(folder, table)
    learner.fine_tune(2, 1e-2)
    first, second = learner.run.plans
    assert (first.frozen_to, first.epochs, second.frozen_to, second.epochs) == (2, 1, 0, 2)
    assert [len(learner.run.history), len(learner.run.lrs)] == [3, 3 * len(learner.dls.train)]
    assert learner.run.lrs[0] == pytest.approx((4e-5, 4e-5, 4e-4))  # gold: fine_tune(2, base_lr=1e-2)
    assert learner.run.lrs[len(learner.dls.train)] == pytest.approx((1e-5, 1e-4, 1e-3))


@pytest.mark.parametrize("kind", ["points", "regression"])
def test_a_new_model_of_points_or_numbers_predicts_the_middle_so_its_loss_is_that_of_the_middle(
    folder: Path, table: pd.DataFrame, kind: str
) -> None:
    learner = small_learner(squares_block(folder, **SQUARES[kind]).dataloaders(table, bs=8))
    targets = torch.cat([y for _, y in learner.dls.valid])
    assert learner.validate()[0] == pytest.approx(float(targets.square().nanmean()), rel=1e-5)


@pytest.mark.parametrize("init", [nn.init.kaiming_normal_, None])
def test_an_initialisation_that_is_given_holds_for_the_last_layer_of_points_too(
    folder: Path, table: pd.DataFrame, init: Callable[[torch.Tensor], torch.Tensor] | None
) -> None:
    learner = small_learner(squares_block(folder, **SQUARES["points"]).dataloaders(table, bs=8), init=init)
    assert all(bool(weight.any()) for name, weight in learner.model.head.named_parameters() if "weight" in name)


def test_frozen_to_is_right_after_an_early_stop(folder: Path, table: pd.DataFrame) -> None:
    learner = squares_learner(folder, table)

    def stop_after(epochs: int) -> None:
        def stop(event: Event) -> None:
            if isinstance(event, EpochDone) and len(learner.run.history) == epochs:
                learner.run.stop("enough")

        learner.fine_tune(2, 1e-2, cbs=[stop])

    stop_after(1)
    assert learner.trainer.frozen_to == 2
    stop_after(2)
    assert learner.trainer.frozen_to == 0
    assert all(parameter.requires_grad for parameter in learner.model.parameters())


def test_all_parameters_of_an_unfrozen_model_change_and_only_the_head_of_a_frozen_one(
    folder: Path, table: pd.DataFrame
) -> None:
    learner = squares_learner(folder, table, train_bn=False)
    learner.freeze()
    before = weights(learner)
    learner.fit(1, 1e-2)
    moved = {name for name, tensor in weights(learner).items() if not torch.equal(tensor, before[name])}
    assert all(name.startswith("head.") for name in moved)
    learner.unfreeze()
    learner.fit(1, 1e-2)
    still = [name for name, tensor in learner.model.named_parameters() if torch.equal(tensor, before[name])]
    assert still == []


def test_validation_scores_equal_scikit_learn_over_the_whole_set(trained: Learner) -> None:
    probabilities, targets = trained.get_preds()
    loss, ap, f1 = trained.validate()
    assert ap == pytest.approx(average_precision_score(targets, probabilities))
    assert f1 == pytest.approx(f1_score(targets, probabilities > 0.5, average="macro", zero_division=0))
    assert loss == pytest.approx(torch.nn.functional.binary_cross_entropy(probabilities, targets).item(), rel=1e-4)
    assert trained.run.history[-1]["valid_loss"] == pytest.approx(loss, rel=1e-6)


def test_predictions_are_in_the_order_of_the_dataset(trained: Learner, table: pd.DataFrame) -> None:
    _, targets = trained.get_preds()
    truth = table[table["is_valid"]]["labels"]
    for row, labels in zip(targets, truth, strict=True):
        assert trained.dls.target.decode(row) == frozenset(labels.split())


def test_the_training_set_is_predicted_without_augmentation_unlike_in_the_book(trained: Learner) -> None:
    first, targets = trained.get_preds(ds_idx=0)
    again, _ = trained.get_preds(ds_idx=0)
    assert torch.equal(first, again)
    assert len(targets) == len(trained.dls.train_ds)


def test_get_preds_returns_the_requested_parts_in_the_order_of_the_book(trained: Learner) -> None:
    x, probabilities, targets, decoded, losses = trained.get_preds(with_input=True, with_decoded=True, with_loss=True)
    assert x.shape == (len(targets), 3, 32, 32)
    assert decoded == [trained.dls.target.decode(row) for row in probabilities]
    assert losses.mean().item() == pytest.approx(trained.validate()[0], rel=1e-5)


def test_the_validation_loss_does_not_depend_on_the_metric(trained: Learner) -> None:
    own = trained.metrics
    try:
        trained.metrics = partial(accuracy_multi, thresh=0.1)
        low = trained.validate()
        trained.metrics = partial(accuracy_multi, thresh=0.99)
        high = trained.validate()
    finally:
        trained.metrics = own
    assert low[0] == pytest.approx(high[0])
    probabilities, targets = trained.get_preds()
    assert high[1] == pytest.approx(((probabilities > 0.99) == targets.bool()).float().mean().item())


def test_tuned_thresholds_are_used_by_metrics_and_decisions(folder: Path, table: pd.DataFrame) -> None:
    learner = squares_learner(folder, table, metrics=f1_macro)
    learner.fit(1, 1e-3)
    before = learner.validate()[1]
    thresholds = learner.tune_thresholds()
    probabilities, targets = learner.get_preds()
    tuned = f1_score(targets, thresholds.decide(probabilities), average="macro", zero_division=0)
    assert learner.validate()[1] == pytest.approx(tuned)
    assert tuned >= before
    assert learner.manifest().decision.thresholds == thresholds


@pytest.mark.slow
def test_a_resumed_training_ends_with_the_weights_of_an_uninterrupted_one(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    whole = squares_learner(folder, table)
    whole.fine_tune(2, 5e-3)
    checkpoint = tmp_path / "checkpoint.safetensors"
    for epochs_before in (1, 2):  # in the frozen phase's end, and in the middle of the other

        def cut_off(event: Event, seen: list[Event] = [], last: int = epochs_before) -> None:  # noqa: B006
            seen += [event] if isinstance(event, EpochDone) else []
            if len(seen) == last:
                seen.clear()
                raise KeyboardInterrupt

        first = squares_learner(folder, table)
        with pytest.raises(KeyboardInterrupt):
            # The checkpoint observer comes after ours, so the cut comes one event later.
            first.fine_tune(2, 5e-3, checkpoint=checkpoint, cbs=[_after_checkpoint(cut_off)])
        second = squares_learner(folder, table)
        second.fine_tune(2, 5e-3, checkpoint=checkpoint, resume=True)
        for name, tensor in weights(second).items():
            assert torch.equal(tensor, whole.model.state_dict()[name]), name
        assert [row["train_loss"] for row in second.run.history] == [row["train_loss"] for row in whole.run.history]


def _after_checkpoint(cut_off: Observer) -> Observer:
    """Delays an observer by one event, so that the epoch's checkpoint is on the disk."""
    waiting: list[Event] = []

    def observe(event: Event) -> None:
        for earlier in waiting:
            cut_off(earlier)
        waiting[:] = [event]

    return observe


def test_options_of_the_loss_change_training_but_not_validation(folder: Path, table: pd.DataFrame) -> None:
    options = FitOptions(label_smoothing=0.2, balance="effective_number")
    plain, changed = squares_learner(folder, table), squares_learner(folder, table, options=options)
    for learner in (plain, changed):
        learner.fine_tune(1, 1e-30)  # nothing is learnt, so that only the losses differ
    assert [plan.options for plan in changed.run.plans] == [options, options]
    (first, *_), (second, *_) = plain.run.history, changed.run.history
    assert second["train_loss"] != pytest.approx(first["train_loss"], rel=1e-3)
    assert second["valid_loss"] == pytest.approx(first["valid_loss"])
    changed.options = FitOptions()
    changed.fit(1, 1e-30)
    plain.fit(1, 1e-30)
    assert changed.run.losses == plain.run.losses


def test_a_resumed_training_with_all_options_ends_with_the_weights_of_an_uninterrupted_one(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    options = FitOptions(
        clip=1.0, accumulate=2, ema=0.9, mixup=0.4, cutmix=1.0, label_smoothing=0.1, balance="pos_weight"
    )
    dls = squares_block(folder).dataloaders(
        table, bs=8, num_workers=2, sample_weights=[1.0 + i % 3 for i in range(len(table))]
    )
    whole, cut, resumed = (small_learner(dls, options=options) for _ in range(3))
    whole.fit(3, 1e-2)

    def die(event: Event) -> None:
        if isinstance(event, EpochDone) and event.epoch == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cut.fit(3, 1e-2, cbs=[die], checkpoint=tmp_path / "c")
    resumed.fit(3, 1e-2, checkpoint=tmp_path / "c", resume=True)
    assert resumed.run.losses == whole.run.losses
    assert all(torch.equal(tensor, whole.model.state_dict()[name]) for name, tensor in weights(resumed).items())
    other = small_learner(dls, options=replace(options, mixup=0.2))
    with pytest.raises(TrainingError, match=r"mixup was 0.4 and is 0.2"):
        other.fit(3, 1e-2, checkpoint=tmp_path / "c", resume=True)
    unweighted = small_learner(squares_block(folder).dataloaders(table, bs=8), options=options)
    with pytest.raises(TrainingError, match="sample_weights was .* and is None"):
        unweighted.fit(3, 1e-2, checkpoint=tmp_path / "c", resume=True)


def test_another_plan_cannot_resume_a_checkpoint(folder: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    learner = squares_learner(folder, table)
    learner.fit(1, 1e-3, checkpoint=tmp_path / "c.safetensors")
    with pytest.raises(TrainingError, match="epochs"):
        learner.fit(3, 1e-3, checkpoint=tmp_path / "c.safetensors", resume=True)


def test_another_batch_size_cannot_resume_a_checkpoint(folder: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    squares_learner(folder, table).fit(1, 1e-3, checkpoint=tmp_path / "c.safetensors")
    other = small_learner(squares_block(folder).dataloaders(table, bs=6, num_workers=2))
    with pytest.raises(TrainingError, match="bs was 8 and is 6; resume with what it was made with"):
        other.fit(1, 1e-3, checkpoint=tmp_path / "c.safetensors", resume=True)


def test_lr_find_does_not_change_a_later_fit(folder: Path, table: pd.DataFrame) -> None:
    pytest.importorskip("matplotlib")
    plain, looked = squares_learner(folder, table), squares_learner(folder, table)
    lr_min, lr_steep = looked.lr_find(num_it=20, show_plot=False)
    assert 1e-8 <= lr_min <= 1  # a tenth of the rate with the lowest loss
    assert 1e-7 <= lr_steep <= 10
    plain.fit(1, 1e-3)
    looked.fit(1, 1e-3)
    assert all(torch.equal(tensor, looked.model.state_dict()[name]) for name, tensor in weights(plain).items())


def test_training_does_not_change_the_global_generator(folder: Path, table: pd.DataFrame) -> None:
    state = torch.get_rng_state()
    squares_learner(folder, table).fit(1, 1e-3)
    assert torch.equal(torch.get_rng_state(), state)


def test_creating_a_learner_does_not_seed_accelerators(
    folder: Path, table: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeds: list[int] = []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    squares_learner(folder, table, seed=3)
    assert seeds == []


def test_a_normalize_in_the_data_becomes_that_of_the_model(folder: Path, table: pd.DataFrame) -> None:
    block = squares_block(folder)
    declared = block.new(batch_tfms=[*block.batch_tfms, Normalize.from_stats(*imagenet_stats)])
    learner = small_learner(declared.dataloaders(table, bs=8))
    x, _ = learner.dls.one_batch()
    assert 0 <= x.min() <= x.max() <= 1
    mean = torch.tensor(imagenet_stats[0])[:, None, None]
    std = torch.tensor(imagenet_stats[1])[:, None, None]
    assert torch.allclose(learner.model.normalize(x), (x - mean) / std, atol=1e-6)
    assert learner.manifest().model.input.mean == imagenet_stats[0]


def test_normalize_false_has_no_effect_if_the_data_have_a_normalize(folder: Path, table: pd.DataFrame) -> None:
    block = squares_block(folder)
    declared = block.new(batch_tfms=[*block.batch_tfms, Normalize((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))])
    for normalize in (True, False):
        model = small_learner(declared.dataloaders(table, bs=8), normalize=normalize).model
        assert model.description.input.mean == (0.1, 0.2, 0.3)
        assert model.description.input.std == (0.4, 0.5, 0.6)
    plain = small_learner(block.dataloaders(table, bs=8), normalize=False).model
    assert (plain.description.input.mean, plain.description.input.std) == ((0.0,) * 3, (1.0,) * 3)


def test_points_are_predicted_in_pixels_of_the_image_file(folder: Path, table: pd.DataFrame) -> None:
    marked = table[table["x"].notna()].reset_index(drop=True)
    block = squares_block(folder, blocks=(ImageBlock, PointBlock), get_y=ColReader(["x", "y"]))
    learner = small_learner(block.dataloaders(marked, bs=8), y_range=(-1, 1))
    learner.fit(1, 1e-3)
    predictions, targets, decoded = learner.get_preds(with_decoded=True)
    assert predictions.shape == targets.shape == (len(learner.dls.valid_ds), 1, 2)
    row = marked[marked["is_valid"]].iloc[0]
    prediction = learner.predict(folder / row["fname"])
    warp = next(learner.dls.valid.batches()).warps[0]
    expected = learner.dls.target.decode(learner.dls.target.to_user_units(predictions[:1], [warp])[0])
    assert torch.allclose(prediction.decoded.xy, expected.xy, atol=1e-3)
    assert torch.allclose(decoded[0].xy, expected.xy, atol=1e-3)


def test_the_prediction_of_one_image_equals_that_of_the_dataset(
    trained: Learner, folder: Path, table: pd.DataFrame
) -> None:
    probabilities, _ = trained.get_preds()
    prediction = trained.predict(folder / table[table["is_valid"]].iloc[0]["fname"])
    assert torch.allclose(prediction.activated, probabilities[0], atol=1e-5)
    assert prediction.decoded == trained.dls.target.decode(probabilities[0])
    with pytest.raises(ImageError, match="nowhere.png"):
        trained.predict("nowhere.png")


def test_predict_with_a_list_of_images_is_an_error(trained: Learner, folder: Path, table: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="an image must be a path"):
        trained.predict([folder / name for name in table["fname"][:2]])


def test_tuning_thresholds_of_points_is_an_error(folder: Path, table: pd.DataFrame) -> None:
    marked = table[table["x"].notna()].reset_index(drop=True)
    block = squares_block(folder, blocks=(ImageBlock, PointBlock), get_y=ColReader(["x", "y"]))
    with pytest.raises(InputError, match="only for multi-label targets, and the target is a PointBlock"):
        small_learner(block.dataloaders(marked, bs=8)).tune_thresholds()


def test_an_unknown_keyword_is_an_error_that_suggests_the_nearest_one(trained: Learner) -> None:
    with pytest.raises(TypeError, match="no keyword 'freeze_epoch'. Did you mean 'freeze_epochs'"):
        trained.fine_tune(1, freeze_epoch=1)  # pyright: ignore[reportCallIssue]


def test_the_recorder_has_the_names_of_the_book(trained: Learner) -> None:
    assert trained.recorder.metric_names == ["epoch", "train_loss", "valid_loss", "mAP", "f1_macro", "time"]
    assert len(trained.recorder.values) == 3
    assert trained.recorder.values[-1][1] == trained.run.history[-1]["valid_loss"]
    assert len(trained.recorder.losses) == len(trained.recorder.lrs) == len(trained.run.losses)


def test_the_optimizer_has_three_groups_before_and_after_a_fit(folder: Path, table: pd.DataFrame) -> None:
    learner = squares_learner(folder, table)
    learner.unfreeze()
    assert [len(group["params"]) for group in learner.opt.param_groups] == [
        len(group) for group in learner.run.param_groups
    ]
    learner.fit(1, slice(1e-5, 1e-3))
    assert [group["lr"] for group in learner.opt.param_groups] == pytest.approx([1e-5, 1e-4, 1e-3])


def test_the_precision_can_be_changed_and_weights_stay_float32(folder: Path, table: pd.DataFrame) -> None:
    learner = squares_learner(folder, table)
    assert learner.to_bf16() is learner
    assert learner.run.device.precision == "bfloat16"
    learner.fit(1, 1e-3)
    assert {parameter.dtype for parameter in learner.model.parameters()} == {torch.float32}
    if learner.run.device.torch_device.type == "cpu":
        assert "float16 was requested" in learner.to_fp16().run.device.precision_reason
    assert learner.to_fp32().run.device.precision == "float32"


def test_a_custom_loss_is_used_for_training_and_validation(folder: Path, table: pd.DataFrame) -> None:
    learner = squares_learner(folder, table)
    learner.loss_func = lambda outputs, targets: outputs.sum() * 0 + 7
    learner.fit(1, 1e-3)
    assert learner.recorder.losses == pytest.approx([7.0] * len(learner.dls.train))
    assert learner.validate() == [7.0]


def test_the_summary_names_the_frozen_groups_the_optimizer_and_the_loss(folder: Path, table: pd.DataFrame) -> None:
    learner = squares_learner(folder, table)
    learner.freeze()
    frozen = str(learner.summary())
    learnt = sum(parameter.numel() for parameter in learner.model.parameters() if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in learner.model.parameters())
    assert f"Total params: {total:,}\nTotal trainable params: {learnt:,}\n" in frozen
    assert frozen.rstrip().endswith(
        "Optimizer used: AdamW\nLoss function: FlattenedLoss of BCEWithLogitsLoss()\n\n"
        "Model frozen up to parameter group #2"
    )
    learner.unfreeze()
    assert "Total non-trainable params: 0" in str(learner.summary())
    assert str(learner.summary()).rstrip().endswith("Model unfrozen")


def test_an_exported_model_predicts_the_same_and_pickles_are_refused(
    trained: Learner, folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    trained.dls.path = tmp_path
    assert trained.export() == tmp_path / "export"
    assert {file.suffix for file in (tmp_path / "export").iterdir()} == {".safetensors", ".json"}
    saved = load_learner(tmp_path / "export")
    image = folder / table["fname"][3]
    decoded, decision, scores = saved.predict(image)
    assert decoded == trained.predict(image).decoded
    assert torch.equal(decision, trained.dls.target.encode(decoded))
    assert torch.allclose(scores, trained.predict(image).activated, atol=1e-5)
    assert saved.vocab == trained.dls.vocab
    assert not saved.model.training
    with pytest.raises(InputError, match=r"'bears.pkl' is the name of a pickle.*export\('bears'\)"):
        trained.export("bears.pkl")
    with pytest.raises(ArtifactError, match="can run code"):
        load_learner(tmp_path / "bears.pkl")


def test_show_results_shows_random_images_or_the_first_of_a_loader(trained: Learner) -> None:
    mpl.use("Agg")
    trained.show_results(max_n=4, nrows=2, ncols=2, figsize=(5, 5))
    assert len(plt.gcf().axes) == 4
    assert tuple(plt.gcf().get_size_inches()) == (5, 5)
    assert all("\n" in ax.get_title() for ax in plt.gcf().axes)
    trained.show_results(rows=2)
    assert len(plt.gcf().axes) == 4
    trained.show_results(dl=trained.dls.valid, max_n=3)
    truth = [trained.dls.target.text(trained.dls.valid_ds.raw_target(i)) or "(no label)" for i in range(3)]
    assert [ax.get_title().split("\n")[0] for ax in plt.gcf().axes[:3]] == truth
    plt.close("all")


def test_the_learning_curve_has_the_losses_of_all_steps_and_epochs(trained: Learner) -> None:
    mpl.use("Agg")
    ax = trained.recorder.plot_losses()
    np.testing.assert_allclose(ax.lines[0].get_ydata(), trained.recorder.losses)  # pyright: ignore[reportCallIssue]
    valid = [row["valid_loss"] for row in trained.run.history]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), valid)  # pyright: ignore[reportCallIssue]
    assert len(trained.recorder.plot_loss().lines[0].get_ydata()) == len(trained.recorder.losses) - 5
    plt.close("all")


def test_interpret_returns_predictions_and_losses(trained: Learner) -> None:
    interp = trained.interpret()
    assert torch.equal(interp.preds, trained.get_preds()[0])
    assert interp.losses.mean().item() == pytest.approx(trained.validate(trained.data.valid_dl)[0], rel=1e-5)


def test_after_a_short_epoch_batch_norm_statistics_are_recomputed(folder: Path, table: pd.DataFrame) -> None:
    learner = squares_learner(folder, table)
    learner.fit(1, 1e-3)
    seen: list[torch.Tensor] = []
    norm = next(module for module in learner.model.modules() if hasattr(module, "running_mean"))
    hook = norm.register_forward_pre_hook(lambda _, given: seen.append(given[0].float()))
    learner.model.eval()
    with torch.no_grad():
        for batch in learner.dls.train.batches(0):
            learner.model(batch.x)
    hook.remove()
    # The first norm's input does not depend on other statistics: its own are the mean over the batches.
    assert torch.allclose(norm.running_mean, torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0), atol=1e-4)


def test_kept_statistics_are_not_recomputed(folder: Path, table: pd.DataFrame) -> None:
    learner = squares_learner(folder, table, keep_statistics=True)
    before = weights(learner)
    learner.fit(1, 1e-3)
    body = [name for name in before if name.startswith("body.") and "running" in name]
    assert body
    assert all(torch.equal(learner.model.state_dict()[name], before[name]) for name in body)


def test_a_deterministic_pixel_transform_is_also_applied_by_predict(folder: Path, table: pd.DataFrame) -> None:
    always = PixelTransform(v2.Grayscale(3), always=True)
    learner = small_learner(squares_block(folder, batch_tfms=[always, Resize(32)]).dataloaders(table, bs=8))
    whole, _ = learner.get_preds()
    images = [folder / name for name in table["fname"][table["is_valid"]]]
    alone = [learner.predict(image).activated for image in images]
    torch.testing.assert_close(torch.stack(alone), whole, rtol=1e-4, atol=1e-5)
    plain = small_learner(squares_block(folder, batch_tfms=[Resize(32)]).dataloaders(table, bs=8))
    assert not torch.allclose(plain.get_preds()[0], whole, atol=1e-3)


def test_get_preds_with_fused_norms_equals_the_model(trained: Learner) -> None:
    with torch.no_grad():
        x = torch.cat([batch.x for batch in trained.dls.valid.batches()])
        expected = trained.dls.target.activate(trained.model.eval()(x))
    torch.testing.assert_close(trained.get_preds()[0], expected, rtol=1e-4, atol=1e-5)


def test_a_replaced_layer_changes_the_predictions(folder: Path, table: pd.DataFrame) -> None:
    learner = squares_learner(folder, table)
    before = learner.get_preds()[0]
    name, norm = next((name, m) for name, m in learner.model.named_modules() if isinstance(m, nn.BatchNorm2d))
    other = nn.BatchNorm2d(norm.num_features)
    nn.init.constant_(other.weight, 0.3)
    learner.model.set_submodule(name, other)
    assert not torch.allclose(before, learner.get_preds()[0])


@pytest.mark.parametrize("another", [copy.copy, copy.deepcopy, pickle.dumps])
def test_what_cannot_be_pickled_or_copied_says_what_to_do_instead(
    another: Callable[[object], object], folder: Path, table: pd.DataFrame
) -> None:
    learner = squares_learner(folder, table)
    instead = {
        "load_predictor": learner,
        "make it again from its data block": learner.dls,
        "from its data block with `dataloaders`": learner.dls.train,
        "`save_checkpoint` writes": learner.run,
    }
    for words, given in instead.items():
        with pytest.raises(InputError, match=f"a {type(given).__name__} cannot be pickled or copied; .*{words}"):
            another(given)


def test_the_model_the_evaluation_and_the_saved_learner_can_be_pickled(trained: Learner, tmp_path: Path) -> None:
    evaluation = pickle.loads(pickle.dumps(trained.evaluate()))
    assert torch.equal(evaluation.outputs, trained.evaluate().outputs)
    assert trained.model.state_dict().keys() == copy.deepcopy(trained.model).state_dict().keys()
    trained.export(tmp_path / "model")
    saved = load_learner(tmp_path / "model")
    assert pickle.loads(pickle.dumps(saved)).vocab == saved.vocab


def test_an_evaluation_from_before_a_fit_is_not_saved_with_the_new_weights(
    folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    learner = squares_learner(folder, table)
    before = learner.evaluate()
    learner.save_model(tmp_path / "model", evaluation=before)
    learner.fit(1, 1e-2)
    with pytest.raises(
        ArtifactError, match="the evaluation belongs to other weights than the model's, .* `evaluate` again"
    ):
        learner.save_model(tmp_path / "model", evaluation=before)
    learner.save_model(tmp_path / "model", evaluation=learner.evaluate())


def test_an_evaluation_of_another_target_is_not_saved(folder: Path, table: pd.DataFrame, tmp_path: Path) -> None:
    kinds = [squares_block(folder, **SQUARES[kind]) for kind in ("category", "regression")]
    learner, other = (small_learner(kind.dataloaders(table, bs=8, num_workers=0)) for kind in kinds)
    with pytest.raises(
        ArtifactError, match="the evaluation has another target, RegressionBlock with 2 outputs, than the model"
    ):
        learner.save_model(tmp_path / "model", evaluation=other.evaluate())
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize(
    ("options", "batch_tfms", "name"),
    [({}, [Normalize.from_stats([0.0] * 3, [1.0] * 3)], "mean"), ({"y_range": (0, 5)}, None, "y_range")],
)
def test_weights_of_a_model_with_another_normalisation_or_range_are_not_loaded(
    options: dict[str, Any], batch_tfms: Any, name: str, folder: Path, table: pd.DataFrame, tmp_path: Path
) -> None:
    block = squares_block(folder, **SQUARES["regression"])
    saved = small_learner(block.dataloaders(table, tmp_path, bs=8, num_workers=0))
    saved.save("weights")
    changed = block if batch_tfms is None else block.new(batch_tfms=batch_tfms)
    other = small_learner(changed.dataloaders(table, tmp_path, bs=8, num_workers=0), **options)
    before = weights(other)
    with pytest.raises(ArtifactError, match=f"the weights of a model with another {name}, .*, and this learner has"):
        other.load("weights")
    assert all(torch.equal(value, before[key]) for key, value in weights(other).items())
    small_learner(block.dataloaders(table, tmp_path, bs=8, num_workers=0)).load("weights")


def test_a_learner_starts_from_a_saved_model_and_answers_as_it_did(folder: Path, table: pd.DataFrame) -> None:
    saved = squares_learner(folder, table)
    saved.thresholds = Thresholds((0.2, 0.3, 0.4))
    saved.save_model(folder / "parent")
    learner = squares_learner(folder, table, seed=7).start_from(folder / "parent")
    assert torch.equal(learner.evaluate().outputs, saved.evaluate().outputs)
    assert learner.thresholds == saved.thresholds
    assert learner.trainer.frozen_to == 2
    assert learner.manifest().training["parent"]["name"] == "parent"


def test_a_learner_starts_only_from_a_model_of_its_own_kind_and_architecture(folder: Path, table: pd.DataFrame) -> None:
    squares_learner(folder, table).save_model(folder / "parent")
    dls = squares_block(folder, **SQUARES["category"]).dataloaders(table, bs=8, num_workers=0)
    with pytest.raises(InputError, match="predicts another kind of target than these data have: MultiCategoryBlock"):
        small_learner(dls).start_from(folder / "parent")
    dls = squares_block(folder).dataloaders(table, bs=8, num_workers=0)
    other = vision_learner(dls, "resnet18", pretrained=False, precision="float32", progress="quiet")
    with pytest.raises(InputError, match=r"is a test_resnet, but this learner has a resnet18: create it with"):
        other.start_from(folder / "parent")
