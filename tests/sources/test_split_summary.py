"""What is counted about a split, compared with counting by hand."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright.errors import DataError
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.split_summary import SplitSummary, summarize_split
from eyebright.sources.text_table import strings
from eyebright.types import LabelSet

ROWS = st.lists(
    st.tuples(
        st.sampled_from(["train", "valid", "test", None]), st.frozensets(st.sampled_from("abc")), st.integers(0, 5)
    ),
    min_size=1,
    max_size=25,
)


def source_of(rows: list[tuple[str | None, frozenset[str], int]]) -> Source:
    return Source(
        "multicategory",
        Path("photos"),
        strings([f"{i}.jpg" for i in range(len(rows))]),
        Categorical.of([LabelSet(labels) for _, labels, _ in rows]),
        part=Categorical.of([part for part, _, _ in rows]),
        group=Categorical.of([f"g{group}" for _, _, group in rows]),
    )


@given(ROWS)
def test_everything_is_counted_as_by_hand(rows: list[tuple[str | None, frozenset[str], int]]) -> None:
    same = np.array([group // 2 + 10 * (i % 2) for i, (_, _, group) in enumerate(rows)], dtype=np.int32)
    summary = summarize_split(source_of(rows), same=same)
    parts = [part or "train" for part, _, _ in rows]
    sizes = Counter(parts)
    assert dict(summary.images) == sizes
    for found, codes, least in (
        (summary.groups, [group for _, _, group in rows], 1),
        (summary.duplicates, same.tolist(), 2),
    ):
        members = {code: {i for i, own in enumerate(codes) if own == code} for code in codes}
        assert found is not None
        assert found.total == sum(len(one) >= least for one in members.values())
        assert found.divided == sum(len({parts[i] for i in one}) > 1 for one in members.values())
        trains = {code for code, one in members.items() if any(parts[i] == "train" for i in one)}
        for part, count in found.also_train.items():
            assert count == sum(own == part and code in trains for own, code in zip(parts, codes, strict=True))
    labels = {label for _, several, _ in rows for label in several}
    assert summary.labels == len(labels)
    worst = max(
        (
            abs(
                sum(label in several for part, (_, several, _) in zip(parts, rows, strict=True) if part == one)
                / sizes[one]
                - sum(label in several for _, several, _ in rows) / len(rows)
            )
            * 100
            for label in labels
            for one in sizes
        ),
        default=0.0,
    )
    assert (summary.shares[0].deviation if summary.shares else 0.0) == pytest.approx(worst)
    for part in sizes:
        absent = labels - {
            label for own, (_, several, _) in zip(parts, rows, strict=True) if own == part for label in several
        }
        found_absent = (summary.missing or {}).get(part)
        assert set(found_absent.labels if found_absent else ()) == absent


@given(ROWS, st.booleans())
def test_a_split_summary_goes_through_json_and_comes_back_equal(
    rows: list[tuple[str | None, frozenset[str], int]], has_same: bool
) -> None:
    summary = summarize_split(source_of(rows), same=np.zeros(len(rows), dtype=np.int32) if has_same else None)
    assert SplitSummary.from_json(json.loads(json.dumps(summary.to_json()))) == summary


@pytest.mark.parametrize("wrong", [{}, {"images": 3}, {"images": {"train": "x"}}])
def test_a_saved_summary_of_another_format_is_an_error(wrong: dict[str, object]) -> None:
    with pytest.raises(DataError, match="the saved summary of the split has the wrong form"):
        SplitSummary.from_json(wrong)


def test_what_leaks_is_reported_with_numbers() -> None:
    none = frozenset[str]()
    summary = summarize_split(
        source_of([("train", none, 0), ("valid", none, 0), ("valid", none, 1), ("test", none, 2)])
    )
    assert not summary.is_clean
    assert summary.leaks() == [
        "1 of 3 groups have images in more than one part of the split in the data: 1 of 2 validation images are of "
        "groups that also have training images, so the scores are not those of new groups; a random split keeps each "
        "group in one part"
    ]
    assert ("near-duplicates", "not looked for") in summary.facts()
    same = np.array([0, 1, 2, 0], dtype=np.int32)
    summary = summarize_split(
        source_of([("train", none, 0), ("valid", none, 1), ("valid", none, 2), ("test", none, 3)]), same=same
    )
    assert summary.leaks() == [
        "1 of 1 sets of near-duplicates have images in more than one part of the split in the data: 1 of 1 testing "
        "images are near-duplicates of training images, so the scores are not those of new images; a random split "
        "keeps them together"
    ]


def test_folds_are_listed_by_their_numbers() -> None:
    numbers = Source("regression", Path(), strings([f"{i}" for i in range(24)]), np.zeros((24, 1)))
    summary = summarize_split(numbers, Categorical.of([str(i % 12) for i in range(24)]))
    assert list(summary.images) == [str(i) for i in range(12)]
    assert summary.sizes()[:2] == [("fold 0", "2 images"), ("fold 1", "2 images")]
    assert (summary.labels, summary.shares, summary.is_clean) == (0, (), True)
