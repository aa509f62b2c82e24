"""What is said about images that are the same: other labels, another part, and which of them leak."""

import numpy as np
import pytest

from eyebright.check.copies import copy_findings, group_findings, leaking_images
from eyebright.check.duplicates import DuplicatePair, Duplicates
from eyebright.sources.source import Source
from eyebright.types import LabelSet
from support.sources import source_of_classes, source_of_labels, source_of_numbers, source_of_points

WORDS = {"t": "train", "v": "valid", "x": "test", "p": "promise", "-": None}


def labelled(*labels: LabelSet, parts: str | None = None) -> Source:
    part = None if parts is None else [WORDS[one] for one in parts]
    return source_of_labels([*labels, *[LabelSet(["c"])] * (6 - len(labels))], part=part)


def pairs(*rows: tuple[int, int], is_exact: bool = True) -> Duplicates:
    return Duplicates(6, [DuplicatePair(*pair, 1.0 if is_exact else 0.99, is_exact=is_exact) for pair in rows])


def kinds(source: Source, duplicates: Duplicates) -> list[str]:
    return [finding.kind for finding in copy_findings(source, duplicates)]


def test_without_duplicates_there_is_nothing_to_say() -> None:
    assert copy_findings(labelled(), pairs()) == []


def test_exact_and_near_duplicates_are_listed_as_groups() -> None:
    [exact] = copy_findings(labelled(), pairs((0, 1), (0, 4)))
    assert (exact.kind, exact.groups, exact.figure) == ("exact_duplicates", (("0.jpg", "1.jpg", "4.jpg"),), 2)
    [near] = copy_findings(labelled(), pairs((2, 3), is_exact=False))
    assert (near.kind, near.groups) == ("near_duplicates", (("2.jpg", "3.jpg"),))
    assert near.details["pairs"] == [{"files": ["2.jpg", "3.jpg"], "similarity": 0.99, "orientation": "as it is"}]
    assert "99.0 %" in near.sentence


@pytest.mark.parametrize(
    ("first", "second", "labels"),
    [
        (LabelSet(["a"]), LabelSet(["b"]), ("a", "b")),
        (LabelSet(["a", "b"]), LabelSet(["b"]), ("a",)),
        (LabelSet(["a"], unknown=["b"]), LabelSet(["a", "b"]), None),  # what is unknown contradicts nothing
        (LabelSet(["a"], unknown=["b"]), LabelSet(["b"]), ("a",)),
        (LabelSet(), LabelSet(unknown=["a"]), None),
    ],
)
def test_labels_contradict_if_one_copy_has_a_label_that_another_has_not(
    first: LabelSet, second: LabelSet, labels: tuple[str, ...] | None
) -> None:
    found = [one for one in copy_findings(labelled(first, second), pairs((0, 1))) if "different" in one.kind]
    assert [one.labels for one in found] == ([] if labels is None else [labels])


def test_classes_and_numbers_contradict_and_points_do_not() -> None:
    classes = source_of_classes(["a", "b", "a", "a", "a", "a"])
    assert "duplicates_with_different_labels" in kinds(classes, pairs((0, 1)))
    assert "duplicates_with_different_labels" not in kinds(classes, pairs((0, 2)))
    numbers = [[1.0, np.nan], [1.0, 5.0], [2.0, 5.0], [np.nan, np.nan], [0.0, 0.0], [0.0, 0.0]]
    measured = source_of_numbers(numbers, names=("width", "height"))
    assert "duplicates_with_different_labels" not in kinds(measured, pairs((0, 1), (0, 3)))
    [finding] = [one for one in copy_findings(measured, pairs((1, 2))) if "different" in one.kind]
    assert finding.labels == ("width",)
    points = source_of_points(np.arange(12.0).reshape(6, 1, 2), names=("nose",))
    assert "duplicates_with_different_labels" not in kinds(points, pairs((0, 1)))


def test_an_image_leaks_if_its_copy_is_in_a_part_that_is_used_before_it() -> None:
    split = labelled(parts="tvxvp-")
    duplicates = pairs((0, 1), (3, 4), (2, 5))
    assert leaking_images(split, duplicates.groups()) == {"valid": [1], "promise": [4], "test": [2]}
    [finding] = [one for one in copy_findings(split, duplicates) if one.kind == "duplicates_across_parts"]
    assert (finding.severity, finding.figure) == ("error", 3)
    assert finding.details == {"valid": ["1.jpg"], "promise": ["4.jpg"], "test": ["2.jpg"]}
    assert "1 of the 2 validation images, 1 of the 1 test images, 1 of the 1 promise images have" in finding.sentence


def test_copies_in_one_part_leak_nothing_and_neither_do_those_of_a_set_without_parts() -> None:
    assert "duplicates_across_parts" not in kinds(labelled(parts="ttvvxx"), pairs((0, 1), (2, 3), (4, 5)))
    assert leaking_images(labelled(), [(0, 1)]) == {}
    assert "duplicates_across_parts" not in kinds(labelled(parts="tttttt"), pairs((0, 1)))


def test_groups_that_the_split_of_the_data_divides_are_an_error() -> None:
    part = ["train", "valid", "train", "test", "valid", "train"]
    group = ["p1", "p1", "p2", "p3", "p4", "p2"]
    divided = source_of_labels([["a"], ["b"]] * 3, part=part, group=group)
    [finding] = group_findings(divided)
    assert finding.severity == "error"
    assert finding.files == ("1.jpg",)
    assert finding.groups == (("0.jpg", "1.jpg"),)
    assert "1 of 4 groups have images in several parts: 1 of the 2 validation images" in finding.sentence
    assert group_findings(source_of_labels([["a"], ["b"]] * 3, part=part, group=list("abcdef"))) == []
    assert group_findings(source_of_labels([["a"], ["b"]] * 3, group=group)) == []
    assert group_findings(source_of_labels([["a"], ["b"]] * 3, part=part)) == []
