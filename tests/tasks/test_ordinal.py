"""`OrdinalBlock`: reading, probabilities and decoded values of ordered classes, and the CORN loss."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from eyebright.errors import DataError, InputError, LabelError
from eyebright.losses import image_losses
from eyebright.metrics.ordinal import ordinal_mae_metric
from eyebright.tasks.decision import Decision
from eyebright.tasks.ordinal import CornLoss, OrdinalBlock

NAN = float("nan")
RATINGS = OrdinalBlock([1, 2, 3, 4, 5])


def outputs(images=20, seed=0):
    return torch.randn(images, RATINGS.n_out, generator=torch.Generator().manual_seed(seed)) * 3


def targets(images=20, seed=0):
    return torch.randint(5, (images,), generator=torch.Generator().manual_seed(seed))


# ------------------------------------------------------------------------------- classes


@pytest.mark.parametrize("raw", [4, "4", 4.0, " 4 ", "4.0", np.int64(4), np.float32(4), ["4"]])
def test_a_whole_number_is_one_class_however_it_is_written(raw):
    assert OrdinalBlock().read(raw) == "4"


def test_numbers_are_sorted_as_numbers():
    block = OrdinalBlock()
    fitted = block.fit([block.read(raw) for raw in ("10", 9, "2.5", -1, "9")])
    assert list(fitted.classes) == ["-1", "2.5", "9", "10"]


def test_the_order_of_words_must_be_given():
    with pytest.raises(
        InputError, match=r"the order of 'bad', 'good' is not known.*OrdinalBlock\(classes=\[\.\.\.\]\)"
    ):
        OrdinalBlock().fit(["good", "bad", "3"])
    block = OrdinalBlock(classes=["bad", "fair", "good"])
    assert block.fit(["good"]) == block
    assert block.encode("fair") == 1


def test_an_image_without_a_class_or_with_several_is_refused():
    for raw in (None, NAN, "", " ", np.float64("nan")):
        with pytest.raises(LabelError, match="leave the image out"):
            OrdinalBlock().read(raw)
    with pytest.raises(LabelError, match=r"one class for each image, got 2: \['1', '2'\]"):
        OrdinalBlock().read(["1", "2"])


def test_a_class_that_is_not_known_is_refused():
    with pytest.raises(LabelError, match="unknown label '6'"):
        RATINGS.encode("6")


def test_one_class_cannot_be_learnt():
    block = OrdinalBlock().fit(["3", "3"])
    with pytest.raises(DataError, match="there is only one class, '3'"):
        block.check_learnable(["3"], ["3"])
    RATINGS.check_learnable(["3"], ["3"])


# ------------------------------------------------------------------------------- outputs


def test_there_is_an_output_for_each_class_but_the_highest():
    assert RATINGS.n_out == 4
    assert RATINGS.output_names == ("above 1", "above 2", "above 3", "above 4")
    assert RATINGS.value_names == RATINGS.target_names == ("1", "2", "3", "4", "5")


def test_probabilities_are_those_of_the_conditional_outputs():
    logits = outputs()
    found = RATINGS.activate(logits)
    for row, probabilities in zip(logits.sigmoid().tolist(), found.tolist(), strict=True):
        not_below = 1.0
        for i, above in enumerate(row):
            assert probabilities[i] == pytest.approx(not_below * (1 - above), abs=1e-6)
            not_below *= above
        assert probabilities[4] == pytest.approx(not_below, abs=1e-6)


def test_whatever_the_outputs_are_probabilities_are_not_negative_and_sum_to_one():
    for scale in (0.0, 1.0, 30.0, 1000.0):
        found = RATINGS.activate(outputs() * scale)
        assert (found >= 0).all()
        torch.testing.assert_close(found.sum(dim=1), torch.ones(20))


def test_the_answer_is_the_median_class():
    decision = Decision(RATINGS)
    assert decision.decode(torch.tensor([0.45, 0.0, 0.1, 0.0, 0.45])) == "3"
    assert decision.decode_batch(decision.activate(torch.full((1, 4), 9.0))) == ["5"]


# ------------------------------------------------------------------------------- loss


def test_the_loss_is_the_negative_log_likelihood_of_the_true_class():
    logits, classes = outputs().double(), targets()
    expected = -RATINGS.activate(logits).gather(1, classes[:, None])[:, 0].log()
    torch.testing.assert_close(image_losses(CornLoss(), logits, classes), expected.float(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(CornLoss()(logits, classes), expected.mean().float(), rtol=1e-4, atol=1e-4)


def test_the_loss_equals_the_corn_paper_loss_up_to_a_constant_factor():
    logits, classes = outputs(), targets()
    total, examples = 0.0, 0
    for task in range(4):  # as in the paper's algorithm: each task sees the images that are not below its class
        subset = classes >= task
        yes = (classes[subset] > task).float()
        total += float(functional.binary_cross_entropy_with_logits(logits[subset, task], yes, reduction="sum"))
        examples += int(subset.sum())
    assert float(CornLoss()(logits, classes)) * len(logits) == pytest.approx(total, rel=1e-5)
    assert examples > len(logits)


def test_an_unknown_class_has_no_loss_and_no_gradient():
    logits, classes = outputs().requires_grad_(), targets()
    classes[3] = -1
    loss = CornLoss()(logits, classes)
    loss.backward()
    known = classes >= 0
    torch.testing.assert_close(loss, CornLoss()(logits[known], classes[known]))
    assert logits.grad[3].abs().sum() == 0
    assert image_losses(CornLoss(), logits, classes)[3].isnan()
    assert RATINGS.target_row(classes[3]).isnan().all()
    assert RATINGS.target_of_row(RATINGS.target_row(classes[3])) == -1


def test_the_loss_of_mixed_images_is_the_mixture_of_their_losses():
    logits, first, second = outputs(), targets(), targets(seed=1)
    mixed = 0.3 * RATINGS.soft_targets(first) + 0.7 * RATINGS.soft_targets(second)
    expected = 0.3 * CornLoss()(logits, first) + 0.7 * CornLoss()(logits, second)
    torch.testing.assert_close(CornLoss()(logits, mixed), expected)
    mixed[2] = torch.nan
    rest = torch.arange(20) != 2
    torch.testing.assert_close(CornLoss()(logits, mixed), CornLoss()(logits[rest], mixed[rest]))


def test_balanced_training_weighs_rare_classes_more():
    values = ["1"] * 8 + ["2", "3", "4", "5"]
    logits, classes = outputs(2), torch.tensor([0, 1])
    loss = RATINGS.training_loss(values, balance="pos_weight")
    each = image_losses(CornLoss(), logits, classes)
    weights = torch.tensor([12 / (5 * 8), 12 / 5])
    torch.testing.assert_close(loss(logits, classes), (each * weights).sum() / weights.sum())
    assert RATINGS.training_loss(values)(logits, classes) == RATINGS.loss()(logits, classes)


def test_smoothed_targets_spread_a_share_over_all_classes():
    logits, classes = outputs(), targets()
    rows = 0.9 * RATINGS.soft_targets(classes) + 0.1 / 5
    loss = RATINGS.training_loss([], label_smoothing=0.1)
    torch.testing.assert_close(loss(logits, classes), CornLoss()(logits, rows))


def test_targets_of_another_shape_are_refused():
    with pytest.raises(InputError, match=r"have the shape \(20,\) or \(20, 5\), got \(20, 4\)"):
        CornLoss()(outputs(), outputs())


def test_a_linear_model_learns_the_order():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(600, 3, generator=generator)
    latent = x @ torch.tensor([1.0, -0.5, 0.3]) + 0.3 * torch.randn(600, generator=generator)
    classes = torch.bucketize(latent, torch.tensor([-1.2, -0.4, 0.4, 1.2]))
    head = torch.nn.Linear(3, 4)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=100)

    def closure():
        optimizer.zero_grad()
        loss = CornLoss()(head(x[:400]), classes[:400])
        loss.backward()
        return loss

    optimizer.step(closure)
    off = ordinal_mae_metric(RATINGS.activate(head(x[400:]).detach()), classes[400:])
    constant = ordinal_mae_metric(torch.eye(5)[[2]].expand(200, 5), classes[400:])
    assert off < 0.4 * constant


# ------------------------------------------------------------------------------- summary


def test_the_baselines_are_the_most_frequent_class_and_the_median():
    summary = RATINGS.training_summary(["1", "1", "1", "3", "4", "5", "5"])
    assert summary["counts"] == [3, 0, 1, 1, 2]
    assert summary["baseline"] == {"*": [1, 0, 0, 0, 0], "mae": [0, 0, 1, 0, 0]}


def test_a_prediction_has_the_class_and_the_probability_of_each():
    scores = torch.tensor([0.1, 0.1, 0.5, 0.2, 0.1], dtype=torch.float64)
    assert RATINGS.table_columns == ("labels", "1", "2", "3", "4", "5")
    assert RATINGS.table_row("3", scores) == ("3", 0.1, 0.1, 0.5, 0.2, 0.1)
    assert RATINGS.prediction_json("3", scores)["probabilities"]["3"] == 0.5
    assert RATINGS.text("3") == "3"
    assert RATINGS.describe() == "OrdinalBlock with 5 ordered classes: '1', '2', '3', '4', '5'"
    assert OrdinalBlock().describe() == "OrdinalBlock, not fitted yet"


def test_a_table_can_give_the_classes_in_their_order():
    assert list(OrdinalBlock.from_columns(["low", "high"]).classes) == ["low", "high"]
    assert OrdinalBlock.from_columns([]).vocab is None
