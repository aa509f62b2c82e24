"""Reliability diagrams: whether predictions with a probability of 0.8 are right in four of five cases."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.errors import count_text
from eyebright.evaluation.calibrate import fit_calibration
from eyebright.evaluation.evaluation import Evaluation
from eyebright.metrics.calibration import (
    DEFAULT_BINS,
    ReliabilityBins,
    brier_score,
    log_loss,
    pooled,
    reliability_bins,
)
from eyebright.report.collapsing import MAX_EXPANDED_CARDS
from eyebright.web.blocks import Cell, Charts, Collapsed, Section, Sentences, Table
from eyebright.web.charts import SMALL, WIDE, Axis, Caption, Chart, Series, Style, draw_chart
from eyebright.web.text import score_text

MAX_DIAGRAMS = 24
"""The maximum number of labels with their own diagram: those with the most positives."""
MIN_POSITIVES = 10
"""The minimum number of positives of a label with a diagram."""
MAX_CROSS_FITTED = 2_000_000
"""The maximum of images times outputs for which a calibration is cross-fitted for the report, which takes seconds."""

_IN_POOLED_BIN = 100  # cells; the pooled diagram has more bins than its error, as most cells have a probability near 0
_MAX_POOLED_BINS = 60
_LEGEND: Sequence[tuple[Style, str]] = (
    ("first", "observed frequency, with its 95 % interval"),
    ("guide", "perfectly calibrated"),
)


def reliability_section(evaluation: Evaluation, vocab: Sequence[str]) -> list[Section]:
    """The section on how well probabilities agree with frequencies; empty if no target is known.

    Args:
        evaluation: an evaluation of labels or classes.
        vocab: the labels or classes, one for each probability.
    """
    targets = _label_targets(evaluation.targets, len(vocab))
    if bool(targets.isnan().all()):
        return []
    measured = _measured(evaluation)
    blocks = [
        *_pooled_blocks(measured.probabilities, evaluation.targets, measured.source),
        *_label_blocks(vocab, measured.probabilities, targets),
    ]
    intro = (
        "Are the probabilities frequencies? Each dot is a group of predictions with similar probabilities, all groups "
        "of equal size; below the dashed line the probabilities are too high, above it too low."
    )
    named = "classes" if evaluation.targets.ndim == 1 else "labels"
    return [Section("Calibration", "calibration", blocks, intro + _selection(targets, named))]


# ------------------------------------------------------------------------------- probabilities


@dataclass(frozen=True, eq=False)
class _Measured:
    """The probabilities that the diagrams show, and a sentence on their origin."""

    probabilities: Float[Tensor, "n k"]
    source: str


def _measured(evaluation: Evaluation) -> _Measured:
    """The probabilities; cross-fitted where the calibration was fitted to these same images."""
    kind = evaluation.decision.calibration.kind
    if kind == "none":
        return _Measured(evaluation.activated, "The probabilities are those of the model, without a calibration.")
    if evaluation.part not in ("valid", "out_of_fold"):
        source = f"The calibration of the model ('{kind}') was fitted to other images."
        return _Measured(evaluation.activated, source)
    if evaluation.outputs.numel() <= MAX_CROSS_FITTED:
        source = (
            f"The calibration of the model ('{kind}') was fitted to these same images, so the numbers here use "
            f"cross-fitted probabilities: those of each image are from a calibration that was fitted to other images."
        )
        return _Measured(fit_calibration(evaluation, kind=kind).probabilities, source)
    source = (
        f"The calibration of the model ('{kind}') was fitted to these same images, so the numbers here are better than "
        "those of new images."
    )
    return _Measured(evaluation.activated, source)


def _label_targets(targets: Shaped[Tensor, "..."], n_labels: int) -> Float[Tensor, "n k"]:
    """1, 0 or NaN for each label; for classes, whether each is the right one."""
    if targets.ndim > 1:
        return targets.float()
    known = targets.isfinite() & (targets >= 0)
    rows = torch.nn.functional.one_hot(torch.where(known, targets, 0).long(), n_labels).float()
    return torch.where(known[:, None], rows, torch.nan)


# ------------------------------------------------------------------------------- blocks


def _pooled_blocks(
    probabilities: Float[Tensor, "n k"], targets: Shaped[Tensor, "..."], source: str
) -> list[Sentences | Charts | Collapsed]:
    """The scores of all labels together, or of the most probable class; their diagram, and its groups as a table."""
    classes = targets.ndim == 1
    p, y = pooled(probabilities, targets)
    known = ~y[:, 0].isnan()
    p, y = p[known], y[known]
    bins = coarse = reliability_bins(p, y)
    n_bins = min(len(p) // _IN_POOLED_BIN, _MAX_POOLED_BINS)
    if n_bins > DEFAULT_BINS:
        bins = reliability_bins(p, y, bins=n_bins)
    what = "image" if classes else "known target"
    title = "The most probable class" if classes else "All labels together"
    chart = _diagram(title, bins, 0, note=count_text(len(p), what), size=WIDE)
    return [
        Sentences([_scores_text(coarse, probabilities, targets), source]),
        Charts([chart], _LEGEND),
        Collapsed("The groups of this diagram", [_bins_table(bins, what)]),
    ]


def _scores_text(bins: ReliabilityBins, probabilities: Float[Tensor, "n k"], targets: Shaped[Tensor, "..."]) -> str:
    """The scores of all known targets, and their number."""
    classes = targets.ndim == 1
    known = (targets >= 0)[:, None] if classes else ~targets.isnan()
    error, plain = (float(bins.error(debiased=debiased)) for debiased in (True, False))
    subject = "of the most probable class" if classes else "of all labels together"
    images = count_text(int(known.any(dim=1).sum()), "image")
    cells = count_text(int(known.sum()), "known target")
    rests_on = f"{images} with a known class" if classes else f"{images} and {cells}"
    return (
        f"The debiased expected calibration error {subject} is {_error_text(error)} ({score_text(plain)} with the part "
        f"that comes from noise), the Brier score {score_text(brier_score(probabilities, targets))} and the log loss "
        f"{score_text(log_loss(probabilities, targets))}; they rest on {rests_on}."
    )


def _bins_table(bins: ReliabilityBins, what: str) -> Table:
    columns = ("group", f"{what}s", "mean probability", "observed frequency", "95 % CI")
    rows: list[list[Cell]] = []
    for b in bins.count[0].nonzero()[:, 0].tolist():
        low, high = float(bins.low[0, b]), float(bins.high[0, b])
        rows.append(
            [
                Cell(str(len(rows) + 1), float(len(rows) + 1)),
                Cell.of(int(bins.count[0, b])),
                Cell.of(float(bins.probability[0, b])),
                Cell.of(float(bins.frequency[0, b])),
                Cell(f"{low:.3f}-{high:.3f}", high - low),
            ]
        )
    caption = f"A row per group: its number of {what}s, their mean probability, and the share that is positive."
    return Table(caption, columns, rows)


def _label_blocks(
    vocab: Sequence[str], probabilities: Float[Tensor, "n k"], targets: Float[Tensor, "n k"]
) -> list[Charts | Collapsed]:
    """The diagrams of the labels with the most positives; of many, the first are shown and the others collapsed."""
    chosen = _chosen(targets)
    if not chosen:
        return []
    bins = reliability_bins(probabilities[:, chosen], targets[:, chosen])
    positives = (targets[:, chosen] == 1).sum(dim=0).tolist()
    charts: list[Chart] = []
    for row, (k, count) in enumerate(zip(chosen, positives, strict=True)):
        charts.append(_diagram(vocab[k], bins, row, note=f"{count:,} of {int(bins.count[row].sum()):,}"))
    if len(charts) <= MAX_EXPANDED_CARDS:
        return [Charts(charts, _LEGEND, small=True)]
    more = Collapsed(
        f"{len(charts) - MAX_EXPANDED_CARDS} more diagrams", [Charts(charts[MAX_EXPANDED_CARDS:], _LEGEND, small=True)]
    )
    return [Charts(charts[:MAX_EXPANDED_CARDS], _LEGEND, small=True), more]


def _chosen(targets: Float[Tensor, "n k"]) -> list[int]:
    """The labels with their own diagram, by decreasing number of positives; ties in the order of the vocabulary."""
    positives = (targets == 1).sum(dim=0)
    order = positives.argsort(descending=True, stable=True)[:MAX_DIAGRAMS].tolist()
    return [k for k in order if positives[k] >= MIN_POSITIVES]


def _selection(targets: Float[Tensor, "n k"], named: str) -> str:
    n_labels, n_chosen = targets.shape[1], len(_chosen(targets))
    if n_chosen in (0, n_labels):
        return ""
    return (
        f" Small diagrams: the {n_chosen} of {n_labels} {named} with the most positives, at least {MIN_POSITIVES} each."
    )


def _diagram(title: str, bins: ReliabilityBins, row: int, *, note: str, size: tuple[int, int] = SMALL) -> Chart:
    """The diagram of one label; groups without images have no dot."""
    filled = bins.count[row] > 0
    x, y, low, high = (part[row][filled].tolist() for part in (bins.probability, bins.frequency, bins.low, bins.high))
    outside = sum(not (a <= p <= b) for p, a, b in zip(x, low, high, strict=True))
    sizes = bins.count[row][filled].tolist()
    alt_text = (
        f"{title}: debiased expected calibration error {_error_text(float(bins.error()[row]))}; "
        f"{count_text(len(x), 'group')} of {min(sizes):,} to {max(sizes):,}; in {outside} the mean probability is "
        "outside of the 95 % interval of the observed frequency."
    )
    intervals = [Series([p, p], [a, b], "first") for p, a, b in zip(x, low, high, strict=True)]
    series = [Series([0, 1], [0, 1], "guide"), *intervals, Series(x, y, "first", "dots")]
    return draw_chart(Caption(title, alt_text, note), series, x=Axis("probability"), y=Axis("frequency"), size=size)


def _error_text(error: float) -> str:
    """A debiased error; noise can make its estimate negative, which means that it cannot be distinguished from 0."""
    return score_text(max(error, 0.0))
