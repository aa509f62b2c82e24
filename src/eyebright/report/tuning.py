"""The sections on the decision of a saved model: its promises, its calibration and its tuned thresholds."""

from collections.abc import Mapping, Set
from dataclasses import replace
from typing import Any

from eyebright.errors import DataError, listing
from eyebright.evaluation.promise_text import label_sentence, summary
from eyebright.evaluation.promises import LabelPromise, PromiseResult
from eyebright.evaluation.risk_control import ControlledRisk
from eyebright.evaluation.selective import SelectivePromise
from eyebright.report.abstention import abstention_blocks
from eyebright.tasks.calibration_hash import measured_otherwise
from eyebright.tasks.decision import Decision
from eyebright.types import Thresholds
from eyebright.web.blocks import Cell, Section, Sentences, Table
from eyebright.web.text import NO_VALUE, number_text

_OTHER_THRESHOLD = "another threshold was set"
_OTHER_CALIBRATION = (
    "it was measured with another calibration than the one in manifest.json, which was edited since; `eyebright tune` "
    "with the same promise, bound or coverage measures it again"
)
_EDITED_SINCE_FIT = (
    "These figures are those of another calibration: the one in manifest.json was edited since. `eyebright tune` with "
    "`calibrate` fits one again."
)
_EDITED_SINCE_SCORES = (
    "These scores were measured with another calibration than the one in manifest.json, which was edited since, so the "
    "model has other scores. `eyebright tune` with the same objective measures them again."
)
_PARTS = {"valid": "validation images", "out_of_fold": "out-of-fold predictions"}


def tuning_sections(tuning: Mapping[str, Any], decision: Decision) -> list[Section]:
    """The sections on promises, calibration and thresholds; empty for a model that was never tuned.

    Args:
        tuning: `Manifest.tuning`, the JSON of how the decision was fitted.
        decision: the model's decision; a promise whose threshold or calibration has changed since is named, but not
            shown.

    Raises:
        DataError: the entry does not have the form that `eyebright tune` writes.
    """
    others = measured_otherwise(tuning, decision.to_json())
    try:
        return [
            *_promises(tuning, decision, others),
            *_selective(tuning, decision, others),
            *_risk(tuning, decision, others),
            *_prediction_sets(tuning, decision, others),
            *_fitted(tuning, decision, others),
        ]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the entry 'tuning' of the saved model has the wrong form: {error}") from None


def _selective(tuning: Mapping[str, Any], decision: Decision, others: Set[str]) -> list[Section]:
    """The section on selective answers: a person is asked about uncertain images."""
    if "selective" not in tuning:
        return []
    selective = SelectivePromise.from_json(dict(tuning["selective"]))
    if "selective" in others or selective.thresholds != decision.thresholds:
        why = _OTHER_CALIBRATION if "selective" in others else _OTHER_THRESHOLD
        text = f"{selective.promise} is no longer kept: {why}"
        return [Section("Promises", "promises", [Sentences([_sentence(text)])])]
    intro = "The scores of this report count the answers on all images, also on those about which a person is asked."
    title = "Promises" if selective.is_promise else "Estimates"
    return [Section(title, "promises", [Sentences([_sentence(str(selective))])], intro)]


def _risk(tuning: Mapping[str, Any], decision: Decision, others: Set[str]) -> list[Section]:
    """The section on the risk that one threshold for all labels bounds."""
    if "risk" not in tuning:
        return []
    fields = dict(tuning["risk"])
    part = fields.pop("part")
    controlled = ControlledRisk.from_json(fields)
    is_changed = decision.thresholds != Thresholds(controlled.threshold, decision.thresholds.metric)
    if is_changed or "risk" in others:
        why = _OTHER_CALIBRATION if "risk" in others else _OTHER_THRESHOLD
        text = f"{controlled.risk} <= {controlled.bound:g} is no longer kept: {why}"
    else:
        text = f"{controlled.sentence} ({_origin(part)})"
    return [Section("Risk control", "risk-control", [Sentences([_sentence(text)])])]


def _prediction_sets(tuning: Mapping[str, Any], decision: Decision, others: Set[str]) -> list[Section]:
    """The section on the sets of labels with a stated coverage."""
    sets = decision.prediction_sets
    if "label_sets" in others:
        text = f"The model has no prediction sets any more: {_OTHER_CALIBRATION}"
        return [Section("Prediction sets", "prediction-sets", [Sentences([_sentence(text)])])]
    if sets is None:
        return []
    facts = tuning.get("label_sets")
    origin = "set by hand" if facts is None else _origin(facts["part"])
    sentences = [_sentence(f"{sets.sentence} ({origin})")]
    if facts is not None:
        counts, total = [int(count) for count in facts["sizes"]], max(int(facts["images"]), 1)
        sizes = Table(
            f"Sizes of the sets of these {total:,} images",
            ("labels in the set", "images", "share of the images"),
            [
                [Cell.of(size), Cell.of(count), Cell(f"{100 * count / total:.3g} %", count)]
                for size, count in enumerate(counts)
                if count
            ],
        )
        blocks: list[Any] = [Sentences(sentences), sizes]
    else:
        blocks = [Sentences(sentences)]
    intro = (
        "Predictions have a set of labels in addition to their answer: one label if the model is certain, several or "
        "none if it is not."
    )
    return [Section("Prediction sets", "prediction-sets", blocks, intro)]


def _origin(part: str) -> str:
    return "images of the part promise" if part == "promise" else f"an estimate from {_PARTS.get(part, part)}"


def calibration_sentence(evidence: Mapping[str, Any]) -> str:
    """One sentence about a calibration.

    Args:
        evidence: `CalibrationEvidence.to_json`.
    """
    after = evidence["log_loss_after"]
    text = f"calibration: {evidence['kind']}, {evidence['reason']}"
    if after is None or evidence["kind"] == "none":
        return text
    errors = [evidence[f"calibration_error_{when}"] for when in ("before", "after")]
    return (
        f"{text}; on images that it was not fitted to, log loss {number_text(evidence['log_loss_before'])} before and "
        f"{number_text(after)} after, debiased calibration error {' and '.join(map(number_text, errors))}"
    )


def _promises(tuning: Mapping[str, Any], decision: Decision, others: Set[str]) -> list[Section]:
    results = [PromiseResult.from_json(dict(promise)) for promise in tuning.get("promises", [])]
    if not results:
        return []
    if "promises" in others:
        texts = [f"{result.promise} is no longer kept: {_OTHER_CALIBRATION}" for result in results]
        return [Section("Promises", "promises", [Sentences(list(map(_sentence, texts)))])]
    blocks: list[Any] = []
    changed: list[str] = []
    for result in results:
        is_three_way = decision.thresholds.is_three_way and result.promise.metric == "recall"
        labels = tuple(
            label for label in result.labels if label.threshold == _threshold(label, decision, lower=is_three_way)
        )
        if reset := [label.label for label in result.labels if label not in labels]:
            changed += reset
            blocks.append(
                Sentences([f"{result.promise} is no longer kept for {listing(reset)}: other thresholds were set."])
            )
        if labels:
            shown = replace(result, labels=labels)
            blocks += [Sentences([_sentence(summary(shown))]), _table(shown, is_three_way=is_three_way)]
    if decision.thresholds.is_three_way and not changed:
        blocks += abstention_blocks(tuning, results)
    intro = (
        "Bounds that the answers keep on new images of the same kind. A promise is computed from held-out images and "
        "the answers of this model; from other images it is an estimate."
    )
    return [Section("Promises" if all(kept.is_promise for kept in results) else "Estimates", "promises", blocks, intro)]


def _threshold(label: LabelPromise, decision: Decision, *, lower: bool) -> float | None:
    """The model's threshold for a label; None for an unknown label."""
    thresholds, classes = decision.thresholds, decision.target.classes
    if label.label not in classes:
        return None
    values = thresholds.lower if lower and thresholds.lower is not None else thresholds.values
    return float(Thresholds(values).per_class(len(classes))[classes.index_of(label.label)])


def _table(result: PromiseResult, *, is_three_way: bool) -> Table:
    threshold = "no at or below" if is_three_way else "yes above"
    columns = ("label", "kept", threshold, "answers that count", "right", "exact bound", "evidence")
    rows = [
        [
            Cell(label.label),
            Cell("yes" if label.kept else "no"),
            Cell(f"{label.threshold:.3g}", label.threshold),
            Cell.of(label.total),
            Cell.of(label.right),
            Cell.of(label.bound) if label.total else Cell(NO_VALUE),
            Cell(label_sentence(result, label, is_three_way=is_three_way).removeprefix(f"{label.label}: ")),
        ]
        for label in result.labels
    ]
    return Table(f"{result.promise}, {result.promise.confidence:.4g} confidence", columns, rows)


def _fitted(tuning: Mapping[str, Any], decision: Decision, others: Set[str]) -> list[Section]:
    """The section on the calibration and the thresholds."""
    blocks: list[Any] = []
    if calibration := tuning.get("calibration"):
        images = _PARTS.get(calibration["part"], calibration["part"])
        edited = [_EDITED_SINCE_FIT] if "calibration" in others else []
        blocks.append(Sentences([_sentence(f"{calibration_sentence(calibration)} ({images})"), *edited]))
    if thresholds := tuning.get("thresholds"):
        blocks += _thresholds(thresholds)
        tuned = thresholds.get("thresholds")
        if "thresholds" in others:
            blocks.append(Sentences([_EDITED_SINCE_SCORES]))
        elif tuned is not None and decision.to_json()["thresholds"]["values"] != tuned and not _is_promised(tuning):
            blocks.append(Sentences(["The model has other thresholds by now: these scores are not theirs."]))
    intro = "The honest score is cross-fitted: each image is decided by thresholds that were tuned on other images."
    return [Section("Tuning", "tuning", blocks, intro)] if blocks else []


def _is_promised(tuning: Mapping[str, Any]) -> bool:
    """Whether something else has set the thresholds since, which its own section describes."""
    return any(name in tuning for name in ("promises", "asking", "risk"))


def _thresholds(tuned: Mapping[str, Any]) -> list[Any]:
    rows = [
        [Cell(score["title"]), *(_number(score[when]) for when in ("before", "optimistic", "honest"))]
        for score in tuned["scores"]
    ]
    columns = ("metric", "before", "on the images used for tuning (optimistic)", "to expect on new images (honest)")
    images = _PARTS.get(tuned["part"], tuned["part"])
    table = Table(f"Thresholds for {tuned['objective']}, on {tuned['images']:,} {images}", columns, rows)
    pulled = [
        f"{label['label']}: {label['threshold']:.3f}, pulled towards the common threshold {label['common']:.3f}, "
        f"because only {label['positives']:,} images have it and {label['negatives']:,} do not"
        for label in tuned["pulled"]
    ]
    notes = [_sentence(note) for note in (*tuned["notes"], *pulled)]
    return [table, *([Sentences(notes)] if notes else [])]


def _number(value: float | None) -> Cell:
    return Cell(NO_VALUE) if value is None else Cell(number_text(value), value)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."
