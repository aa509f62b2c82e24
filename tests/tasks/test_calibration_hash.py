"""What was measured with another calibration than the one of the decision is known by its hash."""

import pytest

from eyebright.tasks.calibration_hash import (
    MEASURED_WITH,
    calibration_hash,
    current_results,
    has_other_sets,
    measured_otherwise,
    with_hashes,
)

ONE, TWO = {"kind": "temperature", "value": 1.5}, {"kind": "temperature", "value": 2.5}


def test_a_number_written_as_a_whole_one_is_the_same_calibration() -> None:
    assert calibration_hash({"kind": "temperature", "value": 2}) == calibration_hash(
        {"value": 2.0, "kind": "temperature"}
    )
    assert calibration_hash(ONE) != calibration_hash(TWO)
    assert calibration_hash({"value": 10**400}) != calibration_hash({"value": 10**401})


def test_only_what_was_measured_again_gets_the_hash_of_the_calibration_of_today() -> None:
    first = with_hashes({"promises": [1], "risk": {"a": 1}}, ONE, former={})
    second = with_hashes({**first, "promises": [1]}, TWO, former=first)
    assert second[MEASURED_WITH] == {"promises": calibration_hash(TWO), "risk": calibration_hash(ONE)}
    assert measured_otherwise(second, {"calibration": TWO}) == {"risk"}
    assert current_results(second, {"calibration": TWO}) == {"promises": [1], MEASURED_WITH: second[MEASURED_WITH]}
    assert with_hashes({MEASURED_WITH: first[MEASURED_WITH]}, ONE, former=first) == {}


@pytest.mark.parametrize("hashes", [None, 3, [], {}])
def test_results_of_older_versions_have_no_hash_and_are_taken_as_they_are(hashes: object) -> None:
    tuning = {"promises": [1], MEASURED_WITH: hashes}
    assert not measured_otherwise(tuning, {"calibration": ONE})
    assert not measured_otherwise({"promises": [1]}, {})
    assert not has_other_sets({"calibration": ONE, "label_sets": {"coverage": 0.9}})
