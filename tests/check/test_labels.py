"""Findings about labels: each is found where it was planted, and a clean set has none."""

import json
from collections.abc import Sequence

import pytest

from eyebright.check.finding import Finding
from eyebright.check.labels import label_findings
from eyebright.sources.spelling import alike
from eyebright.types import LabelSet
from support.sources import source_of_classes, source_of_labels, source_of_numbers


def only(findings: Sequence[Finding], kind: str) -> Finding:
    (found,) = [one for one in findings if one.kind == kind]
    assert json.loads(json.dumps(found.to_json()))["kind"] == kind
    return found


CLEAN = [{"cat"}, {"dog"}, {"cat", "dog"}] * 20


def test_a_clean_set_has_no_findings() -> None:
    assert label_findings(source_of_labels(CLEAN, part=["train", "valid"] * 30)) == []
    assert label_findings(source_of_classes(["cat", "dog"] * 20)) == []


def test_other_targets_and_no_images_have_no_findings() -> None:
    assert label_findings(source_of_numbers([[1.0], [2.0]])) == []
    assert label_findings(source_of_labels([])) == []


def test_a_label_with_few_images_is_named_with_its_count() -> None:
    found = only(label_findings(source_of_labels([*CLEAN, {"cow", "cat"}, {"cow"}, {"elk"}])), "labels_with_few_images")
    assert (found.labels, found.details["images"]) == (("elk", "cow"), {"elk": 1, "cow": 2})
    assert "2 labels with fewer than 10 images: 'elk (1)', 'cow (2)'; 1 label of them with a single" in found.sentence


def test_ten_images_are_not_few() -> None:
    assert label_findings(source_of_labels([*CLEAN, *([{"cow"}] * 10)])) == []


def test_a_label_that_all_images_have_is_found_also_where_it_is_unknown_for_some() -> None:
    sets = [one | {"animal"} for one in CLEAN]
    assert only(label_findings(source_of_labels(sets)), "labels_of_all_images").labels == ("animal",)
    sets = [*sets, *([LabelSet({"cat"}, unknown={"animal"})] * 3)]
    assert only(label_findings(source_of_labels(sets)), "labels_of_all_images").labels == ("animal",)
    assert only(label_findings(source_of_classes(["cat"] * 20)), "labels_of_all_images").labels == ("cat",)


def test_labels_that_are_declared_or_unknown_only_are_unused() -> None:
    found = only(
        label_findings(source_of_labels([*CLEAN, LabelSet({"cat"}, unknown={"elk"})], unused=("cow",))), "unused_labels"
    )
    assert found.labels == ("cow", "elk")


def test_a_label_that_only_other_parts_have_is_an_error_with_its_images() -> None:
    sets = [*CLEAN, *([{"cow"}] * 12)]
    part = [*["train", "valid"] * 30, *["valid"] * 6, *["test"] * 6]
    found = only(label_findings(source_of_labels(sets, part=part)), "labels_not_in_training")
    assert (found.severity, found.labels, len(found.files)) == ("error", ("cow",), 12)
    assert found.files[0] == "60.jpg"


def test_a_label_that_no_validation_image_has_is_noted() -> None:
    sets = [*CLEAN, *([{"cow"}] * 12)]
    found = only(
        label_findings(source_of_labels(sets, part=[*["train", "valid"] * 30, *[None] * 12])),
        "labels_not_in_validation",
    )
    assert (found.labels, found.details["training_images"]) == (("cow",), {"cow": 12})


def test_a_split_without_validation_images_says_nothing_of_validation() -> None:
    assert label_findings(source_of_labels(CLEAN, part=["train"] * 60)) == []


def test_the_same_label_in_two_spellings_is_found_with_the_most_frequent_first() -> None:
    sets = [*CLEAN, *([{"Cat"}] * 10), *([{"dogs"}] * 10)]
    found = [one for one in label_findings(source_of_labels(sets)) if one.kind == "label_spellings"]
    assert [(one.labels, one.figure) for one in found] == [(("cat", "Cat"), 10), (("dog", "dogs"), 10)]
    assert found[0].sentence == "These may be spellings of one label: 'cat' (40 images), 'Cat' (10 images)."


@pytest.mark.parametrize(
    "labels",
    [
        ("cat", "CAT"),
        ("ice cream", "ice_cream"),
        ("ice cream", "ice-cream"),
        ("ice cream", "icecream"),
        ("caf\u00e9", "cafe\u0301"),
        ("\uff43\uff41\uff54", "cat"),
        ("bus", "buses"),
        ("car", "cars"),
        ("puppy", "puppies"),
        ("hot dog", "Hot_Dogs"),
        ("1", "1.0"),
        ("stra\u00dfe", "STRASSE"),
    ],
)
def test_spellings_that_look_like_one_label_are_alike(labels: tuple[str, str]) -> None:
    assert alike([*labels, "zebra"]) == [sorted(labels)]


@pytest.mark.parametrize("labels", [("cat", "cot"), ("C", "C++"), ("10-20", "102-0"), ("as", "ass"), ("1", "-1"), ()])
def test_other_labels_are_not_alike(labels: tuple[str, ...]) -> None:
    assert alike(labels) == []


def test_labels_that_are_alike_are_in_one_group_only() -> None:
    assert alike(["Car", "car", "cars", "CARS"]) == [["CARS", "Car", "car", "cars"]]


def test_images_without_a_label_are_counted_and_listed() -> None:
    found = only(label_findings(source_of_labels([*CLEAN, set(), set()])), "images_without_label")
    assert (found.figure, found.files) == (2, ("60.jpg", "61.jpg"))


def test_images_whose_labels_are_all_unknown_are_told_from_those_without_a_label() -> None:
    sets = [*CLEAN, LabelSet((), unknown={"cat", "dog"}), LabelSet(()), LabelSet((), unknown={"cat"})]
    findings = label_findings(source_of_labels(sets))
    assert only(findings, "images_with_unknown_labels_only").files == ("60.jpg",)
    assert only(findings, "images_without_label").files == ("61.jpg",)
    unknown = only(findings, "unknown_labels")
    assert (unknown.figure, unknown.details["images"]) == (3, {"cat": 2, "dog": 1})


def test_a_class_with_ten_times_the_images_of_another_is_an_imbalance() -> None:
    found = only(label_findings(source_of_classes(["cat"] * 200 + ["dog"] * 20)), "class_imbalance")
    assert (found.figure, found.labels) == (10, ("cat", "dog"))
    assert label_findings(source_of_classes(["cat"] * 199 + ["dog"] * 20)) == []
