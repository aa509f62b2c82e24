"""Metrics of labels, compared with scikit-learn, fastai and Microsoft's computer-vision recipes."""

import math
import warnings

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics import labels as ours
from eyebright.types import Thresholds

AVERAGES = ("micro", "macro", "samples")


def twice(matrix: Tensor) -> np.ndarray:
    """The matrix with each column twice, which changes no average; scikit-learn reads one column as something else."""
    return torch.cat([matrix, matrix], dim=1).numpy().astype(int)


def known_classes(target: Tensor) -> list[int]:
    return target.any(dim=0).nonzero()[:, 0].tolist()


# ------------------------------------------------------------------------------- rankings


def test_average_precision_equals_that_of_sklearn_for_classes_with_positives(labels):
    each = ours.average_precision(labels.scores, labels.target)
    for c in known_classes(labels.target):
        expected = oracle.average_precision_score(labels.target[:, c].numpy(), labels.scores[:, c].numpy())
        assert float(each[c]) == pytest.approx(expected, abs=1e-12)


def test_a_class_without_positives_has_no_average_precision(labels):
    each = ours.average_precision(labels.scores, labels.target)
    assert torch.equal(each.isnan(), ~labels.target.any(dim=0))


def test_the_mean_skips_absent_classes_or_counts_them_as_zero_like_scikit_learn(labels):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scikit-learn warns of each absent class
        expected = oracle.average_precision_score(twice(labels.target), torch.cat([labels.scores] * 2, 1).numpy())
    zero = ours.mean_average_precision(labels.scores, labels.target, absent="zero")
    skip = ours.mean_average_precision(labels.scores, labels.target)
    present = len(known_classes(labels.target))
    assert zero == pytest.approx(expected, abs=1e-12)
    if present == 0:
        assert math.isnan(skip)
    else:
        assert skip == pytest.approx(zero * labels.target.shape[1] / present, abs=1e-12)


def test_tied_scores_give_the_share_of_positives_in_any_order():
    target = torch.tensor([1, 0, 0, 0, 1, 0, 0, 0])[:, None]
    scores = torch.full((8, 1), 0.5)
    for order in (torch.arange(8), target[:, 0].argsort(), target[:, 0].argsort(descending=True)):
        assert float(ours.average_precision(scores, target[order])) == 0.25


def test_the_order_of_the_images_never_matters(labels):
    order = torch.from_numpy(np.random.default_rng(1).permutation(len(labels.scores)))
    before = ours.average_precision(labels.scores, labels.target)
    after = ours.average_precision(labels.scores[order], labels.target[order])
    torch.testing.assert_close(before, after, equal_nan=True, rtol=0, atol=1e-12)


@pytest.mark.parametrize("transform", [torch.exp, torch.logit, lambda x: 3 * x - 7], ids=["exp", "logit", "affine"])
def test_a_monotone_change_of_the_scores_never_matters(labels, transform):
    scores = labels.scores.double()
    before = ours.average_precision(scores, labels.target)
    after = ours.average_precision(transform(scores), labels.target)
    torch.testing.assert_close(before, after, equal_nan=True, rtol=0, atol=0)


def test_the_dtype_of_targets_never_matters(plain):
    expected = ours.mean_average_precision(plain.scores, plain.target)
    for dtype in (torch.float32, torch.int64, torch.uint8):
        assert ours.mean_average_precision(plain.scores, plain.target.to(dtype)) == expected


def test_float_targets_without_nan_give_bitwise_the_same_as_booleans(labels):
    target = labels.target.double()
    for average in AVERAGES:
        for metric in (ours.precision, ours.recall, ours.f1):
            known, plain = (metric(labels.decisions, t, average=average) for t in (target, labels.target))
            assert known == plain
    for metric in (ours.hamming_loss, ours.subset_accuracy):
        assert metric(labels.decisions, target) == metric(labels.decisions, labels.target)
    assert torch.equal(
        ours.average_precision(labels.scores, target).nan_to_num(-1),
        ours.average_precision(labels.scores, labels.target).nan_to_num(-1),
    )


def test_bfloat16_scores_are_ranked_with_the_ties_of_bfloat16(plain):
    coarse = plain.scores.bfloat16()
    assert ours.mean_average_precision(coarse, plain.target) == ours.mean_average_precision(
        coarse.double(), plain.target
    )


def test_the_precision_recall_curve_equals_that_of_sklearn(labels):
    for c in known_classes(labels.target):
        scores, target = labels.scores[:, c], labels.target[:, c]
        curve = ours.precision_recall_curve(scores, target)
        precision, recall, _ = oracle.precision_recall_curve(target.numpy(), scores.numpy())
        np.testing.assert_allclose(curve.precision.numpy(), precision[:-1][::-1], atol=1e-12)
        np.testing.assert_allclose(curve.recall.numpy(), recall[:-1][::-1], atol=1e-12)


def test_deciding_at_a_threshold_of_the_curve_gives_its_precision_and_recall(labels):
    scores, target = labels.scores[:, 0], labels.target[:, 0]
    curve = ours.precision_recall_curve(scores, target)
    for precision, threshold in zip(curve.precision, curve.thresholds, strict=True):
        assert float(target[scores > threshold].double().mean()) == pytest.approx(float(precision), abs=1e-12)


def test_without_positives_recall_is_unknown_and_precision_zero():
    curve = ours.precision_recall_curve(torch.tensor([0.2, 0.7]), torch.tensor([0, 0]))
    assert curve.precision.tolist() == [0, 0]
    assert curve.recall.isnan().all()


# ------------------------------------------------------------------------------- decisions


@pytest.mark.parametrize("average", AVERAGES)
def test_precision_recall_and_f1_equal_those_of_sklearn(labels, average):
    expected = oracle.precision_recall_fscore_support(
        twice(labels.target), twice(labels.decisions), average=average, zero_division=0
    )
    for metric, value in zip((ours.precision, ours.recall, ours.f1), expected, strict=False):
        assert metric(labels.decisions, labels.target, average=average) == pytest.approx(value, abs=1e-12)


def test_hamming_loss_and_subset_accuracy_equal_those_of_sklearn(labels):
    target, decisions = twice(labels.target), twice(labels.decisions)
    assert ours.hamming_loss(labels.decisions, labels.target) == pytest.approx(oracle.hamming_loss(target, decisions))
    assert ours.subset_accuracy(labels.decisions, labels.target) == pytest.approx(
        oracle.accuracy_score(target, decisions)
    )


def test_per_class_scores_equal_those_of_sklearn(labels):
    rows = ours.per_class(labels.scores, labels.target, Thresholds(0.5))
    for c, row in enumerate(rows):
        target, decisions = labels.target[:, c].numpy(), labels.decisions[:, c].numpy()
        precision, recall, f1, _ = oracle.precision_recall_fscore_support(
            target, decisions, average="binary", zero_division=0
        )
        assert (row.precision, row.recall, row.f1) == pytest.approx((precision, recall, f1), abs=1e-12)
        assert (row.positives, row.predicted, row.threshold) == (target.sum(), decisions.sum(), 0.5)
        assert math.isnan(row.average_precision) == (row.positives == 0)


def test_per_class_scores_use_the_threshold_of_each_class(plain):
    thresholds = Thresholds((0.1, 0.2, 0.3, 0.4, 0.5, 0.6))
    rows = ours.per_class(plain.scores, plain.target, thresholds)
    assert [row.predicted for row in rows] == [int((plain.scores[:, c] > 0.1 * (c + 1)).sum()) for c in range(6)]
    assert [row.threshold for row in rows] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])


def test_the_fixture_of_microsofts_recipes_gives_the_standard_values(recipes):
    decisions = recipes.scores > 0.2
    expected = {
        "micro": (1.0, 0.7, 0.823529),
        "macro": (1.0, 0.666667, 0.783333),
        "samples": (1.0, 0.729167, 0.830952),
    }
    for average, values in expected.items():
        found = [m(decisions, recipes.target, average=average) for m in (ours.precision, ours.recall, ours.f1)]
        assert found == pytest.approx(values, abs=1e-6)
    assert ours.average_precision(recipes.scores, recipes.target).tolist() == pytest.approx(
        [1, 0.916667, 0.75, 0.75], abs=1e-6
    )
    assert 1 - ours.hamming_loss(decisions, recipes.target) == 0.8125
    assert ours.subset_accuracy(decisions, recipes.target) == 0.25


def test_the_worked_example_of_microsofts_recipes_gives_its_values():
    target = torch.tensor([[1, 0, 0, 1], [1, 0, 1, 1], [0, 1, 0, 0], [0, 1, 1, 0], [1, 1, 0, 0]])
    decisions = torch.tensor([[1, 0, 0, 0], [1, 1, 1, 1], [0, 1, 0, 0], [0, 1, 1, 0], [1, 1, 1, 0]]).bool()
    assert 1 - ours.hamming_loss(decisions, target) == pytest.approx(0.85)
    assert ours.subset_accuracy(decisions, target) == pytest.approx(0.4)
    f1 = [ours.f1(decisions, target, average=average) for average in AVERAGES]
    assert f1 == pytest.approx([0.8571, 0.8310, 0.8648], abs=5e-4)


def test_metrics_of_decisions_equal_those_of_fastai(gold):
    probabilities, target = torch.tensor(gold["inp"]).sigmoid(), torch.tensor(gold["targ"])
    decisions = probabilities >= 0.5  # its sklearn metrics decide with >=, and one logit here is exactly 0
    assert ours.f1(decisions, target, average="macro") == pytest.approx(gold["F1ScoreMulti"])
    assert ours.precision(decisions, target, average="macro") == pytest.approx(gold["PrecisionMulti"])
    assert ours.recall(decisions, target, average="macro") == pytest.approx(gold["RecallMulti"])
    assert ours.hamming_loss(decisions, target) == pytest.approx(gold["HammingLossMulti"])
    assert ours.f1(probabilities > 0.2, target, average="micro") == pytest.approx(gold["F1ScoreMulti_t2_micro"])
    assert ours.mean_average_precision(probabilities, target) == pytest.approx(gold["APScoreMulti"])


# ------------------------------------------------------------------------------- unknown cells


def known_columns(labels):
    """(scores, decisions, targets) of the known cells of each class that has some."""
    for scores, decisions, target in zip(labels.scores.T, labels.decisions.T, labels.target.T, strict=True):
        known = ~target.isnan()
        if known.any():
            yield scores[known].numpy(), decisions[known].numpy(), target[known].numpy() == 1


def known_rows(labels):
    """(scores, decisions, targets) of the known cells of each image that has some."""
    yield from known_columns(type(labels)(labels.scores.T, labels.target.T))


def known_cells(labels):
    known = ~labels.target.isnan()
    yield labels.scores[known].numpy(), labels.decisions[known].numpy(), labels.target[known].numpy() == 1


def test_average_precision_on_known_cells_equals_that_of_sklearn(partly_known):
    each = ours.average_precision(partly_known.scores, partly_known.target)
    expected = []
    for scores, target in zip(partly_known.scores.T, partly_known.target.T, strict=True):
        known = ~target.isnan()
        positive = target[known].numpy() == 1
        expected.append(oracle.average_precision_score(positive, scores[known].numpy()) if positive.any() else math.nan)
    assert each.tolist() == pytest.approx(expected, abs=1e-12, nan_ok=True)


def test_the_mean_over_classes_leaves_out_classes_without_known_cells(partly_known):
    expected = [
        oracle.average_precision_score(target, scores) if target.any() else 0.0
        for scores, _, target in known_columns(partly_known)
    ]
    found = ours.mean_average_precision(partly_known.scores, partly_known.target, absent="zero")
    assert found == pytest.approx(np.mean(expected), abs=1e-12)


def test_the_precision_recall_curve_on_known_cells_equals_that_of_sklearn(partly_known):
    for c, target in enumerate(partly_known.target.T):
        curve = ours.precision_recall_curve(partly_known.scores[:, c], target)
        known = ~target.isnan()
        if target[known].any():
            precision, recall, _ = oracle.precision_recall_curve(
                target[known].numpy(), partly_known.scores[:, c][known].numpy()
            )
            np.testing.assert_allclose(curve.precision.numpy(), precision[:-1][::-1], atol=1e-12)
            np.testing.assert_allclose(curve.recall.numpy(), recall[:-1][::-1], atol=1e-12)
        assert len(curve.thresholds) == len(curve.precision) == len(curve.recall)


@pytest.mark.parametrize(
    ("average", "groups"), [("micro", known_cells), ("macro", known_columns), ("samples", known_rows)]
)
def test_precision_recall_and_f1_on_known_cells_equal_those_of_sklearn(partly_known, average, groups):
    each = [
        oracle.precision_recall_fscore_support(target, decisions, average="binary", zero_division=0)[:3]
        for _, decisions, target in groups(partly_known)
    ]
    for metric, expected in zip((ours.precision, ours.recall, ours.f1), np.mean(each, axis=0), strict=True):
        found = metric(partly_known.decisions, partly_known.target, average=average)
        assert found == pytest.approx(expected, abs=1e-12)


def test_hamming_loss_and_accuracy_multi_on_known_cells_equal_those_of_sklearn(partly_known):
    [(_, decisions, target)] = known_cells(partly_known)
    expected = oracle.hamming_loss(target, decisions)
    assert ours.hamming_loss(partly_known.decisions, partly_known.target) == pytest.approx(expected, abs=1e-12)
    multi = ours.accuracy_multi(partly_known.scores, partly_known.target, sigmoid=False)
    assert float(multi) == pytest.approx(1 - expected, abs=1e-12)


def test_an_exact_match_has_all_its_known_cells_right(partly_known):
    each = [oracle.accuracy_score(target, decisions) == 1 for _, decisions, target in known_rows(partly_known)]
    found = ours.subset_accuracy(partly_known.decisions, partly_known.target)
    assert found == pytest.approx(np.mean(each), abs=1e-12)


def test_per_class_scores_are_computed_from_known_cells_only(partly_known):
    rows = ours.per_class(partly_known.scores, partly_known.target, Thresholds(0.5))
    for row, scores, target in zip(rows, partly_known.scores.T, partly_known.target.T, strict=True):
        known = ~target.isnan()
        assert row.known == int(known.sum())
        if row.known:
            alone = ours.per_class(scores[known][:, None], target[known][:, None], Thresholds(0.5))[0]
            assert repr(alone) == repr(row)  # NaN is not equal to itself
        else:
            assert (row.positives, row.predicted, row.precision, row.recall, row.f1) == (0, 0, 0, 0, 0)
            assert math.isnan(row.average_precision)


def test_scores_and_decisions_of_unknown_cells_change_nothing(partly_known):
    unknown = partly_known.target.isnan()
    scores, decisions = partly_known.scores.clone(), partly_known.decisions.clone()
    scores[unknown], decisions[unknown] = 0.99, ~decisions[unknown]
    before = ours.average_precision(partly_known.scores, partly_known.target)
    torch.testing.assert_close(
        ours.average_precision(scores, partly_known.target), before, equal_nan=True, rtol=0, atol=0
    )
    for metric in (
        ours.f1_micro,
        ours.f1_macro,
        ours.f1_samples,
        ours.hamming_loss_metric,
        ours.subset_accuracy_metric,
    ):
        assert metric(decisions, partly_known.target) == metric(partly_known.decisions, partly_known.target)


def test_without_any_known_cell_scores_are_nan():
    decisions, target = torch.ones(3, 2, dtype=torch.bool), torch.full((3, 2), torch.nan)
    for metric in (
        ours.f1_micro,
        ours.f1_macro,
        ours.f1_samples,
        ours.hamming_loss_metric,
        ours.subset_accuracy_metric,
    ):
        assert math.isnan(metric(decisions, target))
    for absent in ("skip", "zero"):
        assert math.isnan(ours.mean_average_precision(decisions.float(), target, absent=absent))
    assert math.isnan(ours.accuracy(torch.zeros(2, 3), torch.tensor([-1, -1])))
    assert len(ours.precision_recall_curve(torch.rand(3), target[:, 0]).thresholds) == 0


def test_accuracy_leaves_out_images_of_unknown_class():
    logits, target = torch.eye(4), torch.tensor([0, -1, 2, 0])
    assert float(ours.accuracy(logits, target)) == pytest.approx(2 / 3)
    assert float(ours.error_rate(logits, target)) == pytest.approx(1 / 3)


# ------------------------------------------------------------------------------- the book's


@pytest.mark.parametrize("thresh", [0.1, 0.2, 0.5, 0.9, 0.99])
def test_accuracy_multi_equals_that_of_fastai(gold, thresh):
    logits, target = torch.tensor(gold["inp"]), torch.tensor(gold["targ"])
    expected = gold["accuracy_multi"][f"thresh={thresh},sigmoid=True"]
    assert float(ours.accuracy_multi(logits, target, thresh)) == pytest.approx(expected)
    assert float(ours.accuracy_multi(logits.sigmoid(), target, thresh, sigmoid=False)) == pytest.approx(expected)


def test_a_probability_equal_to_the_threshold_is_not_a_positive_decision():
    assert float(ours.accuracy_multi(torch.tensor([[0.5]]), torch.tensor([[0.0]]), sigmoid=False)) == 1


def test_accuracy_multi_is_one_minus_the_hamming_loss(labels):
    found = ours.accuracy_multi(labels.scores, labels.target, sigmoid=False)
    assert float(found) == pytest.approx(1 - ours.hamming_loss(labels.decisions, labels.target))


def test_accuracy_and_error_rate_equal_those_of_fastai(gold):
    logits, target = torch.tensor(gold["inp"]), torch.tensor(gold["class targets"])
    assert float(ours.accuracy(logits, target)) == pytest.approx(gold["accuracy"])
    assert float(ours.error_rate(logits, target)) == pytest.approx(gold["error_rate"])
    assert float(ours.accuracy(logits.T, target, axis=0)) == pytest.approx(gold["accuracy"])


def test_accuracy_equals_that_of_sklearn():
    generator = np.random.default_rng(0)
    logits, target = torch.tensor(generator.normal(size=(200, 7))), torch.tensor(generator.integers(7, size=200))
    expected = oracle.accuracy_score(target.numpy(), logits.argmax(dim=1).numpy())
    assert float(ours.accuracy(logits, target)) == pytest.approx(expected)


# ------------------------------------------------------------------------------- what is refused


@pytest.mark.wrong_shapes
def test_targets_of_another_shape_are_refused(plain):
    with pytest.raises(InputError, match=r"got \(6, 60\) and \(60, 6\)"):
        ours.accuracy_multi(plain.scores, plain.target.T)
    with pytest.raises(InputError, match="one row for each image"):
        ours.mean_average_precision(plain.scores, plain.target[:, :5])
    with pytest.raises(InputError, match=r"predicted classes of the shape \(60,\)"):
        ours.accuracy(plain.scores, plain.target)


def test_an_empty_set_is_refused():
    with pytest.raises(InputError, match="one row for each image"):
        ours.hamming_loss(torch.zeros(0, 3, dtype=torch.bool), torch.zeros(0, 3))


@pytest.mark.wrong_shapes
def test_probabilities_instead_of_decisions_are_an_error(plain):
    with pytest.raises(InputError, match=r"Thresholds\.decide converts probabilities to decisions"):
        ours.f1(plain.scores, plain.target, average="micro")


def test_targets_other_than_zero_and_one_are_refused(plain):
    with pytest.raises(InputError, match="targets must be 0 or 1"):
        ours.hamming_loss(plain.decisions, plain.target * 2)


def test_nan_scores_cannot_be_ranked(plain):
    broken = plain.scores.clone()
    broken[3, 2] = torch.nan
    with pytest.raises(InputError, match="NaN"):
        ours.average_precision(broken, plain.target)
    with pytest.raises(InputError, match="NaN"):
        ours.precision_recall_curve(broken[:, 2], plain.target[:, 2])


def test_unknown_options_are_refused(plain):
    with pytest.raises(InputError, match="'micro', 'macro' or 'samples', got 'weighted'"):
        ours.f1(plain.decisions, plain.target, average="weighted")
    with pytest.raises(InputError, match="'skip' or 'zero', got 'one'"):
        ours.mean_average_precision(plain.scores, plain.target, absent="one")
