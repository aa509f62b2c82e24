"""`train_model`: from labelled images to a model folder with its report; `eyebright train` calls it.

The functions are in the order of the steps: check, split, batches, train, evaluate, tune thresholds, save, report.
"""

import math
import os
import tempfile
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from eyebright._defaults import IMAGE_SIZE
from eyebright.check.duplicates import Duplicates
from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import ArtifactError, EyebrightError, ImageError, InputError, listing, os_reason
from eyebright.evaluation.decide import fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.image.cache import ImageCache
from eyebright.io.atomic import exclusive_folder
from eyebright.learner.fine_tuned import FineTuned
from eyebright.learner.learner import Learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.models.architectures import architecture_name
from eyebright.models.weights import declared_licence
from eyebright.report.data import ReportFacts
from eyebright.report.kinds import check_normalize_by, task_report
from eyebright.sources.categorical import Categorical, Codes
from eyebright.sources.headers import readable
from eyebright.sources.source import Source
from eyebright.sources.source_split import split_source
from eyebright.sources.split_proof import leaking_rows, prove_split
from eyebright.sources.together import joined
from eyebright.train.device import is_main_process
from eyebright.train.observers.history import write_history
from eyebright.train.options import TrainingOptions
from eyebright.types import Size
from eyebright.workflow.check import check_source
from eyebright.workflow.effect import check_effect, epochs_note, share_note, statistics_note
from eyebright.workflow.fine_tuning import Say, check_goal, fit
from eyebright.workflow.fine_tuning_options import fine_tuning_of
from eyebright.workflow.loaders import (
    augmentation_message,
    batch_size,
    flips_images,
    shows_whole_images,
    source_dataloaders,
)
from eyebright.workflow.option import options_to_json
from eyebright.workflow.options import Options, ReadOptions
from eyebright.workflow.report import HISTORY, make_report
from eyebright.workflow.saved_options import SavedOptions
from eyebright.workflow.time_budget import (
    SIZES,
    TimeBudget,
    check_enough,
    has_fixed_size,
    largest_size,
    measured_estimate,
    resumed_options,
    used_options,
)

CHECKPOINT = "checkpoint.safetensors"
_CAMERA = "camera"  # the column with maker and model, where EXIF data name several
_NOT_LEARNED = ("profile", "progress")  # options that do not change the model


def train_model(
    source: Source,
    out: str | Path,
    *,
    options: Options | None = None,
    resume: bool = False,
    started: float | None = None,
    say: Say = lambda _: None,
) -> Learner:
    """Trains a model, and writes it, its evaluation, report, history and options to ``out``; returns the learner.

    An older model in ``out`` is kept until the new one is complete. A checkpoint is written after every epoch; resumed
    from it, a training run ends with the same weights as one that was not interrupted.

    Args:
        source: the labelled images.
        out: the model folder; it is created if it does not exist.
        options: how the model is trained; None for the defaults.
        resume: True to continue from the checkpoint in ``out``.
        started: when the time of ``options.minutes`` began, as ``time.time()``; None: now.
        say: called with each sentence about the data and the progress, for example ``print``.

    Raises:
        EyebrightError: the source, an image, an option or the folder cannot be used, or training failed.
    """
    started, out, options = time.time() if started is None else started, Path(out), options or Options()
    say = say if is_main_process() else _say_nothing
    with _model_folder(out):
        _check_no_checkpoint(out / CHECKPOINT, resume=resume)
        if resume and not options.trains_epochs:
            raise InputError("`epochs=0` writes no checkpoint, so there is nothing to resume: leave `resume` out")
        if resume and options.minutes is not None:
            options = resumed_options(options, out / CHECKPOINT)
        size_is_open, options = options.size is None, options.with_defaults()
        source, dls, same, groups = _prepare(source, options, say)
        learner = _make_learner(dls, options, say)
        budget = None if options.minutes is None else TimeBudget.after_start(options.minutes, started)
        if budget is not None:
            options = _fit_size(learner, source, options, budget, size_is_open=size_is_open, say=say)
        say(augmentation_message(learner.dls.target, options))
        with _said_if_it_fails(learner, say):
            out_of_fold = None if options.folds is None else learner.out_of_fold(options.folds, groups=groups)
            fine_tuned = fit(
                learner,
                options,
                budget=budget,
                groups=groups,
                checkpoint=out / CHECKPOINT,
                resume=resume,
                say=say,
            )
        used = used_options(options, fine_tuned)
        return finish(
            learner, source, out, options=used, same=same, out_of_fold=out_of_fold, fine_tuned=fine_tuned, say=say
        )


def finish(
    learner: Learner,
    source: Source,
    out: Path,
    *,
    options: Options,
    same: Codes | None = None,
    out_of_fold: Evaluation | None = None,
    fine_tuned: FineTuned | None = None,
    say: Say,
) -> Learner:
    """The learner with tuned thresholds; its model, report and options are written, and its checkpoint is deleted."""
    evaluation = replace(learner.evaluate(), training=learner.dls.target.training_summary(learner.dls.train_ds.targets))
    evaluation = _decide(learner, evaluation, options, say)
    skipped = {**source.skipped, **learner.dls.skipped}

    def write() -> None:
        _saved_options(source, out, options, learner).save()
        write_history(learner.run.history, out / HISTORY)
        report = make_report(out)
        (out / CHECKPOINT).unlink(missing_ok=True)
        for sentence in (*report.notices, *(row.line for row in report.metric_rows)):
            say(sentence)

    # The model is written first: it is the largest, so if the disk is full the old report and history are kept too.
    leaking = {str(source[row].path) for row in leaking_rows(source, same=same)}
    facts = replace(
        _facts(learner, source, options, skipped, fine_tuned),
        proof=prove_split(source, same=same),
        leaking=[file for file, path in zip(evaluation.files, evaluation.paths, strict=True) if str(path) in leaking],
    )
    learner.save_model(out, evaluation=evaluation, out_of_fold=out_of_fold, report=facts.to_json())
    learner.run.device.on_main(write)
    if out_of_fold is not None:
        _say_out_of_fold(out_of_fold, evaluation, facts, options, say)
    _say_skipped(skipped, say)
    return learner


# ------------------------------------------------------------------ the steps of `train_model`


@contextmanager
def _model_folder(out: Path) -> Generator[None, None, None]:
    """Creates the folder, and deletes it again if the ``with`` block fails before anything is written to it.

    Raises:
        ArtifactError: the folder cannot be written to, or another training run writes to it.
    """
    created = [folder for folder in (out, *out.parents) if not os.path.exists(folder)]  # noqa: PTH110
    try:
        _check_writable(out)
        with exclusive_folder(out) if is_main_process() else nullcontext(enter_result=True) as is_free:
            if not is_free:
                raise ArtifactError(f"another training run writes to '{out}'; wait for its end, or give another folder")
            yield
    except BaseException:
        for folder in created:
            with suppress(OSError):  # it was not created, or contains a checkpoint
                folder.rmdir()
        raise


def _check_no_checkpoint(checkpoint: Path, *, resume: bool) -> None:
    """Raises `InputError` where a new training run would replace the checkpoint of an interrupted one."""
    if not resume and checkpoint.exists():
        raise InputError(
            f"'{checkpoint}' is from a training run that was interrupted, and `resume=True` continues it; to start "
            "again, delete it or give another folder"
        )


def _check_writable(out: Path) -> None:
    if os.path.isfile(out):  # noqa: PTH113 - Path.is_file raises for a name that is too long
        raise ArtifactError(f"cannot write to '{out}': it is a file; a model is a folder")
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise ArtifactError(f"cannot write to '{out}': {os_reason(error)}") from None


class _Prepared(NamedTuple):
    """What a model is trained on.

    Args:
        source: the labelled images with a split, without unreadable ones.
        dls: their data loaders.
        same: shape (n,), the same code for images that the split should keep together; None: not checked.
        groups: the group of each image, which folds do not divide; None without any.
    """

    source: Source
    dls: DataLoaders
    same: Codes | None
    groups: list[int] | None


def _prepare(source: Source, options: Options, say: Say) -> _Prepared:
    """The source, checked and split, and its data loaders."""
    for sentence in source.messages:
        say(sentence)
    n_printed = len(source.messages)
    check_effect(options, source.block())
    notes = [share_note(options, source), epochs_note(options)]
    source = readable(source, skip_bad=options.skip_bad)
    same = copies = None
    if options.check:
        source, duplicates = _checked(source, options)
        copies = duplicates.codes()
        # A random split does not keep large groups whole; what a given split divides is a leak, however large.
        same = copies if source.split is None else duplicates.codes(whole=True)
    source = split_source(source, options.valid_pct, seed=options.seed, same=same)
    dls = source_dataloaders(source, options, batch=batch_size(source, options))
    constant = dls.target.check_learnable(dls.train_ds.targets, dls.valid_ds.targets)
    check_goal(options, dls.target.metrics())
    check_normalize_by(dls.target, options.normalize_by)  # otherwise the report would fail after training
    for sentence in source.messages[n_printed:]:
        say(sentence)
    for note in filter(None, notes):
        say(note)
    if constant:
        say(f"the same in every training image, so that it cannot be learnt: {listing(constant)}")
    say(f"{len(dls.train_ds)} images for training, {len(dls.valid_ds)} for validation, {dls.bs} in a batch")
    return _Prepared(source, dls, same, _groups(source, copies))


def _checked(source: Source, options: Options) -> tuple[Source, Duplicates]:
    """(source, duplicates): the source with what was found as messages, and the images that are the same."""
    cache = None if options.cache == "memory" else ImageCache.from_option(options.cache)
    found = check_source(source, cache=cache, unnamed=False)
    assert found.facts is not None
    assert found.duplicates is not None
    source = _with_cameras(source, found.facts.cameras)
    skipped = ("unreadable", "missing_files") if options.skip_bad else ()  # they are listed as skipped
    return source.with_messages(*found.messages(without=skipped)), found.duplicates


def _with_cameras(source: Source, cameras: Categorical[str]) -> Source:
    """The source with a column of the cameras, for scores of each, if there are several."""
    if _CAMERA in source.columns or len({name for name in cameras.categories if name}) < 2:
        return source
    columns = pd.DataFrame(index=range(len(source))) if source.columns.empty else source.columns
    return replace(source, columns=columns.assign(**{_CAMERA: list(cameras)}))


def _groups(source: Source, copies: Codes | None) -> list[int] | None:
    """The group of each image: those of one group of the data, and copies, are together. None without any."""
    copies = None if copies is None or len(np.unique(copies)) == len(copies) else copies
    together = [codes for codes in (None if source.group is None else source.group.codes, copies) if codes is not None]
    return joined(together, len(source)).tolist() if together else None


def _fit_size(
    learner: Learner, source: Source, options: Options, budget: TimeBudget, *, size_is_open: bool, say: Say
) -> Options:
    """The options with the image size that the time allows; the learner gets the images in it.

    Raises:
        InputError: the time is too short for the frozen model.
    """
    device, estimate = learner.run.device, measured_estimate(learner)
    seconds, estimate = device.from_main((budget.left_for_training, estimate))  # so that all choose alike
    size = round(math.sqrt(math.prod(Size.of(options.size or IMAGE_SIZE))))  # of a square with as many pixels
    if size_is_open and not has_fixed_size(learner):
        size = largest_size(estimate, seconds) or min(SIZES)
        if size != IMAGE_SIZE:
            options = replace(options, size=size)
            learner.dls = source_dataloaders(source, options, batch=learner.dls.bs)
            _set_resume_conditions(learner, options)
    check_enough(estimate, size, seconds, budget)
    say(
        f"{seconds:.0f} s are left for training: images of {size} pixels; the frozen model takes about"
        f" {estimate.frozen(size):.0f} s with them, an epoch at most about {estimate.epoch(size):.0f} s"
    )
    return options


def _make_learner(dls: DataLoaders, options: Options, say: Say) -> Learner:
    licence = declared_licence(architecture_name(options.arch)) or "not declared"
    say(f"licence of the published weights of {options.arch}, as timm declares it: {licence}")
    learner = vision_learner(
        dls,
        options.arch,
        metrics=dls.target.metrics(),
        train_bn=not options.keep_statistics,
        keep_statistics=options.keep_statistics,
        ps=fine_tuning_of(options).dropout or 0.0,
        y_range=dls.target.y_range,
        precision=options.precision,
        seed=options.seed,
        options=TrainingOptions.of(options),
        progress=options.progress,
    )
    _set_resume_conditions(learner, options)
    say(f"{options.arch} with the weights from {learner.model.origin}")
    if note := statistics_note(options, learner.model.body):
        say(note)
    return learner


def _set_resume_conditions(learner: Learner, options: Options) -> None:
    """A checkpoint is only resumed with the same preprocessing, augmentation and precision."""
    target = learner.dls.target
    learner.run.resume_conditions |= {
        "whole": shows_whole_images(target, options),
        "flip": flips_images(target, options),
        "augment": options.augment,
        "precision": options.precision,
    }


@contextmanager
def _said_if_it_fails(learner: Learner, say: Say) -> Generator[None, None, None]:
    """Says which images were skipped where the ``with`` block fails: they may be the reason.

    Raises:
        InputError: an image cannot be read; the message says how to skip it.
    """
    try:
        yield
    except ImageError as error:
        raise InputError(f"{error}; `skip_bad=True` skips it and lists it") from None
    except EyebrightError:
        _say_skipped(learner.dls.skipped, say)
        raise


def _decide(learner: Learner, evaluation: Evaluation, options: Options, say: Say) -> Evaluation:
    """The evaluation with thresholds tuned on it; the learner gets them too."""
    if not learner.dls.target.has_thresholds:
        return evaluation
    learner.decision = fit_decision(evaluation, metric=options.threshold_metric)
    thresholds = learner.thresholds
    each = zip(learner.dls.vocab, thresholds.per_class(learner.dls.c).tolist(), strict=True)
    say(f"thresholds tuned for {thresholds.metric}: " + ", ".join(f"{name} {value:.2f}" for name, value in each))
    has = (evaluation.targets == 1).any(dim=0).tolist()
    if absent := [name for name, positive in zip(learner.dls.vocab, has, strict=True) if not positive]:
        say(
            f"labels that no validation image has: {listing(absent)}; they get the threshold for all "
            "labels, or 0.5 where that gives them to most images; macro F1 counts them as 0, mAP ignores them"
        )
    return evaluation.with_decision(learner.decision)


# ------------------------------------------------------------------ what is written and printed


def _say_out_of_fold(
    out_of_fold: Evaluation, evaluation: Evaluation, facts: ReportFacts, options: Options, say: Say
) -> None:
    """Says the most important score of the out-of-fold outputs."""
    scored = replace(out_of_fold, decision=evaluation.decision, training=evaluation.training)
    row = task_report(scored, facts).metric_rows()[0]
    say(f"out of fold, {len(out_of_fold)} images by {options.folds} heads on the pretrained backbone: {row.line}")


def _facts(
    learner: Learner, source: Source, options: Options, skipped: Mapping[str, str], fine_tuned: FineTuned | None
) -> ReportFacts:
    """The facts in the report beside the evaluation."""
    dls = learner.dls
    return ReportFacts(
        title=f"{options.arch} on {len(source)} images",
        messages=source.messages,
        split=[("training", str(len(dls.train_ds))), ("validation", str(len(dls.valid_ds)))],
        skipped=list(skipped.items()),
        settings=_settings(learner, options),
        normalize_by=options.normalize_by,
        fine_tuning="" if fine_tuned is None else str(fine_tuned),
        frozen_scores={} if fine_tuned is None else fine_tuned.frozen_scores,
    )


def _settings(learner: Learner, options: Options) -> list[tuple[str, str]]:
    """The options by name, with the values that were chosen automatically."""
    settings = {**options_to_json(options), **_resolved(learner, options), "cache": options.cache or "none"}
    return [(name, str(value)) for name, value in settings.items() if name not in _NOT_LEARNED]


def _saved_options(source: Source, out: Path, options: Options, learner: Learner) -> SavedOptions:
    """The content of ``options.json``; without a path and reading options if the source was not read from a file."""
    read_options = dict(source.read_options)
    path = read_options.pop("path", None)
    resolved = _resolved(learner, options)
    if not options.trains_epochs:
        del resolved["precision"]  # a repeated run does not choose one
    return SavedOptions(path, out, ReadOptions(**read_options), options, resolved)


def _resolved(learner: Learner, options: Options) -> dict[str, Any]:
    """The values that were used, by option, including those that were chosen automatically."""
    dls, device = learner.dls, learner.run.device
    settings = fine_tuning_of(options)._asdict() if options.trains_epochs else {}
    return {
        "bs": dls.bs,
        "device": str(device.torch_device),
        "precision": device.precision if options.trains_epochs else "float32",
        "workers": dls.train.workers,
        "weights": learner.model.origin,
        **{name: value for name, value in settings.items() if value is not None},
    }


def _say_nothing(_: str) -> None:
    """Ignores the sentence; for all processes but the main one."""


def _say_skipped(skipped: Mapping[str, str], say: Say) -> None:
    for path, reason in skipped.items():
        say(f"skipped: {path}: {reason}")
