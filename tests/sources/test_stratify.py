"""Stratified splits, compared with the same rule written item by item."""

import random

import numpy as np
import pytest

from eyebright.sources.stratify import LabelMatrix, grouped, iterative_split


def dealt_one_by_one(labels: list[list[str]], order: list[int], share: float) -> set[int]:
    """The rule with Python's own sets: rarest label first, each to its share; then none stays without training."""
    holders: dict[str, list[int]] = {}
    for i in order:
        for label in dict.fromkeys(labels[i]):
            holders.setdefault(label, []).append(i)
    bare = [i for i in order if not labels[i]]
    valid: set[int] = set()
    done: set[int] = set()
    for holding in [*(holders[name] for name in sorted(holders, key=lambda n: (len(holders[n]), n))), bare]:
        missing = round(share * len(holding)) - len(valid & set(holding))
        valid.update([i for i in holding if i not in done][: max(missing, 0)])
        done.update(holding)
    for holding in holders.values():
        if valid.issuperset(holding):
            valid.discard(holding[0])
    return valid


@pytest.mark.parametrize("seed", range(20))
def test_the_vectorized_split_equals_one_that_assigns_item_by_item(seed: int) -> None:
    chance = random.Random(seed)
    items, classes, share = chance.choice([1, 7, 60, 200]), chance.choice([1, 3, 40]), chance.choice([0.1, 0.5, 0.9, 1])
    labels = [[f"l{chance.randrange(classes)}" for _ in range(chance.choice([0, 1, 1, 3]))] for _ in range(items)]
    order = chance.sample(range(items), items)
    valid = iterative_split(LabelMatrix.of(labels), np.array(order), share)
    assert set(np.flatnonzero(valid)) == dealt_one_by_one(labels, order, share)


def test_splitting_no_items_gives_empty_results() -> None:
    assert iterative_split(LabelMatrix.of([]), np.arange(0), 0.2).tolist() == []


def test_grouped_returns_the_places_of_each_code_including_unused_codes() -> None:
    assert [part.tolist() for part in grouped(np.array([2, 0, 2, 0, 3]), 5)] == [[1, 3], [], [0, 2], [4], []]
