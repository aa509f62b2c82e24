"""`Verdict`: strengths and weaknesses of a model, and the most useful recommendations, as plain values."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from eyebright.errors import count_text, listing
from eyebright.metrics.labels import ClassScores
from eyebright.web.blocks import Overview, Proposal
from eyebright.web.text import number_text, score_text

MAX_RECOMMENDATIONS = 3
MIN_IMAGES = 10
"""Labels with fewer images than this have unreliable scores."""

_MIN_GAIN = 0.002  # gain of a share; a smaller gain is ignored


@dataclass(frozen=True, slots=True)
class Gain:
    """The effect of a recommendation on a score, under a condition.

    Args:
        metric: the name of the metric.
        before: its value now.
        after: its value if the recommendation is followed.
        condition: the condition, as a clause with "if".
        is_share: True for a score in [0, 1]; False for an error in a unit.
        unit: the unit of an error.
        at_most: True if ``after`` is a bound.
    """

    metric: str
    before: float
    after: float
    condition: str
    is_share: bool = True
    unit: str = ""
    at_most: bool = False

    @property
    def size(self) -> float:
        """The change of the score; for an error, relative to its value now. A bound counts half."""
        change = abs(self.after - self.before)
        size = change if self.is_share else change / max(abs(self.before), 1e-12)
        return size / 2 if self.at_most else size

    @property
    def text(self) -> str:
        """The gain in words: ``"macro F1 from 0.60 to 0.63 if ..."``."""
        before, after = (score_text(v) if self.is_share else number_text(v) for v in (self.before, self.after))
        limit = ("at most " if self.after > self.before else "at least ") if self.at_most else ""
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.metric} from {before} to {limit}{after}{unit} {self.condition}"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """What would improve the model or its scores most.

    Args:
        rule: the rule that proposes it, for programs.
        action: what to do, an imperative sentence.
        evidence: the reason, with its counts.
        gain: the effect on a score; None if it cannot be computed.
        comes_first: True if the scores themselves are in doubt.
        about: the affected labels, points, columns or slices.
    """

    rule: str
    action: str
    evidence: str
    gain: Gain | None = None
    comes_first: bool = False
    about: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The recommendation as JSON."""
        gain = None
        if self.gain is not None:
            gain = {
                "metric": self.gain.metric,
                "before": self.gain.before,
                "after": self.gain.after,
                "condition": self.gain.condition,
                "at_most": self.gain.at_most,
            }
        return {
            "rule": self.rule,
            "action": self.action,
            "evidence": self.evidence,
            "gain": gain,
            "about": list(self.about),
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """Strengths and weaknesses of a model, and recommendations.

    Args:
        can: sentences on the strengths.
        cannot: sentences on the weaknesses.
        recommendations: the proposals; those of `ranked` are shown.
    """

    can: Sequence[str] = ()
    cannot: Sequence[str] = ()
    recommendations: Sequence[Recommendation] = field(default_factory=tuple[Recommendation, ...])

    @property
    def block(self) -> Overview:
        """The verdict as a block of a page."""
        proposals = [
            Proposal(
                recommendation.action,
                recommendation.evidence,
                "" if recommendation.gain is None else recommendation.gain.text,
            )
            for recommendation in self.recommendations
        ]
        return Overview(self.can, self.cannot, proposals)


def ranked(recommendations: Iterable[Recommendation]) -> list[Recommendation]:
    """The most useful recommendations, at most three.

    Doubts about the scores come first; then recommendations with a gain, the greatest first; then those without a gain,
    in their order. Those with a negligible gain are left out.
    """
    worth = [
        recommendation
        for recommendation in recommendations
        if recommendation.gain is None or recommendation.gain.size >= _MIN_GAIN
    ]
    return sorted(worth, key=_rank)[:MAX_RECOMMENDATIONS]


def percent(part: float, whole: float) -> str:
    """A share in whole percent: ``"71 %"``; with a decimal if it would otherwise be rounded to 0 or 100."""
    if not whole or math.isnan(part):
        return "–"
    share = 100 * part / whole
    rounded = round(share)
    return f"{share:.1f} %" if rounded in (0, 100) and share != rounded else f"{rounded} %"


def counted_names(names: Sequence[tuple[str, int]], *, limit: int = 5) -> str:
    """The quoted names with a number each; for a long list only the first ones and the total."""
    shown = ", ".join(f"{listing([name])} ({count:,})" for name, count in names[:limit])
    return shown if len(names) <= limit else f"{shown}, ... ({len(names):,} in all)"


def judged(counts: Sequence[int]) -> list[int]:
    """The indices of the labels, classes or points that enough images have for a reliable score.

    Args:
        counts: how many images have each.
    """
    return [k for k, count in enumerate(counts) if count >= MIN_IMAGES]


def unjudged(
    names: Sequence[str], scores: Sequence[ClassScores], singular: str, plural: str | None = None
) -> list[str]:
    """A sentence on the labels or classes with too few images; empty if there are none.

    Args:
        names: the names of all labels or classes.
        scores: their scores.
        singular: the noun for one of them.
        plural: the noun for several; None: the singular with an s.
    """
    few = [(name, row.positives) for name, row in zip(names, scores, strict=True) if row.positives < MIN_IMAGES]
    if not few:
        return []
    return [
        f"Too few images to judge, fewer than {MIN_IMAGES}: {len(few):,} of "
        f"{count_text(len(names), singular, plural)}: {counted_names(few)}."
    ]


def _rank(recommendation: Recommendation) -> tuple[bool, bool, float]:
    return (
        not recommendation.comes_first,
        recommendation.gain is None,
        -recommendation.gain.size if recommendation.gain is not None else 0.0,
    )
