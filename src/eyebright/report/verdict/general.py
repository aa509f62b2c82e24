"""Sentences and recommendations for every kind of target: leaks of the split, worse slices, the training run."""

import math
from collections.abc import Mapping, Sequence

from eyebright._defaults import SIGNIFICANCE
from eyebright.errors import count_text
from eyebright.evaluation.slices import IMAGE_SIZE, Slice
from eyebright.report.data import MetricRow, ReportFacts
from eyebright.report.verdict.values import Gain, Recommendation
from eyebright.web.text import number_text

_MAX_WIDTH = 0.15  # width of the interval of a share
_OVERFITTING_RATIO = 1.1  # last validation loss over the lowest: more is overfitting


def leak_recommendation(
    count: int, total: int, with_leaks: MetricRow, without: MetricRow | None
) -> list[Recommendation]:
    """Split again, if evaluated images belong together with training images; none otherwise.

    Args:
        count: the number of these images.
        total: the number of all evaluated images.
        with_leaks: the main score.
        without: the main score of the other images; None if there are none.
    """
    if not count:
        return []
    score = "no score here is for new images"
    if without is not None:
        score = f"without them the {without.name} is {without.text} instead of {with_leaks.text}"
    return [
        Recommendation(
            "leaks",
            "Split the images again so that copies and groups stay in one part, and train again.",
            f"{count:,} of the {total:,} evaluated images are copies of training images, or of their groups: {score}.",
            comes_first=True,
        )
    ]


def baseline_sentences(row: MetricRow) -> list[str]:
    """A sentence if the interval of the main score does not exclude that of the best constant prediction."""
    if row.baseline is None or math.isnan(row.baseline) or math.isnan(row.value):
        return []
    better = row.value > row.baseline if row.higher_is_better else row.value < row.baseline
    ends = row.interval or (row.value, row.value)
    sure = ends[0] > row.baseline if row.higher_is_better else ends[1] < row.baseline
    if better and sure:
        return []
    how = "may be no better" if better else "is no better"
    details = "; ".join(row.details[:2])
    return [f"Its {row.name} of {row.text} {how} than that of one constant prediction ({details})."]


def slice_sentences(slices: Sequence[Slice], metric: str) -> list[str]:
    """A sentence on the slice that is worst among those that are significantly worse, if there is one."""
    worse = _significantly_worse(slices)
    if not worse:
        return []
    worst = worse[0]
    more = f" {len(worse) - 1:,} more under Slices." if len(worse) > 1 else ""
    return [
        f"Worse where the {_named(worst)}: {metric} {number_text(worst.score)} on {count_text(worst.count, 'image')}, "
        f"against {number_text(worst.others)} on all others (p < {SIGNIFICANCE}, corrected for "
        f"{len(slices):,} slices).{more}"
    ]


def slice_recommendations(slices: Sequence[Slice], row: MetricRow, *, is_share: bool) -> list[Recommendation]:
    """Add images like those of the slice that is significantly worse by the most; none without such a slice.

    Args:
        slices: the slices of the evaluation.
        row: the main score, by which the slices are scored.
        is_share: whether it is in [0, 1].
    """
    worse = _significantly_worse(slices)
    if not worse:
        return []
    worst = worse[0]
    gain = Gain(
        row.name, row.value, worst.others, "if these images scored like the others", is_share=is_share, unit=row.unit
    )
    return [
        Recommendation(
            "worse_slice",
            f"Train with more images whose {_named(worst)}.",
            f"{row.name} {number_text(worst.score)} on {count_text(worst.count, 'such image')}, "
            f"{number_text(worst.others)} on all others (p = {number_text(worst.p_value)}, corrected for the number of "
            "slices).",
            gain if abs(worst.others - row.value) > 0 else None,
            about=(f"{worst.column}: {worst.value}",),
        )
    ]


def training_recommendations(facts: ReportFacts) -> list[Recommendation]:
    """Train for fewer epochs, if the validation loss rose, or leave fine-tuning out; none otherwise.

    Args:
        facts: the history, and the comparison of the fine-tuned with the frozen model.
    """
    if facts.keeps_frozen and facts.history:
        return [
            Recommendation(
                "frozen_kept",
                "Give fine-tuning more images, or leave it out (0 epochs): the fitted head alone is as good.",
                f"{facts.fine_tuning[0].upper()}{facts.fine_tuning[1:]}.",
            )
        ]
    return _overfitting(facts.history)


def more_evaluated(row: MetricRow, *, has_folds: bool) -> list[Recommendation]:
    """Evaluate on more images, if the interval of the main score is wide; none otherwise.

    Args:
        row: the main score.
        has_folds: whether the model folder has out-of-fold outputs already.
    """
    if row.interval is None or not row.is_share or row.interval[1] - row.interval[0] < _MAX_WIDTH:
        return []
    low, high = row.interval
    return [
        Recommendation(
            "few_evaluated",
            f"Evaluate on more images: label more for validation{'' if has_folds else ', or train with folds'}.",
            f"{row.name} {row.text} may be anything from {low:.2f} to {high:.2f} on new images; four times as many "
            "evaluated images halve this range.",
        )
    ]


def _overfitting(history: Sequence[Mapping[str, float]]) -> list[Recommendation]:
    losses = [row.get("valid_loss", math.nan) for row in history]
    if len(losses) < 3 or any(not math.isfinite(loss) for loss in losses):
        return []
    best = min(range(len(losses)), key=losses.__getitem__)
    if losses[-1] < _OVERFITTING_RATIO * losses[best] or losses[best] <= 0:
        return []
    return [
        Recommendation(
            "overfitting",
            f"Train for fewer epochs (about {best + 1}), or with more images.",
            f"The validation loss is lowest after {count_text(best + 1, 'epoch')} ({number_text(losses[best])}) and "
            f"{number_text(losses[-1])} after the last of {len(losses)}.",
        )
    ]


def _significantly_worse(slices: Sequence[Slice]) -> list[Slice]:
    return [data_slice for data_slice in slices if data_slice.is_worse and data_slice.p_value < SIGNIFICANCE]


def _named(data_slice: Slice) -> str:
    if data_slice.column == IMAGE_SIZE:
        return f"size is {data_slice.value}"
    return f"'{data_slice.column}' is '{data_slice.value}'"
