"""Changes the calibration, thresholds and promises of a saved model, using only its saved evaluations.

Nothing is trained and no image is read. The new manifest replaces the old one, which is kept for `undo_tuning`, and the
report is written again.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from eyebright._choices import EvaluatedPart
from eyebright._defaults import THRESHOLD_METRIC
from eyebright.errors import ArtifactError, EyebrightError, InputError
from eyebright.evaluation.calibrate import CalibrationChoice
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.promise import Promise, parse_promise
from eyebright.evaluation.promise_evidence import one_image_of_each_group
from eyebright.evaluation.promise_text import label_sentence, summary
from eyebright.evaluation.promises import PromiseResult, keep_promise
from eyebright.evaluation.selective import keep_accuracy
from eyebright.evaluation.three_way import abstention_curves, keep_two_promises
from eyebright.evaluation.threshold_objectives import check_metric
from eyebright.evaluation.tune import tune
from eyebright.inference.change_manifest import locked_folder, restored_on_failure, save_manifest, undo_manifest
from eyebright.inference.folder_format import OUT_OF_FOLD
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_manifest_and_evaluations, part_of
from eyebright.report.data import ReportData
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.calibration_hash import with_hashes
from eyebright.tasks.decision import Decision
from eyebright.types import Say, Thresholds
from eyebright.workflow.command_options.evaluation import TuneOptions
from eyebright.workflow.report import DESCRIPTIONS, make_report
from eyebright.workflow.tune_record import Tuning, calibrated, current_tuning
from eyebright.workflow.tune_sets import (
    sizes_sentence,
    with_controlled_risk,
    with_prediction_sets,
    without_prediction_sets,
)

_THRESHOLD_FACTS = ("promises", "asking", "before", "risk")  # facts that are dropped with the thresholds
_MAX_ANSWERS = 2_000_000  # with more answers the curves of many promises would take longer than the tuning


def tune_model(options: TuneOptions, *, say: Say = lambda _: None) -> ReportData:
    """Tunes a saved model and writes its manifest and report; returns the content of the report.

    Args:
        options: the model folder, and what to change.
        say: called with each sentence about the results.

    Raises:
        InputError: there is nothing to change, an objective or a promise cannot be understood, or the target has no
            thresholds.
        ArtifactError: the model or its evaluation is missing or damaged, or a file cannot be written; the saved model
            is unchanged.
    """
    with locked_folder(options.model):
        return _tune_model(options, say)


def _tune_model(options: TuneOptions, say: Say) -> ReportData:
    """`tune_model`, while no other process writes to the folder."""
    objective, promises = options.chosen_objective, _promises(options)
    if objective is not None:
        check_metric(objective)
    saved = _Saved.load(options.model)
    target = saved.manifest.decision.target
    _check_target(target, objective, promises, options)
    state = current_tuning(saved.manifest, say)
    if options.sets == "none":
        state = _remove_prediction_sets(state, say)
    if options.calibrate is not None:
        state = _calibrate(state, saved.of(options.on), options.calibrate, say)
        objective = objective or (_former_objective(state.decision) if options.risk is None else None)
    if objective is not None and state.decision.target.has_thresholds:
        state = _tune(state, saved.of(options.on), objective, per_class=not options.one_threshold, say=say)
    if promises:
        keep = _keep if target.has_thresholds else _keep_accuracy
        state = keep(state, saved, promises, options, say)
    if options.risk is not None:
        state = _control_risk(state, saved, options.risk, say)
    if options.coverage is not None:
        state = _add_prediction_sets(state, saved, options.coverage, options, say)
    calibration = state.decision.to_json()["calibration"]
    facts = with_hashes(state.facts, calibration, former=saved.manifest.tuning)
    with restored_on_failure(options.model, DESCRIPTIONS):
        save_manifest(options.model, replace(saved.manifest, decision=state.decision, tuning=facts))
        return make_report(options.model, check_images=False, say=say)


def undo_tuning(folder: str | Path, *, say: Say = lambda _: None) -> ReportData:
    """Reverts the last change of a saved model's decision, and writes its report again; returns its content.

    Args:
        folder: the model folder.
        say: called with a sentence if the model card was edited and is kept.

    Raises:
        ArtifactError: there is nothing to undo, the model is missing or damaged, or a file cannot be written.
    """
    with locked_folder(Path(folder)):
        undo_manifest(folder)
        return make_report(folder, check_images=False, say=say)


def _check_target(target: TargetBlock, objective: str | None, promises: list[Promise], options: TuneOptions) -> None:
    """Raises `InputError` if the target does not support the requested changes."""
    if target.has_thresholds or (objective is None and not promises):
        return
    also = "; it supports `calibrate`" if target.can_calibrate else ""
    if objective is not None or not target.can_abstain:
        raise InputError(
            "thresholds and promises are for models with any number of labels per image, and this model is a "
            f"{type(target).__name__}{also}"
        )
    if [promise.metric for promise in promises] != ["accuracy"] or options.keep_former:
        raise InputError(
            f"this model is a {type(target).__name__}, with one label per image: it can keep one promise of accuracy, "
            f"such as 'accuracy >= 0.95', and asks a person about uncertain images; got "
            f"{', '.join(map(str, promises))}{' and `keep_former`' if options.keep_former else ''}"
        )


# ------------------------------------------------------------------ the saved model


class _Saved(NamedTuple):
    """A saved model without its weights: the manifest, and its evaluations by part."""

    folder: Path
    manifest: Manifest
    evaluations: dict[EvaluatedPart, Evaluation]

    @staticmethod
    def load(folder: Path) -> "_Saved":
        manifest, evaluations = load_manifest_and_evaluations(folder)
        if manifest.out_of_fold_hash is not None:
            evaluations |= load_manifest_and_evaluations(folder, OUT_OF_FOLD)[1]
        return _Saved(folder, manifest, evaluations)

    def of(self, part: EvaluatedPart) -> Evaluation:
        """The evaluation that chooses calibration and thresholds.

        Raises:
            ArtifactError: the model has no evaluation of this part.
        """
        if part == "out_of_fold" and "out_of_fold" not in self.evaluations:
            raise ArtifactError(
                f"'{self.folder}' has no out-of-fold predictions: train with `folds=5`, or leave `on` out for the "
                "validation images"
            )
        return part_of(self.evaluations, part, self.folder)

    def others_than(self, evaluation: Evaluation) -> Evaluation | None:
        """The evaluation on other images, for choosing the thresholds to test; None if there is none."""
        taken = set(evaluation.paths)
        for part in ("out_of_fold", "valid"):
            other = self.evaluations.get(part)
            rows = [] if other is None else [row for row, path in enumerate(other.paths) if path not in taken]
            if other is not None and rows:
                return other.take(rows)
        return None


# ------------------------------------------------------------------ calibration and thresholds


def _calibrate(state: Tuning, evaluation: Evaluation, kind: CalibrationChoice, say: Say) -> Tuning:
    calibration, facts = calibrated(evaluation, kind, say)
    _say_removed(state, say)
    if state.decision.prediction_sets is not None:
        say(
            "dropped, since the probabilities have changed: the prediction sets; to keep them, repeat `sets` "
            f"{state.decision.prediction_sets.coverage:g}"
        )
    decision = state.decision.with_calibration(calibration)
    return Tuning(decision if decision.target.has_thresholds else decision.with_thresholds(Thresholds()), facts)


def _say_removed(state: Tuning, say: Say) -> None:
    """Reports which promises are dropped: they hold only for the thresholds that they were computed with."""
    promises = dict.fromkeys(str(result.promise) for result in _results(state.facts))
    if "selective" in state.facts:
        promises |= {str(state.decision.thresholds.metric): None}
    if "risk" in state.facts:
        promises |= {_risk_text(state.facts): None}
    if promises:
        say(f"dropped, since the thresholds have changed: {', '.join(promises)}; to keep them, repeat them")


def _risk_text(facts: Mapping[str, Any]) -> str:
    return f"{facts['risk']['risk']} <= {facts['risk']['bound']:g}"


def _former_objective(decision: Decision) -> str:
    """The former objective of the thresholds, if it can be repeated; otherwise the default."""
    try:
        check_metric(decision.thresholds.metric or THRESHOLD_METRIC)
    except InputError:
        return THRESHOLD_METRIC
    return decision.thresholds.metric or THRESHOLD_METRIC


def _tune(state: Tuning, evaluation: Evaluation, objective: str, *, per_class: bool, say: Say) -> Tuning:
    evaluation = evaluation.with_decision(state.decision)
    tuned = tune(evaluation, objective, per_class=per_class, groups=_groups(evaluation))
    for sentence in (*map(str, tuned.scores), *map(str, tuned.pulled), *tuned.notes):
        say(sentence)
    _say_removed(state, say)
    facts = {name: value for name, value in state.facts.items() if name not in _THRESHOLD_FACTS}
    facts["thresholds"] = {**tuned.to_json(), "part": evaluation.part}
    return Tuning(state.decision.with_thresholds(tuned.thresholds), facts)


# ------------------------------------------------------------------ promises


def _promises(options: TuneOptions) -> list[Promise]:
    """The requested promises.

    Raises:
        InputError: a promise is invalid, or they cannot be kept together.
    """
    promises = [
        parse_promise(text, confidence=options.confidence, label=options.label, all_labels=options.all_labels)
        for text in options.promise
    ]
    recalls = [promise for promise in promises if promise.metric == "recall"]
    if len(promises) > 2 or (len(promises) == 2 and len(recalls) != 1):
        raise InputError(
            "a model keeps one promise, or two together: one of precision or fpr for yes, and one of recall for no, "
            f"with a person between them; got {', '.join(map(str, promises))}"
        )
    return sorted(promises, key=lambda promise: promise.metric == "recall")


def _keep_accuracy(state: Tuning, saved: _Saved, promises: list[Promise], options: TuneOptions, say: Say) -> Tuning:
    """Keeps a promise of accuracy of a model with one label per image, which asks a person about uncertain images."""
    evaluation = _images_that_test(state, saved, say)
    result = keep_accuracy(evaluation, promises[0], chosen_on=saved.others_than(evaluation), groups=_groups(evaluation))
    say(str(result))
    if not result.kept:
        raise InputError(
            f"the model cannot keep {promises[0]} with these {len(evaluation):,} images, so it is unchanged; lower the "
            "bound, or label more images"
        )
    say("the scores below count the answers on all images, also on those about which a person is asked")
    return Tuning(state.decision.with_thresholds(result.thresholds), {**state.facts, "selective": result.to_json()})


def _images_that_test(state: Tuning, saved: _Saved, say: Say) -> Evaluation:
    """The evaluation that promises are tested on: the part promise, or with a message the validation images."""
    if "promise" in saved.evaluations:
        return saved.of("promise").with_decision(state.decision)
    say(
        "the model has no images of the part promise, so this is an estimate from validation images; `eyebright "
        "evaluate` with `part='promise'` adds new labelled images, and a split with that part (`eyebright split`) "
        "holds some out from the start"
    )
    return saved.of("valid").with_decision(state.decision)


def _keep(state: Tuning, saved: _Saved, promises: list[Promise], options: TuneOptions, say: Say) -> Tuning:
    evaluation = _images_that_test(state, saved, say)
    others = saved.others_than(evaluation)
    groups = _groups(evaluation)
    facts = {
        name: value for name, value in state.facts.items() if name not in ("thresholds", "asking", "risk")
    }  # the keys of this tuning
    if not facts.get("promises"):  # the origin of the thresholds of labels without a promise
        former = state.decision.thresholds
        facts["before"] = {"metric": former.metric, "values": former.per_class(state.decision.target.n_out).tolist()}
    if len(promises) == 1:
        results = [
            keep_promise(evaluation, promises[0], chosen_on=others, groups=groups, keep_former=options.keep_former)
        ]
        decision = results[0].decision(state.decision)
    else:
        both = keep_two_promises(evaluation, *promises, chosen_on=others, groups=groups)
        results = [both.yes, both.no]
        decision = state.decision.with_thresholds(both.thresholds(state.decision))
        if evaluation.outputs.numel() <= _MAX_ANSWERS:
            curves = abstention_curves(evaluation, *promises, chosen_on=others, groups=groups)
            facts["asking"] = [curve.to_json() for curve in curves]
    for result in results:
        say(summary(result))
        for label in result.labels:
            say(f"  {label_sentence(result, label, is_three_way=len(results) == 2)}")
    if not any(result.n_kept for result in results):
        raise InputError(
            f"no label can keep {' or '.join(map(str, promises))} with these {len(evaluation):,} images, so the model "
            "is unchanged; lower the bound, or label more images"
        )
    _say_abstained(decision.thresholds, evaluation, say)
    if "risk" in state.facts:
        say(f"dropped, since the thresholds have changed: {_risk_text(state.facts)}")
    earlier = _others(_results(state.facts), results)
    return Tuning(decision, {**facts, "promises": [result.to_json() for result in (*earlier, *results)]})


def _say_abstained(thresholds: Thresholds, evaluation: Evaluation, say: Say) -> None:
    if thresholds.is_three_way:
        abstained = thresholds.abstains(evaluation.activated)
        images, answers = (100 * float(part.double().mean()) for part in (abstained.any(dim=1), abstained))
        say(
            f"a person is asked about a label of {images:.3g} % of these images, {answers:.3g} % of all answers; they "
            "count as no in the scores below"
        )


# ------------------------------------------------------------------ means over images, and prediction sets


def _control_risk(state: Tuning, saved: _Saved, text: str, say: Say) -> Tuning:
    """One threshold for all labels, which bounds the expectation of a mean over images."""
    decision, facts, sentence = with_controlled_risk(_independent_images(state, saved, say), text)
    _say_removed(state, say)
    say(sentence)
    kept = {name: value for name, value in state.facts.items() if name not in (*_THRESHOLD_FACTS, "thresholds")}
    return Tuning(decision, {**kept, "risk": facts})


def _independent_images(state: Tuning, saved: _Saved, say: Say) -> Evaluation:
    """The images that promises are tested on: one image of each group, since those of a group are not independent."""
    evaluation = _images_that_test(state, saved, say)
    groups = _groups(evaluation)
    counted = one_image_of_each_group(evaluation, groups)
    if groups is not None:
        say(f"one image of each group counts: {len(counted):,} of {len(evaluation):,} images")
    return counted


def _remove_prediction_sets(state: Tuning, say: Say) -> Tuning:
    sets = state.decision.prediction_sets
    if sets is None:
        raise InputError("the model has no prediction sets, so `sets` none has nothing to remove")
    say(f"removed: the prediction sets with a coverage of {sets.coverage:g}")
    return Tuning(*without_prediction_sets(state.decision, state.facts))


def _add_prediction_sets(state: Tuning, saved: _Saved, coverage: float, options: TuneOptions, say: Say) -> Tuning:
    decision, facts = with_prediction_sets(
        _independent_images(state, saved, say),
        coverage,
        method=options.set_method,
        by_label=options.sets_by_label,
        confidence=options.confidence,
    )
    assert decision.prediction_sets is not None
    say(f"prediction sets: {decision.prediction_sets.sentence}; {sizes_sentence(facts['sizes'])}")
    return Tuning(decision, {**state.facts, "label_sets": facts})


def _results(facts: dict[str, Any]) -> list[PromiseResult]:
    """The promises that the model keeps.

    Raises:
        ArtifactError: the manifest was edited, so that the promises have the wrong form.
    """
    try:
        return [PromiseResult.from_json(dict(promise)) for promise in facts.get("promises", [])]
    except (EyebrightError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise ArtifactError(f"the promises in the manifest have the wrong form: {error}") from None


def _others(earlier: list[PromiseResult], new: list[PromiseResult]) -> list[PromiseResult]:
    """The earlier promises for labels without a new one."""
    taken = {label.label for result in new for label in result.labels}
    kept = [
        replace(result, labels=tuple(label for label in result.labels if label.label not in taken))
        for result in earlier
    ]
    return [result for result in kept if result.labels]


def _groups(evaluation: Evaluation) -> list[int] | None:
    codes = evaluation.group_codes
    return None if codes is None else codes.tolist()
