"""The charts of how many ask: they need both promises, each on its curve."""

import math

import pytest

from eyebright.evaluation.promise import Promise
from eyebright.evaluation.promises import PromiseResult
from eyebright.evaluation.three_way import AbstentionCurve
from eyebright.report.abstention import abstention_blocks
from eyebright.web.blocks import Charts, Sentences

CURVES = [
    AbstentionCurve(
        "false_positive_rate", (0.3, 0.1, 0.01), (0.1, 0.25, 0.8), (0.05, 0.125, 0.5), (1.0, 1.0, 0.0)
    ).to_json(),
    AbstentionCurve("recall", (0.7, 0.9), (0.2, 0.25), (0.1, 0.125), (1.0, 0.5)).to_json(),
]
PROMISES = [Promise("false_positive_rate", 0.1), Promise("recall", 0.9)]


def results(promises: list[Promise]) -> list[PromiseResult]:
    return [PromiseResult(promise, True, (), "even_chain", "promise", 400, None) for promise in promises]


def test_both_curves_are_drawn_and_the_thresholds_of_the_model_are_marked_on_each() -> None:
    sentence, charts = abstention_blocks({"asking": CURVES}, results(PROMISES))
    assert isinstance(sentence, Sentences)
    assert sentence.sentences[0].startswith(
        "With false positive rate <= 0.1 and recall >= 0.9, 25 % of the images and 12.5 % of the answers go to a "
        "person, measured on 400 images."
    )
    assert isinstance(charts, Charts)
    images, answers = charts.charts
    assert images.caption.alt_text == (
        "Share of images that go to a person, by the bound of false positive rate: 10 % at 0.3, 25 % at 0.1, 80 % at "
        "0.01; of recall: 20 % at 0.7, 25 % at 0.9."
    )
    assert [path.style for path in answers.paths] == ["first", "second", "chosen", "chosen"]
    marks = {path.data for path in images.paths if path.style == "chosen"}
    assert len(marks) == 1  # of a false positive rate of 0.1 nine of ten answers are right, as of a recall of 0.9
    assert images.x_ticks[-1].position == pytest.approx(images.right)
    assert all(math.isfinite(tick.position) for tick in images.x_ticks)


@pytest.mark.parametrize(
    ("curves", "promises"),
    [
        ([], PROMISES),
        (CURVES, PROMISES[:1]),
        (CURVES, [*PROMISES, PROMISES[0]]),
        (CURVES, [PROMISES[0], Promise("recall", 0.8)]),
        (CURVES, [Promise("precision", 0.3), PROMISES[1]]),
    ],
)
def test_without_curves_through_both_promises_nothing_is_drawn(curves: list[object], promises: list[Promise]) -> None:
    assert abstention_blocks({"asking": curves}, results(promises)) == []
