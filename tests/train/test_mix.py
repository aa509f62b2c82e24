"""Mixup and CutMix against timm's, and what mixing does to targets and losses."""

import numpy as np
import pytest
import timm.data.mixup
import torch
from torch import Tensor, nn

from eyebright.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, image_losses
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.train.loop import train
from eyebright.train.mix import Box, cutmix, draw_box, mix, mixing_step, mixup
from eyebright.train.options import FitOptions
from eyebright.train.plan import Plan
from eyebright.train.run import PhaseSetup, Run, TrainBatch
from support.training import tiny_run, train_all

NAN = float("nan")
CLASSES = torch.tensor([2, 0, 1, 2, 1])
ONE_LABEL = CategoryBlock(vocab=["a", "b", "c"])


def images(count: int = 5) -> Tensor:
    pixels = torch.rand(count, 3, 12, 16, generator=torch.Generator().manual_seed(0))
    return pixels.contiguous(memory_format=torch.channels_last)


def timms(pixels: Tensor, share: float, *, use_cutmix: bool, monkeypatch: pytest.MonkeyPatch) -> TrainBatch:
    theirs = timm.data.mixup.Mixup(mixup_alpha=1.0, cutmix_alpha=1.0, label_smoothing=0.0, num_classes=3)
    monkeypatch.setattr(theirs, "_params_per_batch", lambda: (share, use_cutmix))
    even = slice(None, len(pixels) // 2 * 2)  # timm takes even batches only
    return theirs(pixels[even].clone(), CLASSES[even])


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_mixup_equals_timm(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = images(4)
    expected = timms(pixels, share, use_cutmix=False, monkeypatch=monkeypatch)
    torch.testing.assert_close(mixup(pixels, ONE_LABEL.soft_targets(CLASSES[:4]), share), expected)


@pytest.mark.parametrize("box", [Box(2, 9, 0, 5), Box(0, 12, 0, 16), Box(3, 3, 4, 8)])
def test_cutmix_equals_timm(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = images(4)
    monkeypatch.setattr(timm.data.mixup, "rand_bbox", lambda *_, **__: box)
    expected = timms(pixels, 0.5, use_cutmix=True, monkeypatch=monkeypatch)
    torch.testing.assert_close(cutmix(pixels, ONE_LABEL.soft_targets(CLASSES[:4]), box), expected)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.77, 1.0])
def test_boxes_equal_timm(share: float, monkeypatch: pytest.MonkeyPatch) -> None:
    centers = [(0, 0), (5, 3), (11, 15)]
    numbers = [number for center in centers for number in center]
    drawn = {"timm": iter(numbers), "ours": iter(numbers)}
    monkeypatch.setattr(np.random, "randint", lambda *_, **__: next(drawn["timm"]))
    monkeypatch.setattr(torch, "randint", lambda *_: next(drawn["ours"]))
    for _ in centers:
        assert tuple(draw_box(12, 16, share)) == timm.data.mixup.rand_bbox((4, 3, 12, 16), share)


def test_mixing_does_not_change_its_input_and_keeps_channels_last() -> None:
    pixels, targets = images(), ONE_LABEL.soft_targets(CLASSES)
    before = pixels.clone(), targets.clone()
    for mixed, _ in (mixup(pixels, targets, 0.3), cutmix(pixels, targets, Box(0, 4, 0, 4))):
        assert mixed.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(pixels, before[0])
    assert torch.equal(targets, before[1])


def test_a_mixed_label_is_unknown_if_one_of_its_two_labels_is() -> None:
    block = MultiCategoryBlock(vocab=["a", "b"])
    targets = torch.tensor([[1.0, NAN], [0.0, 1.0], [NAN, 0.0], [1.0, 0.0]])
    _, mixed = mixup(images(4), block.soft_targets(targets), 0.75)
    expected = torch.tensor([[1.0, NAN], [NAN, 0.75], [NAN, 0.25], [1.0, NAN]])
    torch.testing.assert_close(mixed, expected, equal_nan=True)
    _, unmixed = mixup(images(4), block.soft_targets(targets), 1.0)
    torch.testing.assert_close(unmixed, targets, equal_nan=True)


def test_a_mixed_class_is_unknown_if_one_of_its_two_classes_is() -> None:
    _, mixed = mixup(images(4), ONE_LABEL.soft_targets(torch.tensor([-1, 1, 2, 0])), 0.75)
    assert mixed.isnan().all(1).tolist() == [True, False, False, True]
    assert mixed[1].tolist() == [0.0, 0.75, 0.25]


@pytest.mark.parametrize("several", [False, True], ids=["one label", "several labels"])
def test_the_loss_of_mixed_targets_is_the_mixed_loss(several: bool) -> None:
    outputs = torch.randn(5, 3, generator=torch.Generator().manual_seed(1))
    if several:
        loss, targets = BCEWithLogitsLossFlat(pos_weight=[1.0, 2.0, 3.0]), torch.eye(3)[CLASSES]
        soft = targets
    else:
        loss, targets = CrossEntropyLossFlat(), CLASSES
        soft = ONE_LABEL.soft_targets(targets)
    _, mixed = mixup(images(), soft, 0.3)
    expected = 0.3 * image_losses(loss, outputs, targets) + 0.7 * image_losses(loss, outputs, targets.flip(0))
    torch.testing.assert_close(image_losses(loss, outputs, mixed), expected)


def test_proportions_follow_the_beta_distribution_and_both_methods_are_used() -> None:
    options = FitOptions(mixup=0.4, cutmix=1.0)
    ramp = torch.arange(2.0)[:, None, None, None].expand(2, 3, 8, 8)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        pixels = [mix(ramp, torch.zeros(2, 1), options)[0][1] for _ in range(2000)]
    cut = [bool(((image == 0) | (image == 1)).all()) for image in pixels]
    assert 0.45 < np.mean(cut) < 0.55
    shares = torch.stack([image[0, 0, 0] for image, is_cut in zip(pixels, cut, strict=True) if not is_cut])
    assert shares.mean().item() == pytest.approx(0.5, abs=0.04)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * 0.4 + 1)), abs=0.02)  # of Beta(a, a)


def test_a_mixing_step_depends_on_the_seed_and_not_on_global_generators() -> None:
    def losses(seed: int, options: FitOptions) -> list[float]:
        run = Run(model(), nn.BCEWithLogitsLoss(), [list(model().parameters())], tiny_run().device, seed=seed)
        run.param_groups = [list(run.model.parameters())]
        run.begin(Plan(2, (1e-2,), options=options))
        targets = MultiCategoryBlock(vocab=["a", "b"])
        step = mixing_step(targets.soft_targets)
        list(train_all(run, lambda epoch: [(images(), torch.eye(2)[CLASSES % 2])] * 2, steps=2, step=step))
        return run.losses

    def model() -> nn.Module:
        with torch.random.fork_rng():
            torch.manual_seed(3)
            return nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 16, 2))

    state = torch.get_rng_state()
    both = FitOptions(mixup=0.5, cutmix=0.5)
    assert losses(0, both) == losses(0, both) != losses(1, both)
    assert losses(0, both) != losses(0, FitOptions(mixup=0.5))
    assert torch.equal(torch.get_rng_state(), state)


def test_each_plan_uses_its_own_options() -> None:
    seen: list[Tensor] = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 16, 2))
    model.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    run = Run(model, nn.BCEWithLogitsLoss(), [list(model.parameters())], tiny_run().device)
    run.begin(Plan(1, (1e-2,), options=FitOptions(cutmix=1.0)))
    setup = PhaseSetup(model, lambda epoch: [(images(), torch.eye(2)[CLASSES % 2])], 1)
    list(train(run, setup, step=mixing_step(lambda targets: targets)))
    assert set(seen[0].unique().tolist()) <= set(images().unique().tolist())
    assert not torch.equal(seen[0], images())
