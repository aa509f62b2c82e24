"""Wrong labels are found: those that were planted, of each kind of target; unknown ones are never suspicious."""

import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from torch import Tensor

from eyebright.errors import DataError, InputError
from eyebright.evaluation.contradictions import copies
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.suspects import MIN_SCORE, find_suspects, suspect_cells
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from support.evaluations import make_evaluation
from support.four_kinds import EVALUATIONS

VOCAB = ("bus", "car", "cat", "dog")


def scores_of(evaluation: Evaluation) -> Tensor:
    return torch.from_numpy(suspect_cells(evaluation).scores)


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def labels(n: int = 400, *, flips: int = 20, seed: int = 0) -> tuple[Evaluation, set[tuple[int, int]]]:
    """An evaluation of a good model, and the cells whose labels were flipped."""
    true = (random(n, 4, seed=seed) > 0.5).float()
    outputs = 8 * true - 4 + random(n, 4, seed=seed + 1)
    cells = torch.randperm(4 * n, generator=torch.Generator().manual_seed(seed + 2))[:flips]
    targets = true.clone().reshape(-1)
    targets[cells] = 1 - targets[cells]
    flipped = {divmod(int(cell), 4) for cell in cells}
    return make_evaluation(MultiCategoryBlock(vocab=VOCAB), outputs, targets.reshape(n, 4)), flipped


def test_flipped_labels_come_first_in_both_directions() -> None:
    evaluation, flipped = labels()
    first = find_suspects(evaluation, limit=20)
    assert {(one.row, VOCAB.index(one.label)) for one in first} == flipped
    assert {one.kind for one in first} == {"wrong label", "missing label"}
    for one in first:
        is_given = evaluation.targets[one.row, VOCAB.index(one.label)] == 1
        assert (one.given, one.predicted) == (("yes", "no") if is_given else ("no", "yes"))
        assert one.kind == ("wrong label" if is_given else "missing label")
        assert one.file == evaluation.files[one.row]
        assert one.score == pytest.approx(1 - one.probability)
        assert one.predicted_probability == pytest.approx(1 - one.probability)


def test_suspects_are_ranked_and_all_above_a_half() -> None:
    found = find_suspects(
        make_evaluation(MultiCategoryBlock(vocab=VOCAB), random(200, 4), (random(200, 4) > 0).float())
    )
    scores = [one.score for one in found]
    assert scores == sorted(scores, reverse=True)
    assert min(scores, default=1) > 0.5


def test_the_first_of_a_limit_are_the_first_of_all() -> None:
    evaluation, _ = labels(flips=40)
    assert find_suspects(evaluation, limit=7) == find_suspects(evaluation)[:7]
    assert find_suspects(evaluation, limit=0) == []
    with pytest.raises(InputError, match="`limit` is a number of suspects, 0 or more, got -1"):
        find_suspects(evaluation, limit=-1)


@pytest.mark.parametrize("kind", EVALUATIONS)
def test_what_is_unknown_is_never_suspicious(kind: str) -> None:
    evaluation = EVALUATIONS[kind]()
    targets = evaluation.targets.clone()
    targets[10:20] = -1 if targets.ndim == 1 else torch.nan
    half = replace(evaluation, targets=targets)
    scores = scores_of(half)
    assert bool(scores[10:20].isnan().all())
    assert not any(10 <= one.row < 20 for one in find_suspects(half))
    none = replace(evaluation, targets=torch.full_like(targets, -1 if targets.ndim == 1 else torch.nan))
    assert find_suspects(none) == []


@pytest.mark.parametrize("kind", EVALUATIONS)
def test_one_image_alone_has_an_answer(kind: str) -> None:
    for row in range(6):
        assert scores_of(EVALUATIONS[kind]().take([row])).shape[0] == 1
        find_suspects(EVALUATIONS[kind]().take([row]))


def test_a_label_without_positives_can_be_missing() -> None:
    evaluation, _ = labels(flips=0)
    targets, outputs = evaluation.targets.clone(), evaluation.outputs.clone()
    targets[:, 3], outputs[:, 3] = 0, -5
    outputs[9, 3] = 9
    (one,) = find_suspects(replace(evaluation, targets=targets, outputs=outputs), limit=1)
    scores = scores_of(replace(evaluation, targets=targets, outputs=outputs))
    assert int(scores[:, 3].argmax()) == 9
    assert bool(scores.isfinite().all())
    assert one.score <= 1


def test_calibration_makes_labels_comparable() -> None:
    # The outputs of label 1 are ten times too large: its sigmoids say 0.999 where half of the labels are wrong.
    n = 1000
    true = (random(n, 2) > 0).float()
    outputs = (2 * true - 1) * torch.tensor([4.0, 8.0])
    targets = true.clone()
    targets[:400, 1] = 1 - targets[:400, 1]  # 40 % noise: nothing of this label is sure
    targets[0, 0] = 1 - targets[0, 0]
    (one,) = find_suspects(make_evaluation(MultiCategoryBlock(vocab=VOCAB[:2]), outputs, targets), limit=1)
    assert (one.row, one.label) == (0, "bus")


# ------------------------------------------------------------------ one class per image


def test_a_wrong_class_comes_with_the_more_plausible_one() -> None:
    true = torch.arange(120) % 4
    outputs = 6 * torch.nn.functional.one_hot(true, 4).float() + random(120, 4)
    targets = true.clone()
    targets[[3, 50, 77]] = (true[[3, 50, 77]] + 1) % 4
    found = find_suspects(make_evaluation(CategoryBlock(VOCAB), outputs, targets))
    assert {one.row for one in found[:3]} == {3, 50, 77}
    for one in found[:3]:
        assert one.kind == "wrong class"
        assert one.given == one.label == VOCAB[int(targets[one.row])]
        assert one.predicted == VOCAB[int(true[one.row])]
        assert one.score == pytest.approx(1 - one.probability)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000))
def test_a_class_that_is_also_predicted_is_no_suspect(seed: int) -> None:
    evaluation = make_evaluation(CategoryBlock(VOCAB), random(40, 4, seed=seed), torch.arange(40) % 5 - 1)
    for one in find_suspects(evaluation):
        assert one.predicted != one.given
        assert one.probability <= one.predicted_probability


def test_two_ratings_off_are_more_suspicious_than_one() -> None:
    block = OrdinalBlock(["1", "2", "3", "4", "5"])
    outputs = torch.tensor([[6.0, 6, 6, -1]]).repeat(40, 1)  # probably 4, and if not 5
    targets = torch.full((40,), 3)
    targets[:4] = torch.tensor([0, 2, 4, 3])
    scores = scores_of(make_evaluation(block, outputs, targets))[:, 0]
    assert scores[0] >= scores[1] > scores[2] >= scores[3]
    found = find_suspects(make_evaluation(block, outputs, targets))
    assert {one.row for one in found} == {0, 1}
    assert {one.predicted for one in found} == {"4"}


# ------------------------------------------------------------------ copies


def with_groups(evaluation: Evaluation, groups: dict[int, str]) -> Evaluation:
    return replace(evaluation, groups=tuple(groups.get(row) for row in range(len(evaluation))))


def test_copies_with_different_labels_accuse_each_other() -> None:
    evaluation, _ = labels(flips=0)
    outputs, targets = evaluation.outputs.clone(), evaluation.targets.clone()
    outputs[1] = outputs[0] = torch.tensor([-4.0, 4, -4, 0.4])
    targets[0], targets[1] = torch.tensor([0.0, 1, 0, 1]), torch.tensor([0.0, 1, 0, 0])
    together = with_groups(replace(evaluation, outputs=outputs, targets=targets), {0: "photo", 1: "photo"})
    # One of the two is wrong: with the same output, the odds p / (1 - p) and (1 - p) / p, each times 9.
    scores = scores_of(together)[:2, 3]
    assert float((scores / (1 - scores)).prod()) == pytest.approx(81, rel=1e-4)
    assert float(scores_of(together)[0, 0]) < 0.1
    accused = [one for one in find_suspects(together) if one.label == "dog" and one.row < 2]
    assert accused[0].row == 1  # the model sides with the other one
    assert accused[0].copies == ("000.jpg",)


def test_different_images_of_a_group_and_copies_without_a_group_are_no_copies() -> None:
    evaluation, _ = labels(40, flips=0)
    assert copies(with_groups(evaluation, dict.fromkeys(range(40), "patient"))).tolist() == []
    same = replace(evaluation, outputs=evaluation.outputs[torch.zeros(40, dtype=torch.int64)])
    assert copies(same).tolist() == []
    assert copies(with_groups(evaluation, {})).tolist() == []


def test_copies_are_found_among_many_of_one_group() -> None:
    outputs = random(300, 8)
    outputs[200] = outputs[7] + 0.01
    evaluation = make_evaluation(MultiCategoryBlock(vocab=[str(i) for i in range(8)]), outputs, torch.zeros(300, 8))
    assert copies(with_groups(evaluation, dict.fromkeys(range(300), "patient"))).tolist() == [[7, 200]]


def test_two_outputs_are_too_few_to_find_copies() -> None:
    outputs = torch.zeros(10, 2)
    evaluation = make_evaluation(MultiCategoryBlock(vocab=VOCAB[:2]), outputs, torch.zeros(10, 2))
    assert copies(with_groups(evaluation, dict.fromkeys(range(10), "a"))).tolist() == []


# ------------------------------------------------------------------ points and numbers


def test_a_displaced_point_is_found_in_pixels() -> None:
    true = 20 + 5 * random(60, 2, 2)
    targets = true.clone()
    targets[8, 1] += 30
    targets[5, 0] = torch.nan
    outputs = (true + 0.5 * random(60, 2, 2, seed=1)).flatten(1)
    block = PointBlock(2, names=("left", "right"))
    found = find_suspects(make_evaluation(block, outputs, targets))
    assert (found[0].row, found[0].label, found[0].kind) == (8, "right", "wrong point")
    x, y = (float(part) for part in found[0].given.strip("()").split(", "))
    assert (x, y) == pytest.approx(targets[8, 1].tolist(), rel=0.01)
    assert found[0].score > MIN_SCORE["points"]
    assert np.isnan(found[0].probability)


def test_errors_of_points_are_relative_to_the_size_of_the_image() -> None:
    sizes = torch.tensor([[30, 40]] * 30 + [[3000, 4000]] * 30)
    scale = torch.where(sizes[:, 0] > 30, 100.0, 1.0)
    outputs = torch.zeros(60, 2)
    targets = (random(60, 1, 2) * scale[:, None, None]).float()
    block = PointBlock(1, names=("nose",))
    large = scores_of(make_evaluation(block, outputs, targets, sizes=sizes))[:, 0]
    assert 0.3 < float(large[:30].median() / large[30:].median()) < 3


def test_a_wrong_number_is_found_by_the_modified_z_score() -> None:
    targets = random(50, 2)
    outputs = targets + 0.1 * random(50, 2, seed=1)
    targets[4, 0] = 9
    found = find_suspects(make_evaluation(RegressionBlock(names=("age", "size")), outputs, targets))
    residuals = (targets - outputs)[:, 0].double()
    middle = residuals.quantile(0.5)
    # Iglewicz & Hoaglin: 0.6745 (x - median) / MAD
    expected = 0.6745 * (residuals[4] - middle) / (residuals - middle).abs().quantile(0.5)
    assert (found[0].row, found[0].label, found[0].given) == (4, "age", "9.00")
    assert found[0].score == pytest.approx(float(expected), rel=1e-3)


def test_numbers_without_spread_are_not_suspicious() -> None:
    block = RegressionBlock(names=("age",))
    assert find_suspects(make_evaluation(block, torch.zeros(9, 1), torch.ones(9, 1))) == []
    targets = torch.zeros(20, 1)
    targets[3] = 5.0  # all others are equal: the mean deviation takes the place of the median one
    (one,) = find_suspects(make_evaluation(block, torch.zeros(20, 1), targets))
    assert one.row == 3


# ------------------------------------------------------------------ bad input, and size


def test_outputs_that_are_not_finite_are_an_error() -> None:
    evaluation, _ = labels()
    outputs = evaluation.outputs.clone()
    outputs[0, 0] = torch.nan
    with pytest.raises(DataError, match="NaN or infinite"):
        find_suspects(replace(evaluation, outputs=outputs))


def test_many_images_and_labels_take_seconds() -> None:
    n, k = 2000, 200
    targets = (torch.rand(n, k, generator=torch.Generator().manual_seed(0)) < 0.02).float()
    outputs = 6 * targets - 5 + random(n, k)
    block = MultiCategoryBlock(vocab=[f"label {i}" for i in range(k)])
    evaluation = make_evaluation(block, outputs, targets)
    start = time.perf_counter()
    find_suspects(evaluation, limit=100)
    assert time.perf_counter() - start < 20
