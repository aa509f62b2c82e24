"""Cells of labels, against counting one image after the other."""

import numpy as np
import pytest
from hypothesis import given, strategies as st

from eyebright._all_but import AllBut
from eyebright.check import label_cells
from eyebright.check.label_cells import LabelCells
from eyebright.sources.categorical import Categorical
from eyebright.types import LabelSet

WORDS = "abcdef"
VOCABULARIES = (frozenset("abcd"), frozenset("cdef"))


@st.composite
def label_sets(draw: st.DrawFn) -> LabelSet:
    labels = draw(st.sets(st.sampled_from(WORDS)))
    vocabulary = draw(st.sampled_from([None, *VOCABULARIES]))
    if vocabulary is None:
        return LabelSet(labels, unknown=draw(st.sets(st.sampled_from(WORDS))) - labels)
    known = draw(st.sets(st.sampled_from(WORDS)))
    return _with_all_but(labels, AllBut(vocabulary, known | labels))


def _with_all_but(labels: set[str], unknown: AllBut) -> LabelSet:
    """A label set that keeps a small `AllBut` as it is, as large ones are."""
    one = LabelSet(labels)
    one._unknown = unknown
    return one


def _expected(sets: list[LabelSet], names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    yes = np.array([[name in one for name in names] for one in sets]).reshape(len(sets), -1)
    unknown = np.array([[name in one.unknown for name in names] for one in sets]).reshape(len(sets), -1)
    return yes.astype(int), unknown.astype(int)


@given(st.lists(label_sets(), min_size=1, max_size=12), st.sampled_from([3, 4_000_000]))
def test_counts_pairs_and_blocks_are_those_of_the_images(sets: list[LabelSet], at_once: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(label_cells, "_CHUNK_SIZE", at_once)
        column = Categorical.of(sets)  # of equal sets it keeps the first, with its vocabulary
        cells = LabelCells.of(column)
        yes, unknown = _expected(sets, cells.names)
        assert set(cells.names) == {x for one in column.categories for x in (*one, *(_vocabulary(one) or one.unknown))}
        assert [part.tolist() for part in cells.counts()] == [yes.sum(0).tolist(), unknown.sum(0).tolist()]
        first_only = np.arange(len(sets)) == 0
        assert [part.tolist() for part in cells.counts(first_only)] == [yes[0].tolist(), unknown[0].tolist()]
        assert [part.tolist() for part in cells.labels_per_image()] == [yes.sum(1).tolist(), unknown.sum(1).tolist()]
        assert [part.tolist() for part in cells.together()] == [(yes.T @ yes).tolist(), (yes.T @ unknown).tolist()]
        blocks = list(cells.blocks())
        assert [i for labels, _, _ in blocks for i in labels] == list(range(len(cells.names)))
        if blocks:
            assert np.concatenate([one for _, one, _ in blocks], axis=1).astype(int).tolist() == yes.tolist()
            assert np.concatenate([~one for _, _, one in blocks], axis=1).astype(int).tolist() == unknown.tolist()


def _vocabulary(one: LabelSet) -> frozenset[str] | None:
    return one.unknown.vocabulary if isinstance(one.unknown, AllBut) else None


@given(st.lists(label_sets(), min_size=1, max_size=8), st.sets(st.integers(0, 5), min_size=1))
def test_selected_labels_keep_their_cells(sets: list[LabelSet], chosen: set[int]) -> None:
    cells = LabelCells.of(Categorical.of(sets))
    chosen = {i for i in chosen if i < len(cells.names)}
    few = cells.select(np.array(sorted(chosen), dtype=np.int64))
    assert few.names == tuple(cells.names[i] for i in sorted(chosen))
    rows = sorted(chosen)
    assert [part.tolist() for part in few.counts()] == [part[rows].tolist() for part in cells.counts()]
    assert [part.tolist() for part in few.together()] == [
        part[np.ix_(rows, rows)].tolist() for part in cells.together()
    ]


def test_each_image_of_a_class_has_one_label() -> None:
    cells = LabelCells.of(Categorical.of(["dog", "cat", "dog"]))
    assert (cells.names, cells.counts()[0].tolist()) == (("cat", "dog"), [1, 2])
