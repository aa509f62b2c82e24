"""What is shown first: never more than three changes, those with the greatest gain before those without a number."""

import pytest
from hypothesis import given, strategies as st

from eyebright.report.verdict.values import (
    MAX_RECOMMENDATIONS,
    Gain,
    Recommendation,
    Verdict,
    counted_names,
    percent,
    ranked,
)

GAINS = st.one_of(
    st.none(),
    st.builds(
        lambda before, after, bound: Gain("macro F1", before, after, "if so", at_most=bound),
        st.floats(0, 1),
        st.floats(0, 1),
        st.booleans(),
    ),
)
CHANGES = st.builds(lambda gain, first: Recommendation("rule", "do", "because", gain, first), GAINS, st.booleans())


@given(st.lists(CHANGES))
def test_doubts_come_first_then_gains_from_the_greatest_on_and_never_more_than_three(
    recommendations: list[Recommendation],
) -> None:
    shown = ranked(recommendations)
    assert len(shown) <= MAX_RECOMMENDATIONS
    tiers = [(not one.comes_first, one.gain is None) for one in shown]
    assert tiers == sorted(tiers)
    sizes = [one.gain.size for one in shown if one.gain is not None and not one.comes_first]
    assert sizes == sorted(sizes, reverse=True)
    left_out = [one for one in recommendations if not any(one is other for other in shown) and one.gain is not None]
    if sizes and len(shown) == MAX_RECOMMENDATIONS and not shown[-1].comes_first and shown[-1].gain is not None:
        assert all(one.gain.size <= sizes[-1] for one in left_out if one.gain and not one.comes_first)


def test_a_gain_of_nothing_is_not_proposed() -> None:
    assert ranked([Recommendation("rule", "do", "because", Gain("accuracy", 0.9, 0.9, "if so"))]) == []


def test_a_gain_is_said_with_its_condition() -> None:
    assert Gain("macro F1", 0.6, 0.63, "if so").text == "macro F1 from 0.600 to 0.630 if so"
    assert Gain("macro F1", 0.6, 0.63, "if so", at_most=True).text == "macro F1 from 0.600 to at most 0.630 if so"
    error = Gain("MAE", 12.31, 6.0, "if so", is_share=False, unit="px")
    assert error.text == "MAE from 12.3 to 6.00 px if so"
    assert error.size == pytest.approx(6.31 / 12.31)


@pytest.mark.parametrize(
    ("part", "whole", "text"), [(1, 3, "33 %"), (1, 1000, "0.1 %"), (999, 1000, "99.9 %"), (3, 3, "100 %"), (1, 0, "–")]
)
def test_percents_are_whole_unless_they_would_hide_something(part: int, whole: int, text: str) -> None:
    assert percent(part, whole) == text


def test_names_are_shown_with_their_number() -> None:
    assert counted_names([("cat", 3), ("dog", 1200)]) == "'cat' (3), 'dog' (1,200)"
    assert counted_names([(str(i), i) for i in range(7)], limit=2) == "'0' (0), '1' (1), ... (7 in all)"


def test_the_block_has_the_sentences_and_the_gains_as_text() -> None:
    gain = Gain("macro F1", 0.6, 0.63, "if so")
    block = Verdict(
        ["yes"], ["no"], [Recommendation("rule", "do", "because", gain), Recommendation("rule", "do", "because")]
    ).block
    assert (block.can, block.cannot) == (["yes"], ["no"])
    assert [one.gain for one in block.proposals] == [gain.text, ""]
