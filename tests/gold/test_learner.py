"""The methods of a learner and their figures, compared with values recorded from fastai (g02, g04, g09, g12)."""

import ast
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt
from torch import nn

from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.getters import ColReader, RegexLabeller, using_attr
from eyebright.io.files import get_image_files
from eyebright.learner.learner import Learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.metrics.labels import accuracy_multi, error_rate
from eyebright.sources.split import ColSplitter, FuncSplitter, RandomSplitter
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.points import PointBlock
from eyebright.train.history import smoothed
from eyebright.train.schedule import sched_exp
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from support.gold import GOLD as FOLDER, gold
from support.learners import small_learner

LEARNER, EXTRA, HEADS = gold("g09_learner"), gold("g12_extra"), gold("g02_heads")
QUIET: dict[str, Any] = {"pretrained": False, "precision": "float32", "progress": "quiet"}


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def several(voc: Path, voc_table: pd.DataFrame) -> DataLoaders:
    """The data of the first part of chapter 6 of the fastai book: several labels."""
    block = DataBlock(
        (ImageBlock, MultiCategoryBlock),
        splitter=ColSplitter(),
        get_x=ColReader("fname", pref=voc),
        get_y=ColReader("labels", label_delim=" "),
        item_tfms=RandomResizedCrop(32, min_scale=0.35),
    )
    return block.dataloaders(voc_table, bs=8)


@pytest.fixture(scope="module")
def breeds(pets: Path) -> DataLoaders:
    """The data of chapter 5: one label."""
    block = DataBlock(
        (ImageBlock, CategoryBlock),
        get_items=get_image_files,
        get_y=using_attr(RegexLabeller(r"(.+)_\d+.jpg$"), "name"),
        splitter=RandomSplitter(seed=42),
        item_tfms=Resize(32),
    )
    return block.dataloaders(pets, bs=8)


@pytest.fixture(scope="module")
def centers(pets: Path) -> DataLoaders:
    """The data of the second part of chapter 6: one point."""
    block = DataBlock(
        (ImageBlock, PointBlock),
        get_items=get_image_files,
        get_y=lambda _: torch.tensor([30.0, 20.0]),
        splitter=FuncSplitter(lambda image: "pug" in image.name),
        item_tfms=Resize(36),
        batch_tfms=aug_transforms(size=(24, 32)),
    )
    return block.dataloaders(pets, bs=4)


@pytest.fixture(scope="module")
def trained(several: DataLoaders) -> Learner:
    learner = small_learner(several, metrics=partial(accuracy_multi, thresh=0.2))
    learner.fit_one_cycle(2, 1e-3)
    return learner


# ------------------------------------------------------------------ history and defaults


def test_the_history_and_learning_rates_of_a_fit_equal_fastais(trained: Learner) -> None:
    recorder = trained.recorder
    assert recorder.metric_names == LEARNER["metric_names"]
    assert [metric.name for metric in trained.metrics] == LEARNER["metric name of a partial"]
    assert [len(row) for row in recorder.values] == [len(row) for row in LEARNER["values"]]
    steps = LEARNER["len(lrs),len(losses),iters"]
    assert [len(recorder.lrs), len(recorder.losses)] == steps[:2]
    assert [len(trained.dls.train) * epoch for epoch in (1, 2)] == steps[2]
    assert recorder.lrs == pytest.approx(LEARNER["lrs recorded = last group only"], rel=1e-6)


def test_the_plot_has_fastais_smoothed_loss_but_the_history_has_the_mean() -> None:
    raw, logged = EXTRA["raw batch losses (2 epochs x 7)"], EXTRA["logged train_loss per epoch"]
    curve = smoothed(raw)
    assert [curve[6], curve[13]] == pytest.approx(logged, rel=1e-5)
    assert [np.mean(raw[:7]), np.mean(raw[7:])] == pytest.approx(EXTRA["epoch means"])
    assert EXTRA["epoch means"][1] < logged[1] / 1.9, "fastai's value still includes the epoch before"


def test_validate_returns_the_loss_and_the_metrics_as_in_fastai(several: DataLoaders) -> None:
    learner = small_learner(several, metrics=partial(accuracy_multi, thresh=0.2))
    _, count, recorded = LEARNER["validate() type/len"]
    values = learner.validate()
    assert (type(values), len(values)) == (list, count)
    learner.metrics = partial(accuracy_multi, thresh=0.1)
    assert learner.validate()[0] == values[0]
    assert recorded.split(",")[0] == LEARNER["validate after learn.metrics=partial"].split(",")[0]


def test_the_learners_defaults_equal_fastais(several: DataLoaders) -> None:
    recorded, learner = LEARNER["Learner defaults"], small_learner(several)
    assert (learner.lr, list(learner.moms)) == (recorded["lr"], recorded["moms"])
    assert learner.trainer.train_bn is recorded["train_bn"]
    [adam, *_] = HEADS["hypers after create_opt"]
    assert recorded["wd"] == "None", "which fastai's Adam replaces by its own default"
    assert learner.wd == adam["wd"]
    for group in learner.opt.torch.param_groups:
        assert group["betas"] == (adam["mom"], adam["sqr_mom"])
        assert group["eps"] == adam["eps"]


# ------------------------------------------------------------------ predictions


def test_get_preds_equals_fastais_but_decoded_predictions_are_label_sets(trained: Learner) -> None:
    recorded, shapes = LEARNER["get_preds"], LEARNER["get_preds(with_input,with_decoded,with_loss) order"]
    predictions, targets = trained.get_preds()
    assert [list(predictions.shape), list(targets.shape)] == recorded["shapes"]
    assert bool(((predictions >= 0) & (predictions <= 1)).all()) is recorded["in01"]
    assert str(predictions.device) == recorded["device"]
    x, same, y, decoded, losses = trained.get_preds(with_input=True, with_decoded=True, with_loss=True)
    assert [list(tensor.shape) for tensor in (x, same, y)] + [[len(decoded), 4], list(losses.shape)] == shapes
    assert decoded == [frozenset(trained.dls.vocab[row > 0.5]) for row in predictions]


def test_the_training_set_is_predicted_completely_and_reproducibly_unlike_fastai(trained: Learner) -> None:
    key = "get_preds(ds_idx=0): uses all 32 train items, no shuffle; but with RANDOM train augmentation?"
    first, second = trained.get_preds(ds_idx=0)[0], trained.get_preds(ds_idx=0)[0]
    assert len(first) == LEARNER[key]["n"]
    assert LEARNER["two get_preds(ds_idx=0) agree?"] is False
    assert torch.equal(first, second)


def test_predictions_of_a_shuffling_loader_are_in_dataset_order_as_in_fastai(
    trained: Learner,
) -> None:
    assert LEARNER["get_preds on shuffled dl is re-ordered to dataset order"] is True
    for actual, expected in zip(trained.get_preds(dl=trained.dls.train), trained.get_preds(ds_idx=0), strict=True):
        assert torch.equal(actual, expected)
    assert trained.validate(trained.dls.train) == trained.validate(0)


def test_predicted_points_have_the_shape_of_their_targets_unlike_fastai(centers: DataLoaders) -> None:
    learner = vision_learner(centers, "test_resnet", y_range=(-1, 1), **QUIET)
    predictions, targets = learner.get_preds()
    assert LEARNER["point get_preds"] == [[20, 2], [20, 1, 2]]
    assert list(predictions.shape) == list(targets.shape) == LEARNER["point get_preds"][1]


def test_predict_returns_labels_decisions_and_probabilities_as_in_fastai(trained: Learner, voc: Path) -> None:
    labels, mask, probabilities = ast.literal_eval(LEARNER["predict(path)"].replace("tensor", ""))
    assert labels == [name for name, present in zip(trained.dls.vocab, mask, strict=True) if present]
    assert mask == [probability > 0.5 for probability in probabilities]
    decoded, decision, scores = trained.predict(voc / "000001.jpg")
    assert decoded == frozenset(name for name, present in zip(trained.dls.vocab, decision, strict=True) if present)
    assert decision.shape == (len(mask),)
    assert torch.equal(decision.bool(), scores > 0.5)


def test_paths_and_arrays_without_targets_are_predicted_as_in_fastai(breeds: DataLoaders, pets: Path) -> None:
    learner = small_learner(breeds)
    shape, targets = EXTRA["get_preds on unlabeled test_dl"]
    files = get_image_files(pets)[:3]
    predicted = learner.get_preds(dl=breeds.test_dl(files))
    assert [list(predicted[0].shape), str(predicted[1])] == [shape, targets]
    from_string = learner.get_preds(dl=breeds.test_dl([str(files[0])]))
    assert list(from_string[0].shape) == EXTRA["test_dl with str paths (training used Path)"]
    assert torch.allclose(from_string[0][0], predicted[0][0], atol=1e-6)
    for kind, image in (("ndarray", np.zeros((40, 40, 3), dtype=np.uint8)), ("str", str(files[0]))):
        assert str(learner.predict(image).activated.shape) == EXTRA[f"predict({kind})"]
    assert [len(breeds.train), len(breeds.valid)] == EXTRA["len(train), len(valid) for 48/12 items at bs 8"]


# ------------------------------------------------------------------ figures


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("show_batch(nrows=1,ncols=5)", {"nrows": 1, "ncols": 5}),
        ("show_batch() (bs=8)", {}),
        ("show_batch(max_n=6,figsize=(8,6))", {"max_n": 6, "figsize": (8, 6)}),
        ("show_batch(unique)", {"unique": True, "nrows": 1, "ncols": 3}),
        ("show_batch(nrows=5,ncols=5): max_n caps at 9", {"nrows": 5, "ncols": 5}),
    ],
)
def test_show_batch_has_fastais_layout(name: str, options: dict[str, Any], several: DataLoaders) -> None:
    several.show_batch(**options)
    figure, recorded = plt.gcf(), LEARNER[name]
    assert len(figure.axes) == recorded["n_axes"]
    titles = [ax.get_title() for ax in figure.axes if ax.images]
    assert len(titles) == min(8, len([title for title in recorded["titles"] if title]) or 8)
    possible = {";".join(sorted(labels)) for labels in (several.train_ds.raw_target(i) for i in range(32))}
    assert set(titles) <= possible
    if "unique" in options:
        assert len(set(titles)) == len(set(recorded["titles"])) == 1
    if "figsize" in options:
        assert figure.get_size_inches().tolist() == recorded["figsize"]


@pytest.mark.parametrize("kind", ["multi-label", "single-label"])
def test_show_results_has_fastais_layout(kind: str, several: DataLoaders, breeds: DataLoaders) -> None:
    recorded = LEARNER[f"show_results {kind}"]
    small_learner(several if kind == "multi-label" else breeds).show_results(max_n=4, figsize=(6, 6))
    titles = [ax.get_title() for ax in plt.gcf().axes]
    assert len(titles) == recorded["n_axes"]
    assert [title.count("\n") for title in titles] == [title.count("\n") for title in recorded["titles"]] == [1] * 4


def test_plots_of_points_have_fastais_layout(centers: DataLoaders) -> None:
    centers.show_batch(max_n=9, figsize=(8, 6))
    recorded = LEARNER["point show_batch"]
    assert (len(plt.gcf().axes), plt.gcf().get_size_inches().tolist()) == (recorded["n_axes"], recorded["figsize"])
    small_learner(centers, y_range=(-1, 1)).show_results(ds_idx=1, nrows=3, figsize=(6, 8))
    figure, recorded = plt.gcf(), LEARNER["point show_results(ds_idx=1,nrows=3,figsize=(6,8))"]
    assert (len(figure.axes), figure.get_size_inches().tolist()) == (recorded["n_axes"], recorded["figsize"])
    assert figure.get_suptitle() == recorded["suptitle"]


def test_loss_curves_have_fastais_labels(breeds: DataLoaders) -> None:
    learner = small_learner(breeds)
    learner.fit(1, 1e-4)
    ax, recorded = learner.recorder.plot_loss(), LEARNER["plot_loss"]
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == (recorded["title"], recorded["x"], recorded["y"])
    assert [line.get_label() for line in ax.lines] == recorded["lines"]
    learner.lr_find(num_it=20)
    ax, recorded = plt.gca(), LEARNER["lr_find plot"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == (recorded["x"].lower(), recorded["y"].lower())
    assert ax.get_xscale() == recorded["scale"]
    suggestions = [str(line.get_label()).split()[0] for line in ax.lines[1:]]
    assert recorded["labels"][1:] == ["valley"]
    assert suggestions == ["valley", "slide", "minimum", "steep"], "all four, unlike fastai"


# ------------------------------------------------------------------ models


@pytest.fixture(scope="module")
def chapter_5_learner(pets: Path) -> Learner:
    """The learner of chapter 5, with 37 breeds."""
    breeds = [f"breed {i:02}" for i in range(37)]
    block = DataBlock(
        (ImageBlock, CategoryBlock(breeds)),
        get_items=get_image_files,
        get_y=lambda image: breeds[int(image.stem.split("_")[1]) % 37],
        splitter=RandomSplitter(seed=42),
        item_tfms=Resize(32),
    )
    return vision_learner(block.dataloaders(pets, bs=8), "resnet34", metrics=error_rate, **QUIET)


def test_trainable_and_decayed_parameters_equal_fastais(chapter_5_learner: Learner) -> None:
    learner, flags = chapter_5_learner, HEADS["state flags"]
    learner.unfreeze()
    assert (
        any(not p.requires_grad for p in learner.model.parameters())
        is HEADS["pretrained=False => frozen?"]["any_frozen"]
    )
    groups = learner.opt.torch.param_groups
    assert sum(len(group["params"]) for group in groups) == flags["all"]
    assert sum(len(group["params"]) for group in groups if group["weight_decay"] == 0) == flags["do_wd False params"]
    assert len(learner.opt.param_groups) == HEADS["n_groups"]
    learner.freeze()
    norms = [m for m in learner.model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    trainable = [p for norm in norms for p in norm.parameters() if p.requires_grad]
    assert len(trainable) == flags["force_train params"]
    learner.freeze_to(1)
    assert learner.trainer.frozen_to == HEADS["freeze_to(1) frozen_idx"]


def test_an_untrained_model_normalises_its_input_unlike_fastai(chapter_5_learner: Learner) -> None:
    assert HEADS["normalize added when pretrained=False"] is False
    grey = torch.full((1, 3, 4, 4), 0.5)
    expected = torch.tensor(gold("g07_augment")["Normalize(.5)"])  # with ImageNet's mean and std
    assert torch.allclose(chapter_5_learner.model.normalize(grey)[0, :, 0, 0], expected, atol=1e-6)


@pytest.mark.parametrize("state", ["frozen", "unfrozen"])
def test_the_end_of_the_summary_is_fastais_without_memory_address_and_callbacks(
    chapter_5_learner: Learner, state: str
) -> None:
    recorded = (FOLDER / f"g02_summary_{state}_resnet34_37.txt").read_text().split("\n\nOptimizer used: ")[1]
    learner = chapter_5_learner
    (learner.freeze if state == "frozen" else learner.unfreeze)()
    ours = str(learner.summary()).split("\n\nOptimizer used: ")[1]
    optimizer, rest = recorded.split("\n", 1)
    assert optimizer.startswith("<function Adam at 0x")
    assert ours == "AdamW\n" + rest.split("\n\nCallbacks:")[0] + "\n"
    assert repr(learner.dls.loss_func) == HEADS["dls.loss_func"]
    assert repr(learner.loss_func) == HEADS["learn.loss_func"]


@pytest.mark.parametrize("train_bn", [True, False])
def test_batch_norms_of_a_frozen_backbone_train_as_in_fastai_or_are_fully_frozen_unlike_fastai(
    breeds: DataLoaders, train_bn: bool
) -> None:
    recorded = EXTRA[f"{'frozen epoch' if train_bn else 'train_bn=False'}: body tensors that changed"]
    learner = vision_learner(breeds, "resnet18", train_bn=train_bn, **QUIET)
    learner.freeze()
    before = {name: tensor.clone() for name, tensor in learner.model.body.state_dict().items()}
    learner.fit_one_cycle(1, 1e-2)
    norms = {name for name, module in learner.model.body.named_modules() if isinstance(module, nn.BatchNorm2d)}
    changed: dict[str, list[int]] = {}
    for name, tensor in learner.model.body.state_dict().items():
        module, _, field = name.rpartition(".")
        counts = changed.setdefault(f"{'bn' if module in norms else 'conv'}.{field}", [0, 0])
        counts[0] += not torch.equal(tensor, before[name])
        counts[1] += 1
    if train_bn:
        assert changed == recorded
    else:
        assert {kind: counts[0] for kind, counts in recorded.items() if counts[0]} == {
            "bn.num_batches_tracked": 20,
            "bn.running_mean": 20,
            "bn.running_var": 20,
        }
        assert {kind: counts[0] for kind, counts in changed.items()} == dict.fromkeys(recorded, 0)


# ------------------------------------------------------------------ learning rate finder


def test_lr_find_tries_the_same_learning_rates_as_fastai(breeds: DataLoaders) -> None:
    recorded = gold("g04_lrfind")
    grid = [sched_exp(1e-7, 10, i / 100) for i in range(100)]
    assert grid[:5] == pytest.approx(recorded["lr grid head"], rel=1e-12)
    printed = recorded["seed 004 values on the grid"]
    assert grid[printed["0.0063095735 = i"]] == pytest.approx(printed["value"], rel=1e-12)
    assert grid[printed["0.1 = i"]] == pytest.approx(printed["v"], rel=1e-12)
    assert recorded["toy lr_find"]["mom"] == [0.9]
    lrs = small_learner(breeds).lr_find(num_it=20, show_plot=False).lrs
    assert lrs == pytest.approx([sched_exp(1e-7, 10, i / 20) for i in range(len(lrs))], rel=1e-12)
