"""Labels that come together, and rules such as "every 'puppy' is also 'dog'" with the images that break them."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from eyebright.check.finding import Finding, files_at
from eyebright.check.label_cells import LabelCells
from eyebright.errors import count_text
from eyebright.sources.source import Source

MIN_CONFIDENCE = 0.95
"""Share of the images with the first label that have the second one, from which on it is a rule."""

MIN_SUPPORT = 20
"""Images with the first label, from which on a rule is looked for: one exception is then 5 %."""

MAX_CHANCE = 0.01
"""Probability that any rule of the whole set holds by chance (Bonferroni over the pairs of labels)."""

_MAX_LABELS = 1000  # the most frequent ones, among which rules are looked for: the pairs take memory
_MAX_RULES = 20  # broken ones that are reported, the surest first


class Rule(NamedTuple):
    """Images with a label nearly always have another one, too.

    Args:
        label: the index of the first label.
        implied: the index of the second one.
        images: images with the first label of which the second is known.
        exceptions: those of them without the second label.
    """

    label: int
    implied: int
    images: int
    exceptions: int


def rule_findings(source: Source, cells: LabelCells) -> list[Finding]:
    """Rules between labels, and images that break them, which are often labelled incompletely.

    Args:
        source: the labelled images.
        cells: its labels.
    """
    frequent = _frequent(cells, at_least=MIN_SUPPORT)
    rules = find_rules(frequent)
    broken = [rule for rule in rules if rule.exceptions]
    kept = [rule for rule in rules if not rule.exceptions]
    findings = [_broken(source, frequent, rule) for rule in broken[:_MAX_RULES]]
    if kept:
        texts = [f"'{frequent.names[rule.label]}' is also '{frequent.names[rule.implied]}'" for rule in kept]
        shown = "; every ".join(texts[:5]) + (f"; ... ({len(texts)} in all)" if len(texts) > 5 else "")
        findings.append(
            Finding(
                kind="implied_labels",
                severity="note",
                sentence=f"Without exception, every {shown}.",
                remedy="If it is so by their meaning, nothing needs to be done. Otherwise add images with the first "
                "label alone: the model cannot learn to tell them apart.",
                figure=len(kept),
                figure_name="rules",
                labels=tuple(dict.fromkeys(frequent.names[i] for rule in kept for i in (rule.label, rule.implied))),
                details={"rules": [_as_json(frequent, rule) for rule in kept]},
            )
        )
    return findings


def find_rules(cells: LabelCells) -> list[Rule]:
    """The rules between labels, those with the fewest exceptions by chance first.

    A rule has at least `MIN_SUPPORT` images and `MIN_CONFIDENCE`, and fewer exceptions than chance would give if the
    labels were independent (Poisson). Of two labels that are always together, both directions are rules.
    """
    n, k = len(cells.codes), len(cells.names)
    yes, unknown = cells.counts()
    both, unsure = cells.together()
    known = yes[:, None] - unsure
    exceptions = known - both
    is_rule = (known >= MIN_SUPPORT) & (both >= MIN_CONFIDENCE * known)
    np.fill_diagonal(is_rule, val=False)
    share = yes / np.maximum(n - unknown, 1)
    found: list[tuple[float, Rule]] = []
    for i, j in zip(*(axis.tolist() for axis in np.nonzero(is_rule)), strict=True):
        rule = Rule(i, j, int(known[i, j]), int(exceptions[i, j]))
        log_chance = _log_poisson_at_most(rule.exceptions, rule.images * (1 - float(share[j])))
        if log_chance + math.log(k * (k - 1)) < math.log(MAX_CHANCE):
            found.append((log_chance, rule))
    return [rule for _, rule in sorted(found)]


def co_occurrence(cells: LabelCells, *, most: int = 50) -> list[dict[str, Any]]:
    """The pairs of labels that most images have together: both labels, the images, and the lift.

    A lift of 1 is what independent labels would have.

    Args:
        cells: the labels of the images.
        most: number of pairs.
    """
    cells = _frequent(cells, at_least=1)
    yes, _ = cells.counts()
    both = np.triu(cells.together()[0], k=1)
    order = np.argsort(-both, axis=None, kind="stable")[:most]
    pairs = zip(*(axis.tolist() for axis in np.unravel_index(order, both.shape)), strict=True)
    return [
        {
            "labels": [cells.names[i], cells.names[j]],
            "images": int(both[i, j]),
            "lift": float(both[i, j] * len(cells.codes) / (yes[i] * yes[j])),
        }
        for i, j in pairs
        if both[i, j]
    ]


def _frequent(cells: LabelCells, *, at_least: int) -> LabelCells:
    """The most frequent labels, each of enough images."""
    yes, _ = cells.counts()
    order = np.argsort(-yes, kind="stable")[:_MAX_LABELS]
    return cells.select(order[yes[order] >= at_least])


def _log_poisson_at_most(count: int, mean: float) -> float:
    """The logarithm of the probability that a Poisson variable with this mean is at most ``count``; 0 if mean is 0."""
    if mean <= 0 or count > mean + 10 * math.sqrt(mean) + 100:  # 1 to all digits
        return 0.0
    logs = [i * math.log(mean) - mean - math.lgamma(i + 1) for i in range(count + 1)]
    largest = max(logs)
    return min(largest + math.log(math.fsum(math.exp(log - largest) for log in logs)), 0.0)


def _broken(source: Source, cells: LabelCells, rule: Rule) -> Finding:
    label, implied = cells.names[rule.label], cells.names[rule.implied]
    return Finding(
        kind="broken_implications",
        severity="warning",
        sentence=f"{rule.images - rule.exceptions:,} of {count_text(rule.images, 'image')} with '{label}' also have "
        f"'{implied}', but {rule.exceptions:,} {'has' if rule.exceptions == 1 else 'have'} not.",
        remedy=f"Look at these images: if they show '{implied}', add the label; if not, all is well.",
        figure=rule.exceptions,
        files=files_at(source, _exceptions(cells, rule)),
        labels=(label, implied),
        details=_as_json(cells, rule),
    )


def _exceptions(cells: LabelCells, rule: Rule) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    pair = cells.select(np.array([rule.label, rule.implied]))
    (_, yes, known) = next(pair.blocks())
    first, second = (0, 1) if rule.label < rule.implied else (1, 0)
    return yes[:, first] & known[:, second] & ~yes[:, second]


def _as_json(cells: LabelCells, rule: Rule) -> dict[str, Any]:
    names: Sequence[str] = cells.names
    return {
        "label": names[rule.label],
        "implied": names[rule.implied],
        "images": rule.images,
        "exceptions": rule.exceptions,
    }
