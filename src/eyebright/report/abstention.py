"""Charts of the shares of images and answers that go to a person, by the promised bound of the yes and no answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from eyebright.evaluation.promise import Promise
from eyebright.evaluation.promises import PromiseResult
from eyebright.evaluation.three_way import AbstentionCurve
from eyebright.web.blocks import Charts, Sentences
from eyebright.web.charts import WIDE, Axis, Caption, Chart, Series, Style, draw_chart

_STYLES: tuple[Style, Style] = ("first", "second")


def abstention_blocks(tuning: Mapping[str, Any], results: Sequence[PromiseResult]) -> list[Sentences | Charts]:
    """A sentence on the shares of images and answers that ask a person, and a chart of each; empty without curves.

    Args:
        tuning: `Manifest.tuning`.
        results: the two promises of the model, of precision or false positive rate (for yes) and of recall (for no);
            otherwise there is no chart.

    Raises:
        KeyError, TypeError, ValueError: the curves have another form.
    """
    curves = [AbstentionCurve.from_json(curve) for curve in tuning.get("asking", [])]
    pairs = _pairs(curves, [result.promise for result in results])
    if not pairs:
        return []
    (yes_curve, yes), (_, no) = pairs
    at = yes_curve.bounds.index(yes.bound)
    abstained = (
        f"{100 * yes_curve.images[at]:.3g} % of the images and {100 * yes_curve.answers[at]:.3g} % of the answers"
    )
    sentence = (
        f"With {yes} and {no}, {abstained} go to a person, measured on {results[0].n_images:,} images. The charts show "
        f"these shares for other bounds of one of the two promises, with the other fixed."
    )
    charts = [
        _chart("images that go to a person", [curve.images for curve in curves], pairs),
        _chart("answers that go to a person", [curve.answers for curve in curves], pairs),
    ]
    legend: list[tuple[Style, str]] = [
        ("first", f"other bounds of {yes.words}; {no}"),
        ("second", f"other bounds of recall; {yes}"),
        ("chosen", "the thresholds of this model"),
    ]
    return [Sentences([sentence]), Charts(charts, legend)]


def _pairs(curves: Sequence[AbstentionCurve], promises: Sequence[Promise]) -> list[tuple[AbstentionCurve, Promise]]:
    """Each curve with its promise; empty unless there are two promises and both are on their curve."""
    both = [(curve, promise) for curve, promise in zip(curves, promises, strict=False)]
    fit = [curve.metric == promise.metric and promise.bound in curve.bounds for curve, promise in both]
    return both if len(curves) == len(promises) == 2 and all(fit) else []


def _chart(title: str, shares: Sequence[Sequence[float]], pairs: Sequence[tuple[AbstentionCurve, Promise]]) -> Chart:
    lines: list[Series] = []
    chosen: list[Series] = []
    words: list[str] = []
    for (curve, promise), values, style in zip(pairs, shares, _STYLES, strict=True):
        promised = [1 - bound if promise.is_upper else bound for bound in curve.bounds]
        at = curve.bounds.index(promise.bound)
        lines.append(Series(promised, values, style))
        chosen.append(Series([promised[at]], [values[at]], "chosen", "dots"))
        ends = (f"{100 * values[i]:.3g} % at {curve.bounds[i]:g}" for i in sorted({0, at, len(values) - 1}))
        words.append(f"{promise.words}: {', '.join(ends)}")
    low = min(min(line.x) for line in lines)
    name = "1 - bound, or bound of recall" if any(promise.is_upper for _, promise in pairs) else "bound"
    return draw_chart(
        Caption(title, f"Share of {title}, by the bound of {'; of '.join(words)}."),
        [*lines, *chosen],
        x=Axis(name, low, 1.0, [tick / 10 for tick in range(10) if tick / 10 >= low] + [1.0]),
        y=Axis("share"),
        size=WIDE,
    )
