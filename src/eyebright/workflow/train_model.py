"""`train_model`: from labelled images to a model folder with its report; `eyebright train` calls it.

The functions are in the order of the steps: check, split, batches, train, evaluate, tune thresholds, save, report.
"""

import math
import os
import tempfile
import time
from collections.abc import Generator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import replace
from pathlib import Path

from eyebright._defaults import IMAGE_SIZE, IMAGE_SIZES
from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import ArtifactError, EyebrightError, ImageError, InputError, os_reason
from eyebright.inference.change_manifest import busy_text
from eyebright.io.atomic import exclusive_folder
from eyebright.learner.learner import Learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.models.architectures import architecture_name
from eyebright.models.weights import declared_licence
from eyebright.sources.source import Source
from eyebright.train.device import is_main_process
from eyebright.train.options import FitOptions
from eyebright.types import Say, Size
from eyebright.workflow.effect import statistics_note
from eyebright.workflow.fine_tuning import fit
from eyebright.workflow.fine_tuning_options import fine_tuning_of
from eyebright.workflow.finish import finish, say_skipped
from eyebright.workflow.foreign_files import check_no_foreign_files
from eyebright.workflow.loaders import (
    augmentation_message,
    flips_images,
    shows_whole_images,
    source_dataloaders,
)
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.prepare import prepare
from eyebright.workflow.start_from import load_parent, options_of_parent
from eyebright.workflow.time_budget import (
    TimeBudget,
    check_enough,
    has_fixed_size,
    largest_size,
    measured_estimate,
    resumed_options,
    used_options,
)

CHECKPOINT = "checkpoint.safetensors"


def train_model(
    source: Source,
    out: str | Path,
    *,
    options: TrainOptions | None = None,
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
        options: the training options; None for the defaults.
        resume: True to continue from the checkpoint in ``out``.
        started: the start of the time of ``options.minutes``, as ``time.time()``; None: now.
        say: called with each sentence about the data and the progress, for example ``print``.

    Raises:
        EyebrightError: the source, an image, an option or the folder cannot be used, or training failed.
    """
    started, out, options = time.time() if started is None else started, Path(out), options or TrainOptions()
    say = say if is_main_process() else _say_nothing
    with _model_folder(out):
        _check_no_checkpoint(out / CHECKPOINT, resume=resume)
        check_no_foreign_files(out)
        if resume and not options.trains_epochs:
            raise InputError("`epochs=0` writes no checkpoint, so there is nothing to resume: leave `resume` out")
        if resume and options.minutes is not None:
            options = resumed_options(options, out / CHECKPOINT)
        parent = None if options.start_from is None else load_parent(options.start_from, out)
        size_is_open = options.size is None and parent is None
        options = (options if parent is None else options_of_parent(options, parent)).with_defaults()
        prepared = prepare(source, options, say, parent)
        learner = make_learner(prepared.dls, options, say)
        budget = None if options.minutes is None else TimeBudget.after_start(options.minutes, started)
        if budget is not None:
            options = _fit_size(learner, prepared.source, options, budget, size_is_open=size_is_open, say=say)
        say(augmentation_message(learner.dls.target, options))
        with _said_if_it_fails(learner, say):
            out_of_fold = None if options.folds is None else learner.out_of_fold(options.folds, groups=prepared.groups)
            fine_tuned = fit(
                learner,
                options,
                budget=budget,
                groups=prepared.groups,
                checkpoint=out / CHECKPOINT,
                resume=resume,
                say=say,
            )
        used = used_options(options, fine_tuned)
        return finish(
            learner,
            prepared,
            out,
            options=used,
            checkpoint=out / CHECKPOINT,
            out_of_fold=out_of_fold,
            fine_tuned=fine_tuned,
            say=say,
        )


# ------------------------------------------------------------------ the steps of `train_model`


@contextmanager
def _model_folder(out: Path) -> Generator[None, None, None]:
    """Creates the folder, and deletes it again if the ``with`` block fails before anything is written to it.

    Raises:
        ArtifactError: the folder is not writable, or another process writes to it.
    """
    created = [folder for folder in (out, *out.parents) if not os.path.exists(folder)]  # noqa: PTH110
    try:
        _check_writable(out)
        with exclusive_folder(out) if is_main_process() else nullcontext(enter_result=True) as is_free:
            if not is_free:
                raise ArtifactError(f"{busy_text(out)}; wait until it ends, or give another folder")
            yield
    except BaseException:
        for folder in created:
            with suppress(OSError):  # it was not created, or contains a checkpoint
                folder.rmdir()
        raise


def _check_no_checkpoint(checkpoint: Path, *, resume: bool) -> None:
    """Raises `InputError` if a new training run would replace the checkpoint of an interrupted one."""
    if not resume and checkpoint.exists():
        raise InputError(
            f"'{checkpoint}' is from an interrupted training run, which `resume=True` continues; to start again, "
            f"delete it or give another folder"
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


def _fit_size(
    learner: Learner, source: Source, options: TrainOptions, budget: TimeBudget, *, size_is_open: bool, say: Say
) -> TrainOptions:
    """The options with the image size that the time allows; the learner gets images of this size.

    Raises:
        InputError: the time is too short for the frozen model.
    """
    device, estimate = learner.run.device, measured_estimate(learner)
    seconds, estimate = device.from_main((budget.left_for_training, estimate))  # the same for all processes
    size = round(math.sqrt(math.prod(Size.of(options.size or IMAGE_SIZE))))  # side of a square with as many pixels
    if size_is_open and not has_fixed_size(learner):
        size = largest_size(estimate, seconds) or min(IMAGE_SIZES)
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


def make_learner(dls: DataLoaders, options: TrainOptions, say: Say) -> Learner:
    """The learner that the options describe, with pretrained or given weights; nothing is trained yet."""
    licence = declared_licence(architecture_name(options.backbone)) or "not declared"
    say(f"licence of the published weights of {options.backbone}, as timm declares it: {licence}")
    learner = vision_learner(
        dls,
        options.backbone,
        metrics=dls.target.metrics(),
        train_bn=not options.keep_statistics,
        keep_statistics=options.keep_statistics,
        pretrained=options.start_from is None,
        ps=fine_tuning_of(options).dropout or 0.0,
        y_range=dls.target.y_range,
        precision=options.precision,
        seed=options.seed,
        options=FitOptions.of(options),
        progress=options.progress,
    )
    if options.start_from is not None:
        learner.start_from(options.start_from)
    _set_resume_conditions(learner, options)
    say(f"{options.backbone} with the weights from {learner.model.origin}")
    if note := statistics_note(options, learner.model.body):
        say(note)
    return learner


def _set_resume_conditions(learner: Learner, options: TrainOptions) -> None:
    """Sets the conditions for resuming a checkpoint: the same preprocessing, augmentation and precision."""
    target = learner.dls.target
    learner.run.resume_conditions |= {
        "whole": shows_whole_images(target, options),
        "flip": flips_images(target, options),
        "augment": options.augment,
        "precision": options.precision,
    }


@contextmanager
def _said_if_it_fails(learner: Learner, say: Say) -> Generator[None, None, None]:
    """Reports the skipped images if the ``with`` block fails: they may be the reason.

    Raises:
        InputError: an image cannot be read; the message states how to skip it.
    """
    try:
        yield
    except ImageError as error:
        raise InputError(f"{error}; `skip_bad=True` skips it and lists it") from None
    except EyebrightError:
        say_skipped(learner.dls.skipped, say)
        raise


def _say_nothing(_: str) -> None:
    """Ignores the sentence; for all processes except the main one."""
