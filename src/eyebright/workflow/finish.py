"""The last steps of a training run: evaluation, calibration, thresholds, and writing the model and its report."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from eyebright._choices import CalibrationChoice
from eyebright.errors import InputError, count_text, listing
from eyebright.evaluation.decide import fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.learner.fine_tuned import FineTuned
from eyebright.learner.learner import Learner
from eyebright.report.data import ReportFacts
from eyebright.report.kinds import task_report
from eyebright.sources.source import Source
from eyebright.sources.split_summary import leaking_rows, summarize_split
from eyebright.train.observers.history import write_history
from eyebright.types import Say
from eyebright.workflow.changed_images import changed_message
from eyebright.workflow.held_out import evaluate_held_out, group_names, with_groups
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.prepare import Prepared
from eyebright.workflow.read_options import ReadOptions
from eyebright.workflow.report import HISTORY, make_report
from eyebright.workflow.saved_options import SavedOptions
from eyebright.workflow.settings import chosen_values, settings_in_words
from eyebright.workflow.tune_record import calibrated


def finish(
    learner: Learner,
    prepared: Prepared,
    out: Path,
    *,
    options: TrainOptions,
    checkpoint: Path,
    out_of_fold: Evaluation | None = None,
    fine_tuned: FineTuned | None = None,
    say: Say,
) -> Learner:
    """The learner with its decision; its model, report and options are written, and its checkpoint is deleted.

    Args:
        learner: the trained learner.
        prepared: the data that it was trained on.
        out: the model folder.
        options: the training options.
        checkpoint: the file of the checkpoint.
        out_of_fold: the evaluation by heads that were not fitted to the images.
        fine_tuned: the gain of fine-tuning.
        say: called with each sentence about the results.

    Raises:
        EyebrightError: an image cannot be read, or a file cannot be written.
    """
    source, same = prepared.source, prepared.same
    groups = group_names(source, prepared.groups)
    out_of_fold = None if out_of_fold is None else with_groups(out_of_fold, groups)
    training = learner.dls.target.training_summary(learner.dls.train_ds.targets)
    evaluation = replace(with_groups(learner.evaluate(), groups), training=training)
    evaluation, tuning = _calibrate(learner, evaluation, out_of_fold, options, say)
    evaluation = _decide(learner, evaluation, options, say)
    held_out = evaluate_held_out(learner, source, prepared.held_out, groups)
    skipped = {**source.skipped, **learner.dls.skipped}
    if changed := changed_message(prepared.states):
        say(changed)
        source = source.with_messages(changed)

    # The model is written first: it is the largest, so if the disk is full the old report and history are kept too.
    leaking = {str(source[row].path) for row in leaking_rows(source, same=same)}
    facts = replace(
        _facts(learner, source, options, skipped, fine_tuned),
        split_summary=summarize_split(source, same=same),
        leaking=[file for file, path in zip(evaluation.files, evaluation.paths, strict=True) if str(path) in leaking],
    )
    learner.save_model(
        out,
        evaluation=evaluation,
        held_out=held_out,
        out_of_fold=out_of_fold,
        out_of_distribution=learner.fit_out_of_distribution(),
        report=facts.to_json(),
        tuning=tuning,
    )
    saved_options = _saved_options(source, out, options, learner)
    learner.run.device.on_main(lambda: _write_beside(learner, saved_options, out, checkpoint, say))
    if out_of_fold is not None:
        _say_out_of_fold(out_of_fold, evaluation, facts, options, say)
    say_skipped(skipped, say)
    return learner


def _write_beside(learner: Learner, saved_options: SavedOptions, out: Path, checkpoint: Path, say: Say) -> None:
    """Writes options, history and report beside the saved model, and deletes the checkpoint."""
    saved_options.save()
    write_history(learner.run.history, out / HISTORY)
    report = make_report(out, check_images=False, say=say)
    checkpoint.unlink(missing_ok=True)
    for sentence in (*report.notices, *(row.line for row in report.metric_rows)):
        say(sentence)
    if report.test_rows:
        say(f"held-out test images: {report.test_rows[0].line}")


def _calibrate(
    learner: Learner, evaluation: Evaluation, out_of_fold: Evaluation | None, options: TrainOptions, say: Say
) -> tuple[Evaluation, dict[str, Any]]:
    """(evaluation, record of the fit) with the calibration of the options, which is also set in the learner.

    Out-of-fold predictions are comparable to the model's only if the backbone was not trained.
    """
    if options.calibrate == "none":
        return evaluation, {}
    on = evaluation if out_of_fold is None or options.trains_epochs else out_of_fold
    try:
        calibration, facts = calibrated(on, cast("CalibrationChoice", options.calibrate), say)
    except InputError as error:  # too few images; the trained model is saved anyway
        say(f"no calibration: {error}")
        return evaluation, {}
    learner.decision = evaluation.decision.with_calibration(calibration)
    return evaluation.with_decision(learner.decision), facts


def _decide(learner: Learner, evaluation: Evaluation, options: TrainOptions, say: Say) -> Evaluation:
    """The evaluation with thresholds tuned on it, which are also set in the learner."""
    if not learner.dls.target.has_thresholds:
        return evaluation
    learner.decision = fit_decision(evaluation, metric=options.threshold_metric)
    thresholds = learner.thresholds
    each = zip(learner.dls.vocab, thresholds.per_class(learner.dls.c).tolist(), strict=True)
    say(f"thresholds tuned for {thresholds.metric}: " + ", ".join(f"{name} {value:.2f}" for name, value in each))
    has = (evaluation.targets == 1).any(dim=0).tolist()
    if absent := [name for name, positive in zip(learner.dls.vocab, has, strict=True) if not positive]:
        say(
            f"labels that no validation image has: {listing(absent)}; they get the threshold for all labels, or 0.5 "
            f"if that one would predict them for most images; macro F1 counts them as 0, mAP ignores them"
        )
    return evaluation.with_decision(learner.decision)


def _say_out_of_fold(
    out_of_fold: Evaluation, evaluation: Evaluation, facts: ReportFacts, options: TrainOptions, say: Say
) -> None:
    """Reports the main score of the out-of-fold outputs."""
    scored = replace(out_of_fold, decision=evaluation.decision, training=evaluation.training)
    row = task_report(scored, facts).metric_rows()[0]
    say(
        f"out of fold, {count_text(len(out_of_fold), 'image')} by {options.folds} heads on the pretrained backbone: "
        f"{row.line}"
    )


def _facts(
    learner: Learner, source: Source, options: TrainOptions, skipped: Mapping[str, str], fine_tuned: FineTuned | None
) -> ReportFacts:
    """The facts of the report that are not in the evaluation."""
    dls = learner.dls
    return ReportFacts(
        title=f"{options.arch} on {count_text(len(source), 'image')}",
        messages=source.messages,
        split=[("training", str(len(dls.train_ds))), ("validation", str(len(dls.valid_ds)))],
        skipped=list(skipped.items()),
        settings=settings_in_words(learner, options),
        normalize_by=options.normalize_by,
        fine_tuning="" if fine_tuned is None else str(fine_tuned),
        keeps_frozen=fine_tuned is not None and fine_tuned.comparison is not None and fine_tuned.keeps_frozen,
        frozen_scores={} if fine_tuned is None else fine_tuned.frozen_scores,
    )


def _saved_options(source: Source, out: Path, options: TrainOptions, learner: Learner) -> SavedOptions:
    """The content of ``options.json``; without a path and reading options if the source was not read from a file."""
    read_options = dict(source.read_options)
    path = read_options.pop("path", None)
    resolved = chosen_values(learner, options)
    if not options.trains_epochs:
        del resolved["precision"]  # a repeated run does not choose one
    return SavedOptions(path, out, ReadOptions(**read_options), options, resolved)


def say_skipped(skipped: Mapping[str, str], say: Say) -> None:
    """Reports which images were skipped, and why."""
    for path, reason in skipped.items():
        say(f"skipped: {path}: {reason}")
