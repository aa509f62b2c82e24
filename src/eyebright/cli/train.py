"""``eyebright train``: labelled images in, a model folder with its report out."""

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from eyebright.errors import InputError

if TYPE_CHECKING:
    from eyebright.cli.command import Given
    from eyebright.cli.worker import Training
    from eyebright.workflow.options import TrainCommand


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.options import Options, ReadOptions, TrainCommand

    return (ReadOptions, Options, TrainCommand)


def train(given: "Given") -> None:
    """Train a model, tune its thresholds, write its report and save it.

    \b
    Examples:
      eyebright train labels.csv --images photos/ --out model/    (any number of labels per image)
      eyebright train photos/ --out model/                        (one folder per class)
      eyebright train --options model/options.json --epochs 10 --out longer/
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.cli.worker import run_training
    from eyebright.workflow.options import TrainCommand

    command = given.options(TrainCommand)
    training = _training(given, command)
    if command.devices == 1:
        run_training(training)
    else:
        _train_together(training, command.devices)


def _training(given: "Given", command: "TrainCommand") -> "Training":
    """What is to be trained: of a file of options where one is given, with what else was given in its place."""
    from eyebright.cli.worker import Training
    from eyebright.workflow.options import Options, ReadOptions
    from eyebright.workflow.saved_options import SavedOptions

    saved = None if command.options is None else SavedOptions.load(command.options)
    source = command.source or (saved and saved.source)
    out = command.out or (saved and saved.out)
    if source is None or out is None:
        missing = "`source`, a table of labels or a folder," if source is None else "`out`, the model folder to write,"
        raise InputError(f"{missing} is missing; give it, or `options` with the options.json of a training")
    reading = given.options(ReadOptions, saved and saved.reading)
    options = given.options(Options, saved and saved.training)
    if command.quiet:
        options = replace(options, progress="quiet")
    return Training(source, out, reading, options, command.resume)


def _train_together(training: "Training", processes: int) -> None:
    """Trains in several processes; when one is gone, says what is left."""
    from eyebright._system.launch import ProcessEndedError, check_device_count, launch
    from eyebright.workflow.train_model import CHECKPOINT

    check_device_count(processes, training.options.device)
    checkpoint, started = training.out / CHECKPOINT, time.time()
    try:
        launch(processes, "eyebright.cli.worker", training.to_json())
    except ProcessEndedError as error:
        saved = checkpoint.exists() and (training.resume or checkpoint.stat().st_mtime >= started)
        kept = (
            f"'{checkpoint}' holds the last whole epoch: `resume=True` goes on from it"
            if saved
            else "no epoch was over"
        )
        raise ProcessEndedError(f"{error}; {kept}") from None
