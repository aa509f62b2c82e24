"""Changes how a saved model decides - its calibration, thresholds and promises - from its saved evaluations alone.

Nothing is trained and no image is read. The new manifest replaces the old one, which is kept (`undo_tuning`), and the
report is made again.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

from eyebright._defaults import THRESHOLD_METRIC
from eyebright.errors import ArtifactError, InputError
from eyebright.evaluation.calibrate import CalibrationChoice, fit_calibration
from eyebright.evaluation.decide import check_has_thresholds
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.promise import Promise, parse_promise
from eyebright.evaluation.promise_text import label_sentence, summary
from eyebright.evaluation.promises import PromiseResult, keep_promise
from eyebright.evaluation.three_way import keep_two_promises
from eyebright.evaluation.threshold_objectives import check_metric
from eyebright.evaluation.tune import tune
from eyebright.inference.change_manifest import save_manifest, undo_manifest
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import OUT_OF_FOLD, load_manifest_and_evaluations, part_of
from eyebright.report.data import ReportData
from eyebright.report.tuning import calibration_sentence
from eyebright.tasks.decision import Decision
from eyebright.types import EvaluatedPart, Thresholds
from eyebright.workflow.command_options import TuneOptions
from eyebright.workflow.fine_tuning import Say
from eyebright.workflow.report import make_report


def tune_model(options: TuneOptions, *, say: Say = lambda _: None) -> ReportData:
    """Tunes a saved model and writes its manifest and report; returns the content of the report.

    Args:
        options: the model folder, and what to change.
        say: called with each sentence about what was found.

    Raises:
        InputError: there is nothing to change, an objective or a promise cannot be understood, or the target has no
            thresholds.
        ArtifactError: the model or its evaluation is missing or damaged, or a file cannot be written; the saved model
            is as it was.
    """
    objective, promises = options.chosen_objective, _promises(options)
    if objective is not None:
        check_metric(objective)
    saved = _Saved.load(options.model)
    if objective is not None or promises:
        check_has_thresholds(saved.manifest.decision)
    state = _Tuning(saved.manifest.decision, dict(saved.manifest.tuning))
    if options.calibrate is not None:
        state = _calibrate(state, saved.of(options.on), cast("CalibrationChoice", options.calibrate), say)
        objective = objective or _former_objective(state.decision)
    if objective is not None and state.decision.target.has_thresholds:
        state = _tune(state, saved.of(options.on), objective, per_class=not options.one_threshold, say=say)
    if promises:
        state = _keep(state, saved, promises, options, say)
    save_manifest(options.model, replace(saved.manifest, decision=state.decision, tuning=state.facts))
    return make_report(options.model)


def undo_tuning(folder: str | Path) -> ReportData:
    """Takes the last change of a saved model's decision back, and makes its report again; returns its content.

    Raises:
        ArtifactError: there is nothing to undo, the model is missing or damaged, or a file cannot be written.
    """
    undo_manifest(folder)
    return make_report(folder)


# ------------------------------------------------------------------ what is there


class _Tuning(NamedTuple):
    """The decision, and how it was fitted, as JSON for the manifest."""

    decision: Decision
    facts: dict[str, Any]


class _Saved(NamedTuple):
    """A saved model without its weights: the manifest, and its evaluations by part."""

    folder: Path
    manifest: Manifest
    evaluations: dict[EvaluatedPart, Evaluation]

    @staticmethod
    def load(folder: Path) -> "_Saved":
        manifest, evaluations = load_manifest_and_evaluations(folder)
        if manifest.out_of_fold is not None:
            evaluations |= load_manifest_and_evaluations(folder, OUT_OF_FOLD)[1]
        return _Saved(folder, manifest, evaluations)

    def of(self, part: str) -> Evaluation:
        """The evaluation that chooses calibration and thresholds.

        Raises:
            ArtifactError: there is none of this part.
        """
        if part == "out_of_fold" and "out_of_fold" not in self.evaluations:
            raise ArtifactError(
                f"'{self.folder}' has no out-of-fold answers: train with `folds=5`, or leave `on` out for the "
                "validation images"
            )
        return part_of(self.evaluations, cast("EvaluatedPart", part), self.folder)

    def others_than(self, evaluation: Evaluation) -> Evaluation | None:
        """Answers on other images, which choose the thresholds to test; None without any."""
        taken = set(evaluation.paths)
        for part in ("out_of_fold", "valid"):
            other = self.evaluations.get(part)
            rows = [] if other is None else [row for row, path in enumerate(other.paths) if path not in taken]
            if other is not None and rows:
                return other.take(rows)
        return None


# ------------------------------------------------------------------ calibration and thresholds


def _calibrate(state: _Tuning, evaluation: Evaluation, kind: CalibrationChoice, say: Say) -> _Tuning:
    fitted = fit_calibration(evaluation, kind=kind)
    evidence = fitted.evidence.to_json()
    say(calibration_sentence(evidence))
    facts = {"calibration": {**evidence, "part": evaluation.part}}
    if "promises" in state.facts:
        say("the promises were made with another calibration: make them again")
    return _Tuning(state.decision.with_calibration(fitted.calibration), facts)


def _former_objective(decision: Decision) -> str:
    """What the thresholds were tuned for, if it can be done again; otherwise the default."""
    try:
        check_metric(decision.thresholds.metric or THRESHOLD_METRIC)
    except InputError:
        return THRESHOLD_METRIC
    return decision.thresholds.metric or THRESHOLD_METRIC


def _tune(state: _Tuning, evaluation: Evaluation, objective: str, *, per_class: bool, say: Say) -> _Tuning:
    evaluation = evaluation.with_decision(state.decision)
    tuned = tune(evaluation, objective, per_class=per_class, groups=_groups(evaluation))
    for sentence in (*map(str, tuned.scores), *map(str, tuned.pulled), *tuned.notes):
        say(sentence)
    facts = {name: value for name, value in state.facts.items() if name != "promises"}
    facts["thresholds"] = {**tuned.to_json(), "part": evaluation.part}
    return _Tuning(state.decision.with_thresholds(tuned.thresholds), facts)


# ------------------------------------------------------------------ promises


def _promises(options: TuneOptions) -> list[Promise]:
    """The promises that are asked for.

    Raises:
        InputError: one cannot be understood, or they cannot be kept together.
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


def _keep(state: _Tuning, saved: _Saved, promises: list[Promise], options: TuneOptions, say: Say) -> _Tuning:
    part: EvaluatedPart = "promise" if "promise" in saved.evaluations else "valid"
    evaluation = saved.of(part).with_decision(state.decision)
    if part == "valid":
        say(
            "the model has no images of the part promise, so this is an estimate from validation images; `promise_pct` "
            "of a split, or a column with the value promise, keeps some"
        )
    others = saved.others_than(evaluation)
    groups = _groups(evaluation)
    if len(promises) == 1:
        results = [
            keep_promise(evaluation, promises[0], chosen_on=others, groups=groups, keep_former=options.keep_former)
        ]
        decision = results[0].decision(state.decision)
    else:
        both = keep_two_promises(evaluation, *promises, chosen_on=others, groups=groups)
        results = [both.yes, both.no]
        lower, upper = both.thresholds(state.decision)
        decision = state.decision.with_thresholds(
            Thresholds(upper.values, metric=" and ".join(map(str, promises)), lower=lower.values)
        )
        asked = float(decision.thresholds.asks(evaluation.activated).any(dim=1).double().mean())
        say(f"a person is asked about {asked:.1%} of these images; such answers count as no in the scores below")
    for result in results:
        say(summary(result))
        for label in result.labels:
            say(f"  {label_sentence(result, label, asks=len(results) == 2)}")
    return _Tuning(decision, {**state.facts, "promises": _with_earlier(state.facts, results)})


def _with_earlier(facts: dict[str, Any], results: list[PromiseResult]) -> list[dict[str, Any]]:
    """The results, and earlier ones for other labels, as JSON."""
    labels = {label.label for result in results for label in result.labels}
    earlier = [one for one in facts.get("promises", []) if not labels & {label["label"] for label in one["labels"]}]
    return [*earlier, *(result.to_json() for result in results)]


def _groups(evaluation: Evaluation) -> list[int] | None:
    codes = evaluation.group_codes
    return None if codes is None else codes.tolist()
