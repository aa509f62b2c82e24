"""Findings about points and numbers."""

import json
from typing import get_args

import numpy as np
import pytest

from eyebright.check.finding import Finding
from eyebright.check.targets import FINDINGS_OF_TASK_TYPE, target_findings
from eyebright.sources.source import Source
from eyebright.tasks.task_type import TaskType
from support.sources import source_of_labels, source_of_numbers, source_of_points

NAN = np.nan
SIZES = np.full((20, 2), (100, 200), dtype=np.int32)


def found(source: Source, sizes: np.ndarray | None = None) -> dict[str, Finding]:
    findings = target_findings(source, sizes)
    assert len(json.loads(json.dumps([one.to_json() for one in findings]))) == len(findings)
    return {one.kind: one for one in findings}


def points() -> np.ndarray:
    return np.random.default_rng(0).uniform((0, 0), (200, 100), (20, 2, 2))


def test_every_kind_of_target_has_findings() -> None:
    assert set(FINDINGS_OF_TASK_TYPE) == set(get_args(TaskType))
    assert set(found(source_of_labels([{"cat"}, set()]))) == {"images_without_label", "labels_with_few_images"}


def test_points_inside_of_their_image_have_no_findings() -> None:
    xy = points()
    xy[0] = [[0, 0], [200, 100]]
    assert found(source_of_points(xy), SIZES) == {}
    assert found(source_of_points(np.zeros((0, 2, 2))), SIZES[:0]) == {}


@pytest.mark.parametrize("xy", [(-1, 50), (201, 50), (50, -1), (50, 101)])
def test_a_point_outside_of_its_image_is_found(xy: tuple[float, float]) -> None:
    several = points()
    several[3, 1] = xy
    source = source_of_points(several, names=("nose", "chin"))
    finding = found(source, SIZES)["points_outside"]
    assert (finding.files, finding.labels, finding.details["points"]) == (("3.jpg",), ("chin",), 1)
    assert f"'chin' at ({xy[0]}, {xy[1]}) in '3.jpg' of 200 x 100 pixels" in finding.sentence


def test_where_sizes_are_not_known_no_point_is_outside() -> None:
    several = points()
    several[3, 1] = (5000, 5000)
    unknown = SIZES.copy()
    unknown[3] = 0
    assert found(source_of_points(several)) == {}
    assert found(source_of_points(several), unknown) == {}
    assert set(found(source_of_points(several, sizes=SIZES))) == {"points_outside"}


def test_unknown_points_are_counted_and_are_not_outside() -> None:
    several = points()
    several[2], several[:, 1] = NAN, NAN
    findings = found(source_of_points(several, names=("nose", "chin")), SIZES)
    assert findings["images_with_unknown_points_only"].files == ("2.jpg",)
    assert (findings["points_never_known"].labels, findings["points_never_known"].severity) == (("chin",), "error")
    assert findings["unknown_points"].details["images"] == {"nose": 1, "chin": 20}


def test_a_point_that_never_moves_is_constant() -> None:
    several = points()
    several[:, 0] = (5, 6)
    assert found(source_of_points(several), SIZES)["constant_points"].labels == ("point 1",)


def numbers(n: int = 200) -> np.ndarray:
    return np.random.default_rng(1).normal(50, 10, (n, 2))


def test_ordinary_numbers_have_no_findings() -> None:
    assert found(source_of_numbers(numbers())) == {}
    assert found(source_of_numbers(np.zeros((0, 1)))) == {}


@pytest.mark.parametrize("draw", ["exponential", "lognormal", "uniform", "poisson"])
def test_skewed_numbers_have_no_outliers(draw: str) -> None:
    values = getattr(np.random.default_rng(2), draw)(size=(5000, 1))
    assert found(source_of_numbers(values)) == {}


def test_numbers_far_from_the_others_are_found_the_farthest_first() -> None:
    values = numbers()
    values[4, 1], values[9, 1] = 5000, -700
    finding = found(source_of_numbers(values, names=("age", "height")))["outlying_numbers"]
    assert (finding.labels, finding.files, finding.details["numbers"]) == (
        ("height",),
        ("4.jpg", "9.jpg"),
        [5000, -700],
    )
    assert "5000, -700." in finding.sentence


def test_a_number_that_stands_for_unknown_is_found_though_it_is_frequent() -> None:
    values = numbers()
    values[:30, 0] = -999
    finding = found(source_of_numbers(values))["outlying_numbers"]
    assert (finding.figure, finding.labels) == (30, ("number 1",))
    assert "30 images with the same number -999." in finding.sentence


def test_several_numbers_that_stand_for_unknown_are_found_beside_an_outlier() -> None:
    values = numbers()
    values[:30, 0], values[30:40, 0], values[50, 0] = -999, -9999, 5000
    finding = found(source_of_numbers(values))["outlying_numbers"]
    assert finding.figure == 41
    assert "10 images with the same number -9999, 30 images with the same number -999, 5000." in finding.sentence


def test_a_column_that_does_not_change_is_constant() -> None:
    values = numbers()
    values[:, 1] = 3
    values[0, 1] = NAN
    findings = found(source_of_numbers(values, names=("age", "scale")))
    assert findings["constant_numbers"].labels == ("scale",)
    assert findings["unknown_numbers"].details["images"] == {"scale": 1}


def test_a_column_that_nobody_filled_in_is_an_error() -> None:
    values = numbers()
    values[:, 1], values[3] = NAN, NAN
    findings = found(source_of_numbers(values, names=("age", "scale")))
    assert findings["numbers_never_known"].labels == ("scale",)
    assert findings["images_with_unknown_numbers_only"].files == ("3.jpg",)
