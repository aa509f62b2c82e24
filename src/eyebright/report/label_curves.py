"""Charts for choosing thresholds: precision-recall curves, and F1 over the threshold."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.errors import count_text
from eyebright.evaluation.threshold_curve import threshold_curve
from eyebright.metrics.labels import ClassScores, precision_recall_curve
from eyebright.report.verdict.values import MIN_IMAGES
from eyebright.web.blocks import Charts, Section
from eyebright.web.charts import WIDE, Axis, Caption, Chart, Series, Style, draw_chart, subsample_indices
from eyebright.web.text import score_text

_MAX_CHARTS = 20
_RANKING: Sequence[tuple[Style, str]] = (
    ("first", "precision at each recall"),
    ("chosen", "at the threshold in use"),
    ("guide", "random order"),
)
_AVERAGES: Sequence[tuple[Style, str]] = (("first", "macro F1"), ("second", "micro F1"))
_THRESHOLD_CURVES: Sequence[tuple[Style, str]] = (
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
    """The precision-recall curve of each label, with the threshold in use marked.

    Args:
        vocab: the labels.
        probabilities: the probability of each label for each image.
        targets: 1 where the image has the label, 0 where not, NaN where unknown.
        scores: the scores of each label.
    """
    shown = _shown_labels(scores)
    charts = [_precision_recall(vocab[k], *_known(probabilities, targets, k), scores[k]) for k in shown]
    intro = "Further up and to the right is better; the area under the line is the average precision (AP)."
    return Section(
        "Precision and recall",
        "precision-recall",
        [Charts(charts, _RANKING, small=True)],
        intro + _selection(vocab, shown, scores),
    )


def threshold_section(
    vocab: Sequence[str],
    probabilities: Float[Tensor, "n k"],
    targets: Shaped[Tensor, "n k"],
    scores: Sequence[ClassScores],
) -> Section:
    """The scores over the threshold: for one threshold for all labels, and for each label.

    Args:
        vocab: the labels.
        probabilities: the probability of each label for each image.
        targets: 1 where the image has the label, 0 where not, NaN where unknown.
        scores: the scores of each label.
    """
    shown = _shown_labels(scores)
    charts = [_by_threshold(vocab[k], *_known(probabilities, targets, k), scores[k]) for k in shown]
    intro = (
        "Where F1 is flat around the threshold in use, its exact value matters little; where F1 has a narrow peak, the "
        "threshold depends on few images."
    )
    blocks = [Charts([_one_for_all(probabilities, targets)]), Charts(charts, _THRESHOLD_CURVES, small=True)]
    return Section("Thresholds", "thresholds", blocks, intro + _selection(vocab, shown, scores))


def _known(probabilities: Tensor, targets: Tensor, k: int) -> tuple[Float[Tensor, " n"], Shaped[Tensor, " n"]]:
    """The probabilities and targets of one label, without the images whose target is unknown."""
    known = ~targets[:, k].isnan()
    return probabilities[known, k], targets[known, k]


def _shown_labels(scores: Sequence[ClassScores]) -> list[int]:
    """The labels with a curve, in the order of the vocabulary.

    If there are too many, those with the lowest average precision among labels with enough images.
    """
    known = [k for k, row in enumerate(scores) if not math.isnan(row.average_precision)]
    if len(known) > _MAX_CHARTS:
        known = [k for k in known if scores[k].positives >= MIN_IMAGES] or known
    return sorted(sorted(known, key=lambda k: scores[k].average_precision)[:_MAX_CHARTS])


def _selection(vocab: Sequence[str], shown: Sequence[int], scores: Sequence[ClassScores]) -> str:
    if len(shown) == len(vocab):
        return ""
    if len(shown) < sum(row.positives > 0 for row in scores):
        enough = f", of those with at least {MIN_IMAGES} images"
        return f" Shown: the {len(shown)} of {len(vocab)} labels with the lowest average precision{enough}."
    return f" Shown: the {len(shown)} of {len(vocab)} labels that at least one of these images has."


def _precision_recall(
    name: str, probabilities: Float[Tensor, " n"], targets: Shaped[Tensor, " n"], row: ClassScores
) -> Chart:
    curve = precision_recall_curve(probabilities, targets)
    recall, precision = [0.0, *curve.recall.tolist()], [float(curve.precision[0]), *curve.precision.tolist()]
    keep = subsample_indices(recall)
    frequency = row.positives / len(targets)
    in_use = [Series([row.recall], [row.precision], "chosen", "dots")] if row.predicted else []
    ap = score_text(row.average_precision)
    alt_text = (
        f"{name}: average precision {ap}; at the threshold in use precision {score_text(row.precision)} "
        f"at recall {score_text(row.recall)}."
    )
    return draw_chart(
        Caption(name, alt_text, f"AP {ap}, {row.positives:,} of {count_text(row.known, 'image')}"),
        [
            Series([0, 1], [frequency, frequency], "guide"),
            Series([recall[i] for i in keep], [precision[i] for i in keep], "first", "steps"),
            *in_use,
        ],
        x=Axis("recall"),
        y=Axis("precision"),
    )


def _by_threshold(
    name: str, probabilities: Float[Tensor, " n"], targets: Shaped[Tensor, " n"], row: ClassScores
) -> Chart:
    curve = precision_recall_curve(probabilities, targets)
    cuts = curve.thresholds.clamp(0, 1)
    f1 = threshold_curve(probabilities[:, None], targets[:, None], metric="f1_macro", thresholds=cuts)
    highest = float(probabilities.max())
    thresholds = [1.0, highest, *f1.thresholds.tolist()]  # above the highest probability nothing is predicted
    keep = subsample_indices(thresholds)
    lines: list[tuple[Style, list[float]]] = [
        ("second", [math.nan, float(curve.precision[0]), *curve.precision.tolist()]),
        ("third", [0.0, 0.0, *curve.recall.tolist()]),
        ("first", [0.0, 0.0, *f1.scores.tolist()]),
    ]
    alt_text = (
        f"{name}: F1 {score_text(row.f1)} at the threshold in use, {row.threshold:.2f}; "
        f"at most {score_text(float(f1.scores.max()))}."
    )
    return draw_chart(
        Caption(name, alt_text, f"F1 {score_text(row.f1)}"),
        [
            Series([row.threshold, row.threshold], [0, 1], "chosen"),
            *(Series([thresholds[i] for i in keep], [line[i] for i in keep], style, "steps") for style, line in lines),
        ],
        x=Axis("threshold"),
        y=Axis(""),
    )


def _one_for_all(probabilities: Float[Tensor, "n k"], targets: Shaped[Tensor, "n k"]) -> Chart:
    thresholds = torch.linspace(0, 1, 101)
    macro, micro = common_threshold_scores(probabilities, targets, thresholds)
    best = int(macro.argmax())
    alt_text = f"Macro F1 is highest, {score_text(float(macro[best]))}, at {float(thresholds[best]):.2f}."
    return draw_chart(
        Caption("One threshold for all labels", alt_text, legend=_AVERAGES),
        [
            Series(thresholds.tolist(), micro.tolist(), "second"),
            Series(thresholds.tolist(), macro.tolist(), "first"),
        ],
        x=Axis("threshold", ticks=(0, 0.25, 0.5, 0.75, 1)),
        y=Axis("F1"),
        size=WIDE,
    )


def common_threshold_scores(
    probabilities: Float[Tensor, "n k"], targets: Shaped[Tensor, "n k"], thresholds: Float[Tensor, " t"]
) -> tuple[Float[Tensor, " t"], Float[Tensor, " t"]]:
    """(macro F1, micro F1) with one threshold for all labels, at each of several; from counts, a column at a time.

    Args:
        probabilities: the probabilities, in [0, 1].
        targets: 1 where the image has the label, 0 where not, NaN where unknown.
        thresholds: the thresholds, increasing.
    """
    hits, predicted = (torch.zeros(len(thresholds), targets.shape[1], dtype=torch.float64) for _ in range(2))
    known = ~targets.isnan()
    for k in range(targets.shape[1]):
        mine = known[:, k]
        below = torch.bucketize(probabilities[mine, k].contiguous(), thresholds)  # thresholds that it is greater than
        for table, weights in ((predicted, torch.ones(len(below))), (hits, targets[mine, k])):
            counts = torch.bincount(below, weights.double(), minlength=len(thresholds) + 1)
            table[:, k] = counts.flip(0).cumsum(0).flip(0)[1:]
    positives = (targets == 1).sum(dim=0).double()
    both = predicted + positives
    macro = (2 * hits / both.clamp(min=1))[:, known.any(dim=0)].mean(dim=1)
    return macro, 2 * hits.sum(dim=1) / both.sum(dim=1).clamp(min=1)
