"""Losses, activations and scores, compared with values recorded from fastai and the computer-vision recipes (g03)."""

import numpy as np
import pytest
import torch

from eyebright.all import sigmoid_range
from eyebright.errors import InputError
from eyebright.losses import BCEWithLogitsLossFlat, CrossEntropyLossFlat, MeanLoss, MSELossFlat
from eyebright.metrics.labels import accuracy_multi, f1_macro, subset_accuracy
from eyebright.recipes.scores import get_optimal_threshold, hamming_accuracy, zero_one_accuracy
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.types import Thresholds
from support.gold import gold

GOLD = gold("g03_metrics")
LOGITS, TARGETS = torch.tensor(GOLD["inp"]), torch.tensor(GOLD["targ"])
PROBABILITIES = LOGITS.sigmoid()
GRID = np.linspace(0, 1, 21).tolist()


# ------------------------------------------------------------------ losses


def printed(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The loss as printed in copies of the fastai book, with its two branches swapped."""
    inputs = inputs.sigmoid()
    return -torch.where(targets == 1, 1 - inputs, inputs).log().mean()


def corrected(inputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    inputs = inputs.sigmoid()
    return -torch.where(targets == 1, inputs, 1 - inputs).log().mean()


def test_the_printed_binary_cross_entropy_has_its_branches_swapped_and_the_loss_is_correct() -> None:
    assert printed(LOGITS, TARGETS).item() == pytest.approx(GOLD["binary_cross_entropy as the seeds print it"])
    loss = BCEWithLogitsLossFlat()(LOGITS, TARGETS)
    assert loss.item() == pytest.approx(GOLD["binary_cross_entropy corrected"])
    assert loss.item() == pytest.approx(GOLD["nn.BCEWithLogitsLoss"])
    assert torch.allclose(corrected(LOGITS, TARGETS), loss)
    assert not torch.allclose(printed(LOGITS, TARGETS), loss)


def test_the_printed_binary_cross_entropy_rewards_wrong_predictions() -> None:
    """The example in docs/coming-from-fastai.md: an image with a bird and without a car."""
    probabilities, bird_and_no_car = torch.tensor([[0.9, 0.2]]), torch.tensor([[1.0, 0.0]])
    logits = probabilities.logit()
    assert corrected(logits, bird_and_no_car).item() == pytest.approx(0.164, abs=5e-4)
    assert printed(logits, bird_and_no_car).item() == pytest.approx(1.956, abs=5e-4)
    for loss, learns_the_target in ((corrected, True), (printed, False)):
        logits = torch.zeros(1, 2, requires_grad=True)
        for _ in range(50):
            (gradient,) = torch.autograd.grad(loss(logits, bird_and_no_car), logits)
            logits = (logits - gradient).detach().requires_grad_()
        assert torch.equal(logits > 0, bird_and_no_car.bool()) is learns_the_target


def test_weights_per_label_work_unlike_fastai() -> None:
    assert GOLD["BCEWithLogitsLossFlat(weight=[1..5])"].startswith("RuntimeError")
    weight = torch.arange(1.0, 6.0)
    expected = torch.nn.BCEWithLogitsLoss(weight)(LOGITS, TARGETS)
    assert torch.allclose(BCEWithLogitsLossFlat(weight)(LOGITS, TARGETS), expected)


def test_the_weighted_mean_loss_does_not_depend_on_batches_unlike_fastai() -> None:
    classes = torch.tensor(GOLD["class targets"])
    mean = MeanLoss(CrossEntropyLossFlat(torch.arange(1.0, 6.0)))
    for batch in (slice(0, 4), slice(4, 6)):
        mean.add(LOGITS[batch], classes[batch])
    assert mean.value == pytest.approx(GOLD["weighted CE exact over all 6"])
    assert mean.value != pytest.approx(GOLD["weighted CE: AvgLoss over batches of 4 and 2"], rel=1e-2)


@pytest.mark.wrong_shapes
def test_mismatched_shapes_of_equal_size_are_refused_unlike_fastai() -> None:
    assert GOLD["accuracy_multi((6,5),(5,6)) accepted"] == pytest.approx(0.5333, abs=1e-4)
    with pytest.raises(InputError, match=r"got \(5, 6\) and \(6, 5\)"):
        accuracy_multi(LOGITS, TARGETS.T)
    assert GOLD["MSELossFlat((2,2),(1,4)) accepted"] == pytest.approx(0.025)
    with pytest.raises(InputError, match="each image needs as many targets as outputs"):
        MSELossFlat()(torch.zeros(2, 2), torch.zeros(1, 4))


# ------------------------------------------------------------------ activations and decisions


def test_probabilities_equal_fastais() -> None:
    softmax = CategoryBlock(list("abcde")).activate(LOGITS)[0]
    assert softmax.tolist() == pytest.approx(GOLD["softmax row0"])
    softmax = CategoryBlock(list("abcd")).activate(torch.tensor([[1.6, 0.4, 3.9, 0.3]]))[0]
    assert softmax.tolist() == pytest.approx(GOLD["seed softmax [1.6,.4,3.9,.3]"])
    sigmoid = MultiCategoryBlock(vocab=list("abcde")).activate(torch.tensor([[-1.2, 0.2, 1.9, -0.3, 3.4]]))[0]
    assert sigmoid.tolist() == pytest.approx(GOLD["seed sigmoid [-1.2,.2,1.9,-.3,3.4]"])


def test_sigmoid_range_equals_fastais() -> None:
    for x, expected in GOLD["sigmoid_range(x,-1,1)"].items():
        assert sigmoid_range(torch.tensor(float(x)), -1, 1).item() == pytest.approx(expected, abs=1e-6)


def test_a_label_is_predicted_strictly_above_one_half_as_in_fastai() -> None:
    assert Thresholds().values == GOLD["decodes thresh"]
    at_the_threshold = accuracy_multi(torch.tensor([[0.5]]), torch.tensor([[0.0]]), 0.5, sigmoid=False)
    assert at_the_threshold == GOLD["accuracy_multi strictness: p==thresh counts as negative"]


@pytest.mark.parametrize("thresh", [0.1, 0.2, 0.5, 0.9, 0.99])
def test_accuracy_multi_of_probabilities_equals_fastais(thresh: float) -> None:
    expected = GOLD["accuracy_multi"][f"thresh={thresh},sigmoid=False"]
    assert accuracy_multi(PROBABILITIES, TARGETS, thresh, sigmoid=False).item() == pytest.approx(expected)


@pytest.mark.wrong_shapes
def test_metrics_of_decisions_refuse_logits() -> None:
    assert GOLD["called directly on logits: F1ScoreMulti()(inp,targ) ignores thresh/sigmoid"].startswith("ValueError")
    with pytest.raises(InputError, match=r"Thresholds\.decide converts probabilities to decisions"):
        f1_macro(LOGITS, TARGETS)


# ------------------------------------------------------------------ the recipes' scores


def test_the_recipes_scores_at_all_thresholds_equal_the_recorded_ones() -> None:
    hamming = [hamming_accuracy(PROBABILITIES, TARGETS, threshold=t).item() for t in GRID]
    zero_one = [zero_one_accuracy(PROBABILITIES, TARGETS, threshold=t).item() for t in GRID]
    assert hamming == pytest.approx(GOLD["hamming over linspace(0,1,21)"], abs=1e-6)
    assert zero_one == pytest.approx(GOLD["zero_one over linspace(0,1,21)"], abs=1e-6)
    assert get_optimal_threshold(hamming_accuracy, PROBABILITIES, TARGETS) == pytest.approx(
        GOLD["optimal thresholds (first max)"]["hamming"]
    )
    assert get_optimal_threshold(zero_one_accuracy, PROBABILITIES, TARGETS) == pytest.approx(
        GOLD["optimal thresholds (first max)"]["zero_one"]
    )


def test_the_recipes_example_table_has_the_printed_scores() -> None:
    true = torch.tensor([[1, 0, 0, 1], [1, 0, 1, 1], [0, 1, 0, 0], [0, 1, 1, 0], [1, 1, 0, 0]]).float()
    pred = torch.tensor([[1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 0]]).float()
    assert hamming_accuracy(pred, true).item() == pytest.approx(GOLD["seed 001 table: hamming (0.85)"])
    assert zero_one_accuracy(pred, true).item() == pytest.approx(GOLD["seed 001 table: zero_one (0.40)"])


def test_the_recipes_scores_of_logits_and_stacked_batches_are_reproduced_and_differ_from_the_correct_one() -> None:
    of_logits = GOLD["zero_one on raw logits, threshold .2 (what learn.fit prints in seed 001)"]
    assert zero_one_accuracy(LOGITS, TARGETS).item() == pytest.approx(of_logits)
    assert torch.tensor(0.2).sigmoid().item() == pytest.approx(GOLD["... equals p>"])
    stacked = zero_one_accuracy(LOGITS.reshape(2, 3, 5), TARGETS.reshape(2, 3, 5)).item()
    assert stacked == pytest.approx(GOLD["train_zero_one as TrainMetricsRecorder computes it (stacked)"])
    correct = subset_accuracy(LOGITS > 0.2, TARGETS)
    assert correct == pytest.approx(GOLD["correct value on the same data"]) != pytest.approx(stacked)
    all_wrong = zero_one_accuracy(torch.ones(6, 16, 4), torch.zeros(6, 16, 4)).item()
    assert all_wrong == next(value for name, value in GOLD.items() if name.startswith("floor of the stacked formula"))
