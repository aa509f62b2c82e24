"""Two models on the same images: each number equals a second computation, and what cannot be compared is said."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import average_precision_score

from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.model_comparison import compare_models
from eyebright.report.comparison import comparison_sentences
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from support.evaluations import make_evaluation

VOCAB = ("bus", "car", "cat")
N = 120


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(noise: float, seed: int = 1) -> Evaluation:
    targets = (random(N, 3) > 0.5).float()
    targets[:4, 0] = math.nan
    outputs = 3 * targets.nan_to_num() - 1.5 + noise * random(N, 3, seed=seed)
    return make_evaluation(MultiCategoryBlock(vocab=VOCAB), outputs, targets)


def classes(noise: float, seed: int = 1) -> Evaluation:
    targets = torch.arange(N) % 3
    targets[:5] = -1
    outputs = 3 * torch.nn.functional.one_hot(targets.clamp(min=0), 3) + noise * random(N, 3, seed=seed)
    return make_evaluation(CategoryBlock(VOCAB), outputs, targets)


def points(noise: float, seed: int = 1) -> Evaluation:
    targets = 20 + 5 * random(N, 2, 2)
    targets[0] = math.nan
    block = PointBlock(2, names=("left", "right"))
    return make_evaluation(block, (targets.nan_to_num() + noise * random(N, 2, 2, seed=seed)).flatten(1), targets)


def numbers(noise: float, seed: int = 1) -> Evaluation:
    targets = random(N, 2)
    targets[3, 0] = math.nan
    block = RegressionBlock(names=("age", "size"))
    return make_evaluation(block, targets.nan_to_num() + noise * random(N, 2, seed=seed), targets)


KINDS = {"labels": labels, "classes": classes, "points": points, "numbers": numbers}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_beside_itself_changes_nothing(kind: str) -> None:
    found = compare_models(KINDS[kind](1.0), KINDS[kind](1.0))
    assert {one.difference for one in found.metrics} == {0.0}
    assert {one.p_value for one in found.outputs} == {1.0}
    assert found.worse == found.better == ()


@pytest.mark.parametrize("kind", KINDS)
def test_exchanging_the_models_exchanges_what_got_worse_and_better(kind: str) -> None:
    a, b = KINDS[kind](0.5), KINDS[kind](3.0, seed=2)
    one, other = compare_models(a, b), compare_models(b, a)
    assert [c.row for c in one.worse] == [c.row for c in other.better]
    assert one.broken == other.fixed
    for left, right in zip(one.outputs, other.outputs, strict=True):
        assert (left.first, left.second) == (right.second, right.first)
        assert left.p_value == pytest.approx(right.p_value)
        assert left.interval.low == pytest.approx(-right.interval.high)


@pytest.mark.parametrize("kind", KINDS)
def test_a_much_worse_model_is_surely_worse(kind: str) -> None:
    found = compare_models(KINDS[kind](0.3), KINDS[kind](6.0, seed=2))
    assert not found.metrics[0].second_is_better
    assert all(one.p_value < 0.05 for one in found.outputs)
    assert len(found.worse) > len(found.better)


def test_average_precisions_equal_those_of_scikit_learn() -> None:
    a, b = labels(1.0), labels(2.0, seed=2)
    for k, one in enumerate(compare_models(a, b).outputs):
        known = ~a.targets[:, k].isnan()
        true = a.targets[known, k]
        assert one.first == pytest.approx(average_precision_score(true, a.activated[known, k]))
        assert one.second == pytest.approx(average_precision_score(true, b.activated[known, k]))
        assert one.count == int(true.sum())
        assert one.interval.low <= one.second - one.first <= one.interval.high


def test_classes_are_tested_by_mcnemars_exact_test() -> None:
    a, b = classes(1.5), classes(2.0, seed=2)
    found = compare_models(a, b)
    expected = []
    for k in range(3):
        mine = (a.targets == k).numpy()
        right = [(each.activated.argmax(dim=1) == k).numpy()[mine] for each in (a, b)]
        gained, lost = int((right[1] & ~right[0]).sum()), int((right[0] & ~right[1]).sum())
        expected.append(stats.binomtest(gained, gained + lost).pvalue)
        assert (found.outputs[k].first, found.outputs[k].second) == pytest.approx((right[0].mean(), right[1].mean()))
    order = np.argsort(expected)
    corrected = np.minimum(np.maximum.accumulate(np.array(expected)[order] * [3, 2, 1]), 1)
    assert [found.outputs[k].p_value for k in order] == pytest.approx(corrected.tolist())


def test_errors_of_points_have_the_paired_interval() -> None:
    a, b = points(1.0), points(1.2, seed=2)
    one = compare_models(a, b).outputs[0]
    errors = [(each.activated - each.targets)[1:, 0].double().norm(dim=1) for each in (a, b)]
    difference = (errors[1] - errors[0]).numpy()
    expected = stats.norm.interval(0.95, difference.mean(), stats.sem(difference))
    assert (one.interval.low, one.interval.high) == pytest.approx(expected, rel=1e-5)
    assert one.p_value >= 2 * stats.norm.sf(abs(difference.mean()) / stats.sem(difference)) * 0.999


def test_images_that_changed_have_both_answers_and_the_truth() -> None:
    a = labels(0.0)
    outputs = a.outputs.clone()
    outputs[10] *= -1  # three wrong labels
    outputs[20, 1] *= -1
    found = compare_models(a, replace(a, outputs=outputs))
    first, second = found.worse
    assert [first.row, second.row] == [10, 20]
    assert (first.mistakes, second.mistakes) == ((0, 3), (0, 1))
    has = {name for name, yes in zip(VOCAB, a.targets[10].tolist(), strict=True) if yes == 1}
    assert set(first.truth.split(";")) - {""} == set(first.answers[0].split(";")) - {""} == has
    assert set(first.answers[1].split(";")) - {""} == set(VOCAB) - has
    assert (found.broken, found.fixed) == (2, 0)


def test_only_images_of_both_are_compared_whatever_their_order() -> None:
    a, b = labels(1.0), labels(2.0, seed=2)
    rows = [*range(100, 20, -1)]
    found = compare_models(a.take(range(90)), b.take(rows))
    assert len(found.first) == 69
    assert found.first.files == found.second.files == a.files[21:90]
    assert found.only_first == a.files[:21]
    assert set(found.only_second) == set(a.files[90:101])
    assert torch.equal(found.second.outputs, b.outputs[21:90])


def test_a_file_that_was_evaluated_twice_is_matched_in_order() -> None:
    a, b = labels(1.0), labels(2.0, seed=2)
    twice = [0, 1, 1, 2]
    found = compare_models(a.take(twice), b.take(twice))
    assert torch.equal(found.second.outputs, b.outputs[twice])


def test_images_are_matched_by_their_whole_paths_where_their_names_differ(tmp_path) -> None:
    a = replace(labels(1.0), root=tmp_path)
    b = replace(labels(2.0), root=tmp_path.parent, files=tuple(f"{tmp_path.name}/{file}" for file in a.files))
    assert len(compare_models(a, b).first) == N


def test_labels_with_few_images_have_no_interval() -> None:
    a, b = labels(1.0), labels(2.0, seed=2)
    few = a.targets.clone()
    few[:, 0], few[:9, 0] = 0, 1
    one = compare_models(replace(a, targets=few), replace(b, targets=few)).outputs[0]
    assert one.count == 9
    assert math.isnan(one.p_value)
    assert math.isnan(one.interval.low)


def test_models_without_a_common_image_cannot_be_compared() -> None:
    a = labels(1.0)
    with pytest.raises(InputError, match=r"evaluated no image in common: 60 images such as '000.jpg', and 60 such as"):
        compare_models(a.take(range(60)), a.take(range(60, N)))


def relabelled(evaluation: Evaluation, rows: range = range(7, 30)) -> Evaluation:
    """The evaluation with other targets of some images: the second label is flipped, and an unknown one is known."""
    targets = evaluation.targets.clone()
    targets[rows, 1] = 1 - targets[rows, 1]
    targets[0, 0] = 1
    return replace(evaluation, targets=targets)


def test_corrected_labels_are_judged_by_both_and_without_the_images_that_changed() -> None:
    a, b = labels(1.0), relabelled(labels(2.0, seed=2))
    found = compare_models(a, b)
    assert found.relabelled == 24
    assert [(one.by, one.images) for one in found.judged] == [("first", N), ("second", N), ("unchanged", N - 24)]
    same = [row for row in range(N) if row not in (0, *range(7, 30))]
    expected = {
        "first": compare_models(a, replace(b, targets=a.targets)),
        "second": compare_models(replace(a, targets=b.targets), b),
        "unchanged": compare_models(a.take(same), b.take(same)),
    }
    for one in found.judged:
        assert [(m.first, m.second, m.interval) for m in one.metrics] == [
            (m.first, m.second, m.interval) for m in expected[one.by].metrics
        ]
    assert (found.metrics, found.outputs) == (expected["second"].metrics, expected["second"].outputs)
    assert (found.worse, found.better) == (expected["second"].worse, expected["second"].better)


def test_average_precisions_by_each_kind_of_labels_equal_those_of_scikit_learn() -> None:
    a, b = labels(1.0), relabelled(labels(2.0, seed=2))
    targets = {"first": a.targets, "second": b.targets}
    for one in compare_models(a, b).judged[:2]:
        for evaluation, value in ((a, one.metrics[0].first), (b, one.metrics[0].second)):
            scores = []
            for k in range(3):
                known = ~targets[one.by][:, k].isnan()
                scores.append(average_precision_score(targets[one.by][known, k], evaluation.activated[known, k]))
            assert value == pytest.approx(np.mean(scores))


def test_images_that_somebody_nominated_are_left_out_of_one_score() -> None:
    a, b = labels(1.0), relabelled(labels(2.0, seed=2))
    nominated = {a.files[row] for row in (7, 8, 40, 41)}  # two were changed, two were looked at and kept
    last = compare_models(a, b, nominated=nominated).judged[-1]
    assert (last.by, last.images) == ("not_nominated", N - 24 - 2)


def test_two_datasets_with_the_same_names_are_refused() -> None:
    a, b = labels(1.0), labels(2.0, seed=2)
    sizes = b.sizes.clone()
    sizes[3:] += 1
    with pytest.raises(
        InputError, match=r"117 of the 120 images with the same names in both have other sizes .*003.jpg"
    ):
        compare_models(a, replace(b, sizes=sizes))
    moved = replace(relabelled(b, range(5, N)), root=Path("elsewhere"))
    with pytest.raises(InputError, match=r"116 of the 120 .* other targets, and are in another folder .*two datasets"):
        compare_models(a, moved)


def test_many_corrected_labels_and_moved_images_are_compared() -> None:
    a, b = labels(1.0), labels(2.0, seed=2)
    assert compare_models(a, relabelled(b, range(5, N))).relabelled == 116  # in one place
    assert compare_models(a, replace(relabelled(b), root=Path("elsewhere"))).relabelled == 24


def test_without_new_labels_nothing_is_judged_twice() -> None:
    found = compare_models(labels(1.0), labels(2.0, seed=2), nominated={"000.jpg"})
    assert (found.relabelled, found.judged) == (0, ())


def test_models_that_predict_other_things_cannot_be_compared() -> None:
    with pytest.raises(InputError, match="these predict different things: MultiCategoryBlock .* and CategoryBlock"):
        compare_models(labels(1.0), classes(1.0))
    a = labels(1.0)
    other = make_evaluation(MultiCategoryBlock(vocab=("bus", "car", "dog")), a.outputs, a.targets)
    with pytest.raises(InputError, match="only the first has 'cat' and only the second has 'dog'"):
        compare_models(a, other)


def test_answers_that_ask_a_person_are_no_mistakes() -> None:
    first = labels(1.0)
    thresholds = replace(first.decision.thresholds, values=0.9, lower=0.1)
    second = first.with_decision(first.decision.with_thresholds(thresholds))
    found = compare_models(first, second)
    probabilities, target = first.activated.numpy(), first.targets.numpy()
    known, abstained = ~np.isnan(target), (probabilities > 0.1) & ~(probabilities > 0.9)
    two_way = (((probabilities > 0.5) != (target == 1)) & known).sum(axis=1)
    three_way = (((probabilities > 0.9) != (target == 1)) & known & ~abstained).sum(axis=1)
    assert {one.row for one in found.better} == set(np.flatnonzero(three_way < two_way))
    assert {one.row for one in found.worse} == set(np.flatnonzero(three_way > two_way)) == set()
    assert found.abstention_rates == (0, pytest.approx(abstained.any(axis=1).mean()))
    assert all("ask: " in one.answers[1] and "ask: " not in one.answers[0] for one in found.better)
    right = (three_way == 0) & ~abstained.any(axis=1)
    assert found.fixed == int((right & (two_way > 0)).sum())
    assert found.handed_over == (int(((three_way == 0) & abstained.any(axis=1) & (two_way > 0)).sum()), 0)
    assert compare_models(second, first).handed_over == found.handed_over[::-1]
    assert compare_models(first, first).abstention_rates is None


def test_files_that_were_replaced_between_the_evaluations_are_said() -> None:
    first, second = labels(1.0, seed=2), labels(1.0, seed=3)
    hashes = [f"{row:016x}" for row in range(N)]
    first, second = replace(first, hashes=tuple(hashes)), replace(second, hashes=("", "f" * 16, *hashes[2:]))
    found = compare_models(first, second)
    assert found.replaced == (first.files[1],)
    assert any(
        f"1 of the {N} image files were replaced or edited between the two evaluations ('{first.files[1]}')" in sentence
        for sentence in comparison_sentences(found)
    )
    assert compare_models(first, replace(second, hashes=())).replaced == ()
