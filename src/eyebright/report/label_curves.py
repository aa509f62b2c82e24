"""The curves that thresholds are chosen by: precision over recall, and F1 over the threshold."""

import math
from collections.abc import Sequence

from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.evaluation.thresholds import threshold_curve
from eyebright.metrics.labels import ClassScores, precision_recall_curve
from eyebright.web.blocks import Charts, Section
from eyebright.web.charts import WIDE, Axis, Caption, Chart, Series, Style, draw_chart, subsample_indices
from eyebright.web.text import score_text

_MOST_CHARTS = 20
_RANKING: Sequence[tuple[Style, str]] = (
    ("first", "every possible threshold"),
    ("chosen", "the threshold in use"),
    ("guide", "guessing"),
)
_AVERAGES: Sequence[tuple[Style, str]] = (("first", "macro F1"), ("second", "micro F1"))
_MOVING: Sequence[tuple[Style, str]] = (
    ("first", "F1"),
    ("second", "precision"),
    ("third", "recall"),
    ("chosen", "the threshold in use"),
)


def precision_recall_section(
    vocab: Sequence[str],
    probabilities: Float[Tensor, "n k"],
    targets: Shaped[Tensor, "n k"],
    scores: Sequence[ClassScores],
) -> Section:
    """Precision over recall for each label, with the threshold in use marked.

    Args:
        vocab: the labels.
        probabilities: of each label for each image.
        targets: 1 where the image has the label, else 0.
        scores: one row for each label.
    """
    shown = _worth_showing(scores)
    charts = [_precision_recall(vocab[k], probabilities[:, k], targets[:, k], scores[k]) for k in shown]
    words = "Further up and to the right is better; the area under the line is the average precision."
    return Section(
        "Precision and recall",
        "precision-recall",
        [Charts(charts, _RANKING, small=True)],
        words + _left_out(vocab, shown),
    )


def threshold_section(
    vocab: Sequence[str],
    probabilities: Float[Tensor, "n k"],
    targets: Shaped[Tensor, "n k"],
    scores: Sequence[ClassScores],
) -> Section:
    """What moving a threshold would change: for all labels at once, and for each label.

    Args:
        vocab: the labels.
        probabilities: of each label for each image.
        targets: 1 where the image has the label, else 0.
        scores: one row for each label.
    """
    shown = _worth_showing(scores)
    charts = [_thresholds(vocab[k], probabilities[:, k], targets[:, k], scores[k]) for k in shown]
    words = "A flat top means that the exact threshold matters little; a sharp one, that it was chosen by few images."
    blocks = [Charts([_one_for_all(probabilities, targets)]), Charts(charts, _MOVING, small=True)]
    return Section("Thresholds", "thresholds", blocks, words + _left_out(vocab, shown))


def _worth_showing(scores: Sequence[ClassScores]) -> list[int]:
    """Every label with a curve, or the worst of them when there are too many, in the order of the vocabulary."""
    known = [k for k, row in enumerate(scores) if not math.isnan(row.average_precision)]
    return sorted(sorted(known, key=lambda k: scores[k].average_precision)[:_MOST_CHARTS])


def _left_out(vocab: Sequence[str], shown: Sequence[int]) -> str:
    if len(shown) == len(vocab):
        return ""
    if len(shown) == _MOST_CHARTS:
        return f" Shown: of {len(vocab)} labels the {len(shown)} with the lowest average precision."
    return f" Shown: the {len(shown)} of {len(vocab)} labels that any of these images has."


def _precision_recall(name: str, chances: Tensor, targets: Tensor, row: ClassScores) -> Chart:
    curve = precision_recall_curve(chances, targets)
    recall, precision = [0.0, *curve.recall.tolist()], [float(curve.precision[0]), *curve.precision.tolist()]
    keep = subsample_indices(recall)
    share = row.positives / len(targets)
    here = [Series([row.recall], [row.precision], "chosen", "dots")] if row.given else []
    ap = score_text(row.average_precision)
    words = (
        f"{name}: average precision {ap}; at the threshold in use precision {score_text(row.precision)} "
        f"at recall {score_text(row.recall)}."
    )
    return draw_chart(
        Caption(name, words, f"AP {ap}"),
        [
            Series([0, 1], [share, share], "guide"),
            Series([recall[i] for i in keep], [precision[i] for i in keep], "first", "steps"),
            *here,
        ],
        x=Axis("recall"),
        y=Axis("precision"),
    )


def _thresholds(name: str, chances: Tensor, targets: Tensor, row: ClassScores) -> Chart:
    curve = precision_recall_curve(chances, targets)
    f1 = threshold_curve(chances[:, None], targets[:, None], metric="f1_macro", thresholds=curve.thresholds.clamp(0, 1))
    top = float(chances.max())
    at = [1.0, top, *f1.thresholds.tolist()]  # above the highest probability nothing is given
    keep = subsample_indices(at)
    lines: list[tuple[Style, list[float]]] = [
        ("second", [math.nan, float(curve.precision[0]), *curve.precision.tolist()]),
        ("third", [0.0, 0.0, *curve.recall.tolist()]),
        ("first", [0.0, 0.0, *f1.scores.tolist()]),
    ]
    words = (
        f"{name}: F1 {score_text(row.f1)} at the threshold in use, {row.threshold:.2f}; "
        f"at best {score_text(float(f1.scores.max()))}."
    )
    return draw_chart(
        Caption(name, words, f"F1 {score_text(row.f1)}"),
        [
            Series([row.threshold, row.threshold], [0, 1], "chosen"),
            *(Series([at[i] for i in keep], [values[i] for i in keep], style, "steps") for style, values in lines),
        ],
        x=Axis("threshold"),
        y=Axis(""),
    )


def _one_for_all(probabilities: Tensor, targets: Tensor) -> Chart:
    macro = threshold_curve(probabilities, targets, metric="f1_macro")
    micro = threshold_curve(probabilities, targets, metric="f1_micro")
    best = int(macro.scores.argmax())
    words = f"Macro F1 is highest, {score_text(float(macro.scores[best]))}, at {float(macro.thresholds[best]):.2f}."
    return draw_chart(
        Caption("One threshold for all labels", words, legend=_AVERAGES),
        [
            Series(micro.thresholds.tolist(), micro.scores.tolist(), "second"),
            Series(macro.thresholds.tolist(), macro.scores.tolist(), "first"),
        ],
        x=Axis("threshold", ticks=(0, 0.25, 0.5, 0.75, 1)),
        y=Axis("F1"),
        size=WIDE,
    )
