"""The overview counts what is there, as JSON values."""

import json
from typing import Any

import numpy as np
import pytest

from eyebright.check.facts import FactTable
from eyebright.check.overview import overview
from eyebright.sources.source import Source
from eyebright.types import LabelSet
from support.facts import facts_of
from support.sources import source_of_classes, source_of_labels, source_of_numbers, source_of_points


def seen(source: Source, facts: FactTable | None = None) -> dict[str, Any]:
    found = overview(source, facts)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    return found


def test_labels_are_counted_in_all_and_by_part() -> None:
    sets = [{"cat"}, {"cat", "dog"}, LabelSet((), unknown={"dog"}), {"cat"}]
    found = seen(source_of_labels(sets, part=["train", "valid", None, "test"], group=["a", "a", "b", "c"]))
    assert found == {
        "images": 4,
        "parts": {"train": 2, "valid": 1, "test": 1},
        "groups": 3,
        "labels": [
            {
                "label": "cat",
                "all": {"images": 3, "unknown": 0},
                "train": {"images": 1, "unknown": 0},
                "valid": {"images": 1, "unknown": 0},
                "test": {"images": 1, "unknown": 0},
            },
            {
                "label": "dog",
                "all": {"images": 1, "unknown": 1},
                "train": {"images": 0, "unknown": 1},
                "valid": {"images": 1, "unknown": 0},
                "test": {"images": 0, "unknown": 0},
            },
        ],
        "labels_per_image": [1, 2, 1],
        "together": [{"labels": ["cat", "dog"], "images": 1, "lift": pytest.approx(4 / 3)}],
    }


def test_classes_without_a_split_have_no_parts() -> None:
    found = seen(source_of_classes(["dog", "cat", "dog"]))
    assert (found["parts"], found["groups"], [one["label"] for one in found["labels"]]) == ({}, None, ["dog", "cat"])


def test_numbers_and_points_have_distributions_without_the_unknown() -> None:
    values = np.array([[1.0, 2.0], [3.0, np.nan], [5.0, np.nan]])
    found = seen(source_of_numbers(values, names=("age", "height")))["targets"]
    assert (found["age"]["median"], found["age"]["min"], found["age"]["max"]) == (3, 1, 5)
    assert found["height"] == {
        "known": 1,
        **dict.fromkeys(("min", "5%", "median", "95%", "max"), 2.0),
        "edges": [2.0, 2.0],
        "counts": [1],
    }
    points = seen(source_of_points(np.full((3, 1, 2), np.nan), names=("nose",)))["targets"]
    assert points == {"nose x": {"known": 0}, "nose y": {"known": 0}}


def test_properties_of_readable_images_have_quantiles_and_histograms() -> None:
    facts = facts_of(100, errors={0: "truncated"}, formats=["PNG" if i < 3 else "JPEG" for i in range(100)])
    found = seen(source_of_labels([{"cat"}] * 100), facts)
    assert (found["unreadable"], found["formats"]) == (1, {"JPEG": 97, "PNG": 2})
    brightness = found["pixels"]["brightness"]
    assert brightness["median"] == pytest.approx(np.median(facts.brightness[1:]))
    assert sum(brightness["counts"]) == brightness["known"] == 99
    assert len(brightness["edges"]) == len(brightness["counts"]) + 1
    ratio = facts.sizes[1:, 1] / facts.sizes[1:, 0]
    assert found["pixels"]["aspect_ratio"]["95%"] == pytest.approx(np.quantile(ratio, 0.95))


def test_no_images_have_an_overview() -> None:
    assert seen(source_of_labels([]), facts_of(0))["images"] == 0
    assert seen(source_of_numbers(np.zeros((0, 1))), facts_of(0))["targets"] == {"number 1": {"known": 0}}
