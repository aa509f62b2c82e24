"""Rules between labels and the images that break them."""

import math

import numpy as np
import pytest

from eyebright.check.label_cells import LabelCells
from eyebright.check.label_rules import co_occurrence, find_rules, rule_findings
from eyebright.check.labels import label_findings
from eyebright.types import LabelSet
from support.sources import source_of_labels

PUPPIES = [{"puppy", "dog"}] * 88 + [{"dog"}] * 50 + [{"cat"}] * 200


def test_images_that_break_a_rule_are_listed() -> None:
    source = source_of_labels([*PUPPIES, {"puppy"}, {"puppy", "cat"}])
    (found,) = [one for one in label_findings(source) if one.kind == "broken_implications"]
    assert (found.labels, found.figure, found.files) == (("puppy", "dog"), 2, ("338.jpg", "339.jpg"))
    assert found.sentence == "88 of 90 images with 'puppy' also have 'dog', but 2 have not."


def test_a_rule_without_exceptions_is_a_note() -> None:
    (found,) = label_findings(source_of_labels(PUPPIES))
    assert (found.kind, found.labels) == ("implied_labels", ("puppy", "dog"))
    assert found.sentence == "Without exception, every 'puppy' is also 'dog'."


def test_unknown_labels_are_no_exceptions() -> None:
    source = source_of_labels([*PUPPIES, *([LabelSet({"puppy"}, unknown={"dog"})] * 30)])
    assert [one.kind for one in label_findings(source)] == ["implied_labels", "unknown_labels"]


def test_a_label_that_nearly_all_images_have_is_not_implied() -> None:
    sets = [{"photo", "cat"}] * 97 + [{"cat"}] * 3 + [{"photo", "dog"}] * 97 + [{"dog"}] * 3
    assert label_findings(source_of_labels(sets)) == []


def test_nineteen_images_are_too_few_for_a_rule() -> None:
    sets = [{"puppy", "dog"}] * 19 + [{"cat"}] * 500
    assert rule_findings(source_of_labels(sets), LabelCells.of(source_of_labels(sets).targets)) == []


def test_independent_labels_have_no_rules() -> None:
    """50 labels, 500 images, 20 sets: hardly any of the 49,000 pairs is a rule by chance, though many are frequent."""
    rng = np.random.default_rng(0)
    claimed = 0
    for _ in range(20):
        shares = rng.uniform(0.01, 0.97, 50)
        cells = rng.random((500, 50)) < shares
        source = source_of_labels([{f"label {j}" for j in np.flatnonzero(row)} for row in cells])
        claimed += len(find_rules(LabelCells.of(source.targets)))
    assert claimed == 0


def test_pairs_are_listed_by_their_images_with_the_lift() -> None:
    sets = [{"a", "b"}] * 3 + [{"a", "c"}] + [{"b"}] + [set()] * 5
    assert co_occurrence(LabelCells.of(source_of_labels(sets).targets)) == [
        {"labels": ["a", "b"], "images": 3, "lift": pytest.approx(3 * 10 / (4 * 4))},
        {"labels": ["a", "c"], "images": 1, "lift": pytest.approx(10 / 4)},
    ]


def test_chance_is_the_poisson_distribution() -> None:
    stats = pytest.importorskip("scipy.stats")
    from eyebright.check.label_rules import _log_poisson_at_most

    for count, mean in [(0, 3.0), (4, 30.0), (10, 5.0), (0, 500.0)]:
        assert _log_poisson_at_most(count, mean) == pytest.approx(stats.poisson.logcdf(count, mean), rel=1e-6)
    assert math.isclose(_log_poisson_at_most(3, 0.0), 0.0)
