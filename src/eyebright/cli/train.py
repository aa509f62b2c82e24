"""``eyebright train``: trains a model on labelled images and writes a model folder with a report."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from eyebright.errors import InputError, ProcessEndedError

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments
    from eyebright.cli.worker import TrainingJob
    from eyebright.workflow.command_options.training import TrainCommandOptions


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.training import TrainCommandOptions
    from eyebright.workflow.options import TrainOptions
    from eyebright.workflow.read_options import ReadOptions

    return (ReadOptions, TrainOptions, TrainCommandOptions)


def train(arguments: "CommandArguments") -> None:
    """Train a model, tune its thresholds, write its report and save it.

    \b
    Examples:
      eyebright train labels.csv --images photos/ --out model/    (any number of labels per image)
      eyebright train photos/ --out model/                        (one folder per class)
      eyebright train --options model/options.json --epochs 10 --out longer/
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.cli.worker import run_training
    from eyebright.workflow.command_options.training import TrainCommandOptions

    started = time.time()
    command = arguments.parse(TrainCommandOptions)
    job = _training_job(arguments, command, started)
    if command.devices == 1:
        run_training(job)
    else:
        _train_distributed(job, command.devices)


def _training_job(arguments: "CommandArguments", command: "TrainCommandOptions", started: float) -> "TrainingJob":
    """The training job: the options file if there is one, overridden by options on the command line.

    Raises:
        InputError: the options file or a value is invalid, or the source or the model folder is not given.
    """
    from eyebright.cli.worker import TrainingJob
    from eyebright.workflow.options import TrainOptions
    from eyebright.workflow.read_options import ReadOptions
    from eyebright.workflow.saved_options import SavedOptions

    saved = None if command.options is None else SavedOptions.load(command.options)
    source = command.source or (saved and saved.source)
    out = command.out or (saved and saved.out)
    if source is None or out is None:
        missing = "`source`, a table of labels or a folder," if source is None else "`out`, the model folder to write,"
        raise InputError(f"{missing} is missing; give it, or `options` with the options.json of a training run")
    reading = arguments.parse(ReadOptions, saved and saved.reading)
    options = saved.training.override(arguments.given(TrainOptions)) if saved else arguments.parse(TrainOptions)
    if command.quiet:
        options = replace(options, progress="quiet")
    return TrainingJob(source, out, reading, options, command.resume, started)


def _train_distributed(job: "TrainingJob", n_processes: int) -> None:
    """Trains with one process per device; if one dies, the error states whether a checkpoint can be resumed.

    Raises:
        EyebrightError: as in `eyebright.workflow.train_model.train_model`.
        InputError: there are fewer GPUs than processes.
        ProcessEndedError: a process was killed.
    """
    from eyebright._system.launch import check_device_count, launch
    from eyebright.workflow.train_model import CHECKPOINT

    check_device_count(n_processes, job.options.device)
    checkpoint, started = job.out / CHECKPOINT, time.time()
    try:
        launch(n_processes, "eyebright.cli.worker", job.to_json())
    except ProcessEndedError as error:
        # An older checkpoint is of another run, unless this one resumed it.
        can_resume = checkpoint.exists() and (job.resume or checkpoint.stat().st_mtime >= started)
        hint = (
            f"'{checkpoint}' is from the last completed epoch; continue from it with `resume=True`"
            if can_resume
            else "no epoch was completed"
        )
        raise ProcessEndedError(f"{error}; {hint}") from None
