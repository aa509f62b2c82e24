"""Prediction sets and bounds of a mean over images for `eyebright tune`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

from eyebright._choices import SetMethod
from eyebright.errors import InputError, short_repr
from eyebright.evaluation.conformal import fit_sets
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.risk_control import Risk, control_risk
from eyebright.tasks.decision import Decision
from eyebright.types import Thresholds

_RISK = re.compile(r"\s*(\w[\w -]*?)\s*(?:<=|≤)\s*([0-9.eE+-]+)\s*(%?)\s*")


def with_prediction_sets(
    evaluation: Evaluation, coverage: float, *, method: SetMethod | None, by_label: bool, confidence: float
) -> tuple[Decision, dict[str, Any]]:
    """(the decision with prediction sets, the record of the fit): the latter as JSON for the manifest.

    Args:
        evaluation: the evaluation on independent images by which nothing was chosen.
        coverage: as in `eyebright.evaluation.conformal.fit_sets`.
        method: as in `fit_sets`.
        by_label: as in `fit_sets`.
        confidence: as in `fit_sets`; used only by ``rcps``.

    Raises:
        InputError: as in `fit_sets`.
    """
    sets = fit_sets(
        evaluation,
        coverage=coverage,
        method=method,
        by_label=by_label,
        confidence=confidence if method == "rcps" else None,
    )
    sizes = sets.sets(evaluation.activated).sum(dim=1)
    counts = [int(count) for count in sizes.bincount(minlength=2)]
    facts = {"part": evaluation.part, "images": len(evaluation), "sizes": counts}
    return evaluation.decision.with_prediction_sets(sets), facts


def without_prediction_sets(decision: Decision, tuning: Mapping[str, Any]) -> tuple[Decision, dict[str, Any]]:
    """(the decision, the record of its tuning), both without prediction sets."""
    return decision.with_prediction_sets(None), {name: facts for name, facts in tuning.items() if name != "label_sets"}


def sizes_sentence(counts: Sequence[int]) -> str:
    """A sentence on the sizes of the prediction sets.

    Args:
        counts: the number of images whose set has 0, 1, 2, ... labels.
    """
    total = max(sum(counts), 1)
    mean = sum(size * count for size, count in enumerate(counts)) / total
    shares = [f"{100 * count / total:.3g} %" for count in (counts[0], counts[1], sum(counts[2:]))]
    return f"{mean:.3g} labels in a set on average; none in {shares[0]}, one in {shares[1]}, several in {shares[2]}"


def with_controlled_risk(evaluation: Evaluation, text: str) -> tuple[Decision, dict[str, Any], str]:
    """(the decision with one threshold for all labels, the risk as JSON, the result).

    Args:
        evaluation: the evaluation on images by which nothing was chosen.
        text: the bound, such as ``missed_labels <= 0.1`` or ``wrong_answers <= 5 %``.

    Raises:
        InputError: the text does not have this form, no threshold bounds the mean with so few images, or as in
            `eyebright.evaluation.risk_control.control_risk`.
    """
    match = _RISK.fullmatch(text)
    try:
        bound = float(match[2]) / (100 if match[3] else 1) if match else 0.0
    except ValueError:
        match, bound = None, 0.0
    if match is None:
        raise InputError(
            f"`risk` is written as 'missed_labels <= 0.1' or 'wrong_answers <= 5 %', got {short_repr(text)}"
        )
    controlled = control_risk(evaluation, cast("Risk", re.sub("[ -]+", "_", match[1])), bound)
    if not controlled.attained:
        raise InputError(f"{controlled.sentence}; the model is unchanged")
    thresholds = Thresholds(controlled.threshold, f"{controlled.risk} <= {controlled.bound:g}")
    facts = {**controlled.to_json(), "part": evaluation.part}
    return evaluation.decision.with_thresholds(thresholds), facts, controlled.sentence
