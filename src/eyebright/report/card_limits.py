"""The limits that a model card states: what was not measured, and scores that rest on few images."""

from collections.abc import Mapping
from typing import Any

from eyebright.errors import count_text, listing
from eyebright.report.data import ReportData
from eyebright.report.verdict.values import MIN_IMAGES
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.calibration_hash import current_results
from eyebright.tasks.decision import Decision


def limits(decision: Decision, manifest: Mapping[str, Any], data: ReportData | None) -> list[str]:
    """A sentence for each limit.

    Args:
        decision: the model's decision.
        manifest: the manifest, with the entries ``data`` and ``tuning``.
        data: the report; None: nothing was measured.
    """
    target = decision.target
    sentences = [
        "The scores hold for images like those that were evaluated. Other cameras, places or times were not measured, "
        "unless the validation images have them."
    ]
    if data is None:
        sentences = ["No score was measured, so the quality of the model is unknown."]
    else:
        sentences += [*_chosen_on(data), *_unknown(data, target), *_few(data)]
    if decision.target.has_thresholds:
        sentences.append("The model can predict a label for an image that shows none of them.")
    elif target.has_vocab:
        sentences.append(
            "The model predicts one of the classes for every image, also for an image of something else"
            + ("; a person is asked where the probability is too low." if decision.thresholds.is_three_way else ".")
        )
    if target.can_calibrate and decision.to_json()["calibration"]["kind"] == "none":
        sentences.append("The probabilities are not calibrated: 0.8 need not mean right 8 times out of 10.")
    results = current_results(manifest["tuning"], decision.to_json())
    if target.can_calibrate and not any(results.get(key) for key in ("promises", "selective")):
        sentences.append("No promise was made about precision, recall or accuracy on new images.")
    return sentences


def _chosen_on(data: ReportData) -> list[str]:
    if data.test_rows:
        return ["Epochs, calibration or thresholds were chosen on the validation images, not on the test images."]
    return [
        "There is no held-out test set: epochs, calibration or thresholds may have been chosen on the images that "
        "were scored, so new images may score lower."
    ]


def _unknown(data: ReportData, target: TargetBlock) -> list[str]:
    """The share of unknown targets."""
    images = data.evaluated[1]
    rows = [row for row in data.output_rows if isinstance(row.get("known"), int)]
    if not rows or target.is_exclusive:
        unknown = images - min((row["known"] for row in rows), default=images)
        total = images
    else:
        total = images * len(rows)
        unknown = total - sum(row["known"] for row in rows)
    if not unknown:
        return []
    return [f"{unknown:,} of {total:,} targets of the evaluated images are unknown ({100 * unknown / total:.3g} %)."]


def _few(data: ReportData) -> list[str]:
    """The labels with few evaluated images."""
    nouns = {"labels": ("label", "labels"), "classes": ("class", "classes")}.get(data.kind)
    if nouns is None:
        return []
    key = nouns[0]
    without = [str(row[key]) for row in data.output_rows if row.get("images") == 0]
    few = [str(row[key]) for row in data.output_rows if 0 < (row.get("images") or 0) < MIN_IMAGES]
    sentences = [
        (without, "no evaluated image has, so their scores are unknown"),
        (few, f"fewer than {MIN_IMAGES} evaluated images have, so their scores are unreliable"),
    ]
    return [f"{count_text(len(names), *nouns)} that {what}: {listing(names)}." for names, what in sentences if names]
