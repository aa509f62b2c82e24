import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional

from eyebright.errors import InputError
from eyebright.losses import (
    BCEWithLogitsLossFlat,
    CrossEntropyLossFlat,
    FlattenedLoss,
    MeanLoss,
    MSELossFlat,
    balanced_pos_weight,
    balanced_weight,
    image_losses,
)

GOLD = json.loads((Path(__file__).parent / "gold" / "g03_metrics.json").read_text())
LOGITS, LABELS, CLASSES = torch.tensor(GOLD["inp"]), torch.tensor(GOLD["targ"]), torch.tensor(GOLD["class targets"])
WEIGHT = torch.arange(1.0, 6.0)
NAN = float("nan")


def random_batch(kind, images, *, seed=0):
    """Outputs and targets for a loss on labels, classes or points (some unseen)."""
    generator = torch.Generator().manual_seed(seed)
    pred = torch.randn(images, 5 if kind != "points" else 6, generator=generator)
    if kind == "labels":
        return pred, (torch.rand(images, 5, generator=generator) < 0.4).float()
    if kind == "classes":
        return pred, torch.randint(5, (images,), generator=generator)
    target = torch.randn(images, 3, 2, generator=generator)
    target[torch.rand(images, 3, generator=generator) < 0.3] = NAN
    return pred, target


LOSSES = {
    "cross-entropy": ("classes", CrossEntropyLossFlat()),
    "weighted cross-entropy": ("classes", CrossEntropyLossFlat(weight=WEIGHT)),
    "smoothed cross-entropy": ("classes", CrossEntropyLossFlat(weight=WEIGHT, label_smoothing=0.1)),
    "binary cross-entropy": ("labels", BCEWithLogitsLossFlat()),
    "weighted binary cross-entropy": ("labels", BCEWithLogitsLossFlat(weight=WEIGHT, pos_weight=WEIGHT)),
    "squared error": ("points", MSELossFlat()),
}


@pytest.fixture(params=LOSSES.values(), ids=LOSSES.keys())
def case(request):
    return request.param


# ------------------------------------------------------------------------------- values


def test_the_reprs_are_the_books():
    for loss in (CrossEntropyLossFlat(weight=WEIGHT), BCEWithLogitsLossFlat(pos_weight=WEIGHT), MSELossFlat()):
        assert repr(loss) in GOLD["loss reprs"]


def test_the_values_are_the_books():
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
def test_cross_entropy_is_pytorchs(weight, label_smoothing):
    pred, target = random_batch("classes", 30)
    theirs = nn.CrossEntropyLoss(weight=weight, label_smoothing=label_smoothing)
    ours = CrossEntropyLossFlat(weight, label_smoothing=label_smoothing)
    torch.testing.assert_close(ours(pred, target), theirs(pred, target))


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_cross_entropy_with_mixed_classes_is_pytorchs(weight):
    pred, _ = random_batch("classes", 30)
    mixed = torch.rand(30, 5, generator=torch.Generator().manual_seed(1)).softmax(1)
    theirs = nn.CrossEntropyLoss(weight=weight, label_smoothing=0.1)(pred, mixed)
    torch.testing.assert_close(CrossEntropyLossFlat(weight, label_smoothing=0.1)(pred, mixed), theirs)


@pytest.mark.parametrize("pos_weight", [None, WEIGHT], ids=["plain", "pos_weight"])
@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weight"])
def test_binary_cross_entropy_is_pytorchs_with_one_weight_per_class(weight, pos_weight):
    pred, target = random_batch("labels", 30)
    theirs = nn.BCEWithLogitsLoss(weight=weight, pos_weight=pos_weight)
    torch.testing.assert_close(BCEWithLogitsLossFlat(weight, pos_weight)(pred, target), theirs(pred, target))


@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float64])
def test_labels_may_be_any_kind_of_number(dtype):
    assert BCEWithLogitsLossFlat()(LOGITS, LABELS.to(dtype)) == BCEWithLogitsLossFlat()(LOGITS, LABELS)


def test_squared_error_is_pytorchs_over_the_known_targets():
    pred, target = random_batch("points", 30)
    known = ~target.reshape(30, 6).isnan()
    expected = functional.mse_loss(pred[known], target.reshape(30, 6)[known])
    torch.testing.assert_close(MSELossFlat()(pred, target), expected)


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


def test_the_mean_of_weighted_batches_was_the_books_mistake():
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


def test_the_loss_of_nothing_is_unknown():
    assert math.isnan(MeanLoss(MSELossFlat()).value)


def test_the_loss_of_each_image_is_that_of_a_batch_of_one(case):
    kind, loss = case
    pred, target = random_batch(kind, 12)
    alone = image_losses(loss, pred, target)
    for i, known in enumerate(~target.isnan().flatten(1).all(1) if kind == "points" else [True] * 12):
        if known:
            torch.testing.assert_close(alone[i], loss(pred[i : i + 1], target[i : i + 1]))


def test_a_image_in_which_nothing_counts_has_no_loss():
    target = torch.tensor([[[0.0, 1.0]], [[NAN, NAN]]])
    assert image_losses(MSELossFlat(), torch.zeros(2, 2), target).tolist() == [0.5, pytest.approx(NAN, nan_ok=True)]


def test_the_loss_of_each_image_needs_nothing_of_a_loss_but_its_value(case):
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


def test_unknown_targets_move_nothing():
    pred = torch.ones(2, 4, requires_grad=True)
    target = torch.tensor([[[NAN, NAN], [0.0, 0.0]], [[NAN, NAN], [NAN, NAN]]])
    MSELossFlat()(pred, target).backward()
    assert pred.grad.tolist() == [[0, 0, 1, 1], [0, 0, 0, 0]]


def test_a_batch_in_which_nothing_counts_has_no_loss_and_no_gradient():
    pred = torch.ones(2, 4, requires_grad=True)
    loss = MSELossFlat()(pred, torch.full((2, 2, 2), NAN))
    loss.backward()
    assert float(loss.detach()) == 0
    assert pred.grad.abs().sum() == 0


def test_half_precision_outputs_are_added_up_in_float32(case):
    kind, loss = case
    pred, target = random_batch(kind, 5)
    found = loss(pred.bfloat16(), target)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, loss(pred.bfloat16().float(), target))


def test_a_loss_moves_with_its_weights_and_saves_none_of_them():
    loss = CrossEntropyLossFlat(weight=WEIGHT).to(torch.float64)
    assert isinstance(loss, FlattenedLoss)
    assert loss.weight.dtype == torch.float64
    assert loss.state_dict() == {}


def test_the_given_weights_stay_the_users_own():
    weight = torch.ones(5)
    loss = CrossEntropyLossFlat(weight=weight)
    weight[0] = 9
    assert loss.weight.tolist() == [1] * 5


# ------------------------------------------------------------------------------- balancing


def test_balanced_weights_are_scikit_learns():
    target = np.random.default_rng(0).choice(4, size=200, p=[0.6, 0.25, 0.1, 0.05])
    expected = compute_class_weight("balanced", classes=np.arange(4), y=target)
    np.testing.assert_allclose(balanced_weight(torch.tensor(target), 4).numpy(), expected, rtol=1e-6)


def test_a_class_without_images_gets_the_weight_one():
    weights = balanced_weight(torch.tensor([0, 0, 2, 2]), 4)
    assert weights.tolist() == [1, 1, 1, 1]


def test_balanced_pos_weights_let_having_and_lacking_a_label_count_the_same():
    target = torch.tensor([[1, 1, 0, 1], [0, 1, 0, 1], [0, 0, 0, 1], [0, 0, 0, 1]])
    weights = balanced_pos_weight(target)
    assert weights.tolist() == [3, 1, 1, 1]  # a label on no image and one on every image get 1
    added = functional.binary_cross_entropy_with_logits(
        torch.zeros(4, 4), target.float(), pos_weight=weights, reduction="none"
    )
    for c in (0, 1):
        having, lacking = added[target[:, c] == 1, c].sum(), added[target[:, c] == 0, c].sum()
        torch.testing.assert_close(having, lacking)


# ------------------------------------------------------------------------------- what is refused


def test_targets_that_do_not_fit_are_refused():
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


def test_weights_that_are_none_are_refused():
    with pytest.raises(InputError, match="one number, 0 or more, for each class"):
        CrossEntropyLossFlat(weight=[1, -1])
    with pytest.raises(InputError, match="one number, 0 or more, for each class"):
        BCEWithLogitsLossFlat(pos_weight=torch.ones(2, 2))
    with pytest.raises(InputError, match=r"a share in \[0, 1\), got 1"):
        CrossEntropyLossFlat(label_smoothing=1)
