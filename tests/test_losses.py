"""Losses and class weights, compared with fastai, PyTorch, timm and scikit-learn."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import timm.loss
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional

from eyebright.errors import InputError
from eyebright.losses import (
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    FlattenedLoss,
    LabelSmoothingCrossEntropy,
    MeanLoss,
    MSELossFlat,
    class_weights,
    effective_number,
    image_losses,
    pos_weights,
)

GOLD = json.loads((Path(__file__).parent / "gold" / "g03_metrics.json").read_text())
LOGITS, LABELS, CLASSES = torch.tensor(GOLD["inp"]), torch.tensor(GOLD["targ"]), torch.tensor(GOLD["class targets"])
WEIGHT = torch.arange(1.0, 6.0)
NAN = float("nan")


def random_batch(kind, images, *, seed=0):
    """Outputs and targets for a loss on labels, classes or points (some of which are unknown)."""
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(images, 5 if kind != "points" else 6, generator=generator)
    if kind.endswith("labels"):
        target = (torch.rand(images, 5, generator=generator) < 0.4).float()
        if kind == "unknown labels":
            target[torch.rand(images, 5, generator=generator) < 0.3] = NAN
        return pred, target
    if kind.endswith("classes"):
        target = torch.randint(5, (images,), generator=generator)
        if kind == "unknown classes":
            target[torch.rand(images, generator=generator) < 0.3] = -1
        return pred, target
    target = torch.randn(images, 3, 2, generator=generator)
    target[torch.rand(images, 3, generator=generator) < 0.3] = NAN
    return pred, target


LOSSES = {
    "cross-entropy": ("classes", CrossEntropyLossFlat()),
    "weighted cross-entropy": ("classes", CrossEntropyLossFlat(weight=WEIGHT)),
    "smoothed cross-entropy": ("classes", CrossEntropyLossFlat(weight=WEIGHT, label_smoothing=0.1)),
    "binary cross-entropy": ("labels", BCEWithLogitsLossFlat()),
    "weighted binary cross-entropy": ("labels", BCEWithLogitsLossFlat(weight=WEIGHT, pos_weight=WEIGHT)),
    "weighted cross-entropy with unknown classes": ("unknown classes", CrossEntropyLossFlat(weight=WEIGHT)),
    "smoothed cross-entropy with unknown classes": ("unknown classes", CrossEntropyLossFlat(label_smoothing=0.1)),
    "smoothed binary cross-entropy": ("labels", BCEWithLogitsLossFlat(label_smoothing=0.1)),
    "binary cross-entropy with unknown labels": ("unknown labels", BCEWithLogitsLossFlat(WEIGHT, WEIGHT)),
    "squared error": ("points", MSELossFlat()),
}


@pytest.fixture(params=LOSSES.values(), ids=LOSSES.keys())
def case(request):
    return request.param


# ------------------------------------------------------------------------------- values


def test_reprs_equal_those_of_fastai():
    for loss in (CrossEntropyLossFlat(weight=WEIGHT), BCEWithLogitsLossFlat(pos_weight=WEIGHT), MSELossFlat()):
        assert repr(loss) in GOLD["loss reprs"]


def test_losses_equal_those_of_fastai():
    assert float(BCEWithLogitsLossFlat()(LOGITS, LABELS)) == pytest.approx(GOLD["BCEWithLogitsLossFlat"])
    assert float(BCEWithLogitsLossFlat(pos_weight=WEIGHT)(LOGITS, LABELS)) == pytest.approx(
        GOLD["BCEWithLogitsLossFlat(pos_weight=[1..5])"]
    )
    assert float(CrossEntropyLossFlat()(LOGITS, CLASSES)) == pytest.approx(GOLD["CrossEntropyLossFlat"])
    assert float(CrossEntropyLossFlat(weight=WEIGHT)(LOGITS, CLASSES)) == pytest.approx(
        GOLD["CrossEntropyLossFlat(weight=[1..5])"]
    )
    assert float(CrossEntropyLossFlat(label_smoothing=0.1)(LOGITS, CLASSES)) == pytest.approx(
        GOLD["CrossEntropyLossFlat(label_smoothing=.1)"]
    )
    points, target = torch.tensor([[0.1, -0.2], [0.3, 0.4]]), torch.tensor([[[0.0, 0.0]], [[0.5, 0.5]]])
    assert float(MSELossFlat()(points, target)) == pytest.approx(GOLD["MSELossFlat (2,2) vs (2,1,2)"])


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_cross_entropy_equals_that_of_pytorch(weight, label_smoothing):
    pred, target = random_batch("classes", 30)
    theirs = nn.CrossEntropyLoss(weight=weight, label_smoothing=label_smoothing)
    ours = CrossEntropyLossFlat(weight, label_smoothing=label_smoothing)
    torch.testing.assert_close(ours(pred, target), theirs(pred, target))


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_cross_entropy_of_class_probabilities_equals_that_of_pytorch(weight):
    pred, _ = random_batch("classes", 30)
    mixed = torch.rand(30, 5, generator=torch.Generator().manual_seed(1)).softmax(1)
    theirs = nn.CrossEntropyLoss(weight=weight, label_smoothing=0.1)(pred, mixed)
    torch.testing.assert_close(CrossEntropyLossFlat(weight, label_smoothing=0.1)(pred, mixed), theirs)


@pytest.mark.parametrize("pos_weight", [None, WEIGHT], ids=["plain", "pos_weight"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weight"])
def test_binary_cross_entropy_with_a_weight_per_class_equals_that_of_pytorch(weight, pos_weight):
    pred, target = random_batch("labels", 30)
    theirs = nn.BCEWithLogitsLoss(weight=weight, pos_weight=pos_weight)
    torch.testing.assert_close(BCEWithLogitsLossFlat(weight, pos_weight)(pred, target), theirs(pred, target))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float64])
def test_labels_may_be_any_kind_of_number(dtype):
    assert BCEWithLogitsLossFlat()(LOGITS, LABELS.to(dtype)) == BCEWithLogitsLossFlat()(LOGITS, LABELS)


def test_squared_error_over_the_known_targets_equals_that_of_pytorch():
    pred, target = random_batch("points", 30)
    known = ~target.reshape(30, 6).isnan()
    expected = functional.mse_loss(pred[known], target.reshape(30, 6)[known])
    torch.testing.assert_close(MSELossFlat()(pred, target), expected)


@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_cross_entropy_ignores_unknown_classes_as_pytorch_does(weight, label_smoothing):
    pred, target = random_batch("unknown classes", 30)
    assert bool((target < 0).any())
    theirs = nn.CrossEntropyLoss(weight=weight, label_smoothing=label_smoothing, ignore_index=-1)
    ours = CrossEntropyLossFlat(weight, label_smoothing=label_smoothing)
    torch.testing.assert_close(ours(pred, target), theirs(pred, target))
    torch.testing.assert_close(ours(pred, target.where(target >= 0, -100)), theirs(pred, target))


def test_mixed_classes_that_are_unknown_are_ignored():
    pred, _ = random_batch("classes", 30)
    mixed = torch.rand(30, 5, generator=torch.Generator().manual_seed(1)).softmax(1)
    loss = CrossEntropyLossFlat(WEIGHT, label_smoothing=0.1)
    expected = loss(pred[10:], mixed[10:])
    mixed[:10, 3] = NAN
    torch.testing.assert_close(loss(pred, mixed), expected)


def test_the_books_label_smoothing_equals_fastais():
    recorded = next(value for key, value in GOLD.items() if "mooth" in key)
    assert LabelSmoothingCrossEntropy()(LOGITS, CLASSES).item() == pytest.approx(recorded, rel=1e-6)
    with pytest.raises(InputError, match=r"label_smoothing must be a share in \[0, 1\)"):
        LabelSmoothingCrossEntropy(1.0)


def test_smoothed_cross_entropy_equals_that_of_timm():
    pred, target = random_batch("classes", 30)
    theirs = timm.loss.LabelSmoothingCrossEntropy(smoothing=0.2)(pred, target)
    torch.testing.assert_close(CrossEntropyLossFlat(label_smoothing=0.2)(pred, target), theirs)


@pytest.mark.parametrize("pos_weight", [None, WEIGHT], ids=["plain", "pos_weight"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weight"])
def test_binary_cross_entropy_over_the_known_labels_equals_that_of_pytorch(weight, pos_weight):
    pred, target = random_batch("unknown labels", 30)
    known = ~target.isnan()
    cells = nn.BCEWithLogitsLoss(weight=weight, pos_weight=pos_weight, reduction="none")(pred, target.nan_to_num(0.5))
    torch.testing.assert_close(BCEWithLogitsLossFlat(weight, pos_weight)(pred, target), cells[known].mean())


def test_smoothing_a_label_is_smoothing_over_its_two_classes():
    pred, target = random_batch("labels", 30)
    two_classes = torch.stack([torch.zeros_like(pred), pred], dim=-1).reshape(-1, 2)
    expected = nn.CrossEntropyLoss(label_smoothing=0.3)(two_classes, target.reshape(-1).long())
    torch.testing.assert_close(BCEWithLogitsLossFlat(label_smoothing=0.3)(pred, target), expected)


def test_weights_may_be_plain_lists():
    pred, target = random_batch("classes", 10)
    assert CrossEntropyLossFlat([1.0, 2.0, 3.0, 4.0, 5.0])(pred, target) == CrossEntropyLossFlat(WEIGHT)(pred, target)


# ------------------------------------------------------------------------------- over a set


def test_the_loss_of_a_set_does_not_depend_on_its_batches(case):
    kind, loss = case
    pred, target = random_batch(kind, 23)
    mean = MeanLoss(loss)
    for batch, wanted in zip(pred.split(10), target.split(10), strict=True):
        mean.add(batch, wanted)
    assert mean.value == pytest.approx(float(loss(pred.double(), target)), rel=1e-6)


def test_the_mean_of_weighted_batch_losses_is_wrong_unlike_in_fastai():
    mean = MeanLoss(CrossEntropyLossFlat(weight=WEIGHT))
    mean.add(LOGITS[:4], CLASSES[:4])
    mean.add(LOGITS[4:], CLASSES[4:])
    assert mean.value == pytest.approx(GOLD["weighted CE exact over all 6"])
    assert mean.value != pytest.approx(GOLD["weighted CE: AvgLoss over batches of 4 and 2"], rel=0.02)


def test_any_other_loss_is_averaged_over_images():
    pred, target = random_batch("labels", 7)
    mean = MeanLoss(functional.l1_loss)
    mean.add(pred[:5], target[:5])
    mean.add(pred[5:], target[5:])
    assert mean.value == pytest.approx(float(functional.l1_loss(pred, target)))


def test_the_mean_loss_without_any_batch_is_nan():
    assert math.isnan(MeanLoss(MSELossFlat()).value)


def test_the_loss_of_each_image_is_that_of_a_batch_of_one(case):
    kind, loss = case
    pred, target = random_batch(kind, 12)
    alone = image_losses(loss, pred, target)
    unknown = target < 0 if kind == "unknown classes" else target.isnan().reshape(12, -1).all(1)
    for i in range(12):
        expected = torch.tensor(NAN) if unknown[i] else loss(pred[i : i + 1], target[i : i + 1])
        torch.testing.assert_close(alone[i], expected, equal_nan=True)


def test_an_image_whose_targets_are_all_unknown_has_no_loss():
    target = torch.tensor([[[0.0, 1.0]], [[NAN, NAN]]])
    assert image_losses(MSELossFlat(), torch.zeros(2, 2), target).tolist() == [0.5, pytest.approx(NAN, nan_ok=True)]


def test_image_losses_accept_any_loss_function(case):
    kind, loss = case
    pred, target = random_batch(kind, 6, seed=2)
    by_hand = image_losses(lambda p, t: loss(p, t), pred, target)
    known = ~image_losses(loss, pred, target).isnan()
    torch.testing.assert_close(by_hand[known], image_losses(loss, pred, target)[known])


# ------------------------------------------------------------------------------- in training


def test_the_gradients_are_right(case):
    kind, loss = case
    pred, target = random_batch(kind, 4)
    assert torch.autograd.gradcheck(lambda p: loss(p, target), pred.double().requires_grad_())


def test_unknown_labels_and_classes_have_no_gradient():
    pred = torch.ones(2, 3, requires_grad=True)
    BCEWithLogitsLossFlat(label_smoothing=0.1)(pred, torch.tensor([[NAN, 0.0, 1.0], [NAN] * 3])).backward()
    assert (pred.grad == 0).tolist() == [[True, False, False], [True] * 3]
    pred = torch.ones(2, 3, requires_grad=True)
    CrossEntropyLossFlat(WEIGHT[:3], label_smoothing=0.1)(pred, torch.tensor([-1, 2])).backward()
    assert (pred.grad == 0).tolist() == [[True] * 3, [False] * 3]


def test_unknown_points_have_no_gradient():
    pred = torch.ones(2, 4, requires_grad=True)
    target = torch.tensor([[[NAN, NAN], [0.0, 0.0]], [[NAN, NAN], [NAN, NAN]]])
    MSELossFlat()(pred, target).backward()
    assert pred.grad.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (MSELossFlat(), torch.full((2, 2, 2), NAN)),
        (BCEWithLogitsLossFlat(), torch.full((2, 4), NAN)),
        (CrossEntropyLossFlat(), torch.tensor([-1, -100])),
        (CrossEntropyLossFlat(), torch.full((2, 4), NAN)),
    ],
)
def test_a_batch_whose_targets_are_all_unknown_has_no_loss_and_no_gradient(loss, target):
    pred = torch.ones(2, 4, requires_grad=True)
    value = loss(pred, target)
    value.backward()
    assert float(value.detach()) == 0
    assert pred.grad.abs().sum() == 0


def test_half_precision_outputs_are_added_up_in_float32(case):
    kind, loss = case
    pred, target = random_batch(kind, 5)
    found = loss(pred.bfloat16(), target)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(pred.bfloat16().float(), target))


def test_class_weights_move_with_the_loss_and_are_not_in_its_state_dict():
    loss = CrossEntropyLossFlat(weight=WEIGHT).to(torch.float64)
    assert isinstance(loss, FlattenedLoss)
    assert loss.weight.dtype == torch.float64
    assert loss.state_dict() == {}


def test_a_loss_copies_its_class_weights():
    weight = torch.ones(5)
    loss = CrossEntropyLossFlat(weight=weight)
    weight[0] = 9
    assert loss.weight.tolist() == [1] * 5


# ------------------------------------------------------------------------------- balancing


def test_class_weights_equal_the_balanced_weights_of_sklearn():
    target = np.random.default_rng(0).choice(4, size=200, p=[0.6, 0.25, 0.1, 0.05])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=target)
    np.testing.assert_allclose(class_weights(torch.tensor(target).bincount().float()).numpy(), expected, rtol=1e-6)


def test_a_class_without_images_gets_the_weight_one():
    assert class_weights(torch.tensor([2.0, 0.0, 2.0, 0.0])).tolist() == [1, 1, 1, 1]


def test_the_effective_number_is_the_sum_of_its_series():
    images = torch.tensor([0.0, 1.0, 2.0, 50.0])
    series = [sum(0.9**i for i in range(int(n))) for n in images]  # Cui et al. 2019, proof of proposition 1
    assert effective_number(images, 0.9).tolist() == pytest.approx(series)


def test_weights_by_the_effective_number_lie_between_equal_ones_and_those_by_frequency():
    images = torch.tensor([2000.0, 400.0, 30.0, 0.0])
    weights = class_weights(images, "effective_number")
    each = [(1 - 0.999) / (1 - 0.999**n) for n in (2000, 400, 30)]  # equation 3, scaled to 3 classes with images
    assert weights.tolist() == pytest.approx([*(3 * one / sum(each) for one in each), 1.0], rel=1e-5)
    by_frequency = class_weights(images)
    assert 1 < weights[2] / weights[0] < by_frequency[2] / by_frequency[0]
    positives = torch.tensor([30.0, 1970.0, 0.0, 2000.0])
    rare, frequent, none, all_of_them = pos_weights(positives, 2000 - positives, "effective_number").tolist()
    assert 1 < rare < 1970 / 30
    assert rare * frequent == pytest.approx(1)
    assert none == all_of_them == 1
    assert class_weights(images, "none") is pos_weights(images, images, "none") is None


def test_few_images_count_almost_fully_in_the_effective_number():
    few = torch.tensor([1.0, 2.0, 3.0])
    torch.testing.assert_close(
        pos_weights(few, 4 - few, "effective_number"), pos_weights(few, 4 - few), rtol=0.01, atol=0
    )


def test_balanced_pos_weights_let_having_and_lacking_a_label_count_the_same():
    target = torch.tensor([[1, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]])
    positives = target.sum(0).float()
    weights = pos_weights(positives, len(target) - positives)
    assert weights.tolist() == [3, 1, 1, 1]  # a label on no image and one on every image get 1
    added = functional.binary_cross_entropy_with_logits(
        torch.zeros(4, 4), target.float(), pos_weight=weights, reduction="none"
    )
    for c in (0, 1):
        having, lacking = added[target[:, c] == 1, c].sum(), added[target[:, c] == 0, c].sum()
        torch.testing.assert_close(having, lacking)


# ------------------------------------------------------------------------------- what is refused


@pytest.mark.wrong_shapes
def test_targets_of_another_shape_are_errors():
    with pytest.raises(InputError, match=r"shape \(2, 2\) and targets of the shape \(1, 4\) do not fit"):
        MSELossFlat()(torch.zeros(2, 2), torch.zeros(1, 4))
    with pytest.raises(InputError, match=r"shape \(6, 5\) and targets of the shape \(5, 6\) do not fit"):
        BCEWithLogitsLossFlat()(LOGITS, LABELS.T)
    with pytest.raises(InputError, match=r"have the shape \(6,\), got \(6, 1\)"):
        CrossEntropyLossFlat()(LOGITS, CLASSES[:, None])


def test_weights_for_another_number_of_classes_are_refused():
    with pytest.raises(InputError, match="weight has 3 numbers, for 5 classes"):
        CrossEntropyLossFlat(weight=[1, 2, 3])(LOGITS, CLASSES)
    with pytest.raises(InputError, match="pos_weight has 3 numbers, for 5 classes"):
        BCEWithLogitsLossFlat(pos_weight=[1, 2, 3])(LOGITS, LABELS)


@pytest.mark.wrong_shapes
def test_invalid_weights_and_smoothing_are_errors():
    with pytest.raises(InputError, match="must be one number, 0 or more, for each class"):
        CrossEntropyLossFlat(weight=[1, -1])
    with pytest.raises(InputError, match="must be one number, 0 or more, for each class"):
        BCEWithLogitsLossFlat(pos_weight=torch.ones(2, 2))
    with pytest.raises(InputError, match=r"label_smoothing must be a share in \[0, 1\), got 1"):
        CrossEntropyLossFlat(label_smoothing=1)
    with pytest.raises(InputError, match=r"label_smoothing must be a share in \[0, 1\), got -0.1"):
        BCEWithLogitsLossFlat(label_smoothing=-0.1)
