"""The fastai book's callbacks, as values that represent an observer or an option of training.

`Learner` and its fits take them in ``cbs``, in addition to observers, which are plain functions of an event.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple, cast

from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import InputError, check_choice, checked_keywords
from eyebright.metrics.meter import Metric
from eyebright.train.events import EpochDone, Event, Finished, Observer
from eyebright.train.observers.early_stop import best_epoch, early_stop
from eyebright.train.observers.history import history_csv
from eyebright.train.run import Run


class Fit(NamedTuple):
    """The parts of a learner that a callback can use in a fit.

    Args:
        run: the state of training.
        dls: the data.
        metrics: the metrics of validation.
        save: the function that saves the weights under a name.
        load: the function that loads them.
    """

    run: Run
    dls: DataLoaders
    metrics: Sequence[Metric]
    save: Callable[[str], Any]
    load: Callable[[str], Any]


@dataclass(frozen=True)
class BookCallback:
    """A callback of fastai.

    Args:
        name: its name in fastai.
        options: a function from the data to options of `FitOptions` for the fit, or None.
        observer: a function from the fit to an observer, or None.
    """

    name: str
    options: Callable[[DataLoaders], dict[str, Any]] | None = None
    observer: Callable[[Fit], Observer] | None = None


AnyCallback = Observer | BookCallback
"""An observer, or a callback of fastai."""

Callbacks = AnyCallback | Iterable[AnyCallback]
"""One callback or several."""


@checked_keywords
def MixUp(alpha: float = 0.4) -> BookCallback:  # noqa: N802 - fastai's name
    """Mixup in this fit: ``FitOptions(mixup=alpha)``."""
    return BookCallback("MixUp", options=lambda dls: {"mixup": alpha})


@checked_keywords
def CutMix(alpha: float = 1.0) -> BookCallback:  # noqa: N802
    """CutMix in this fit: ``FitOptions(cutmix=alpha)``."""
    return BookCallback("CutMix", options=lambda dls: {"cutmix": alpha})


@checked_keywords
def GradientClip(max_norm: float = 1.0) -> BookCallback:  # noqa: N802
    """Gradient clipping in this fit: ``FitOptions(clip=max_norm)``."""
    return BookCallback("GradientClip", options=lambda dls: {"clip": max_norm})


@checked_keywords
def GradientAccumulation(n_acc: int = 32) -> BookCallback:  # noqa: N802
    """One update of the weights for at least ``n_acc`` images: ``FitOptions(accumulate=...)``, in batches."""
    return BookCallback("GradientAccumulation", options=lambda dls: {"accumulate": math.ceil(n_acc / dls.bs)})


@checked_keywords
def CSVLogger(fname: str = "history.csv") -> BookCallback:  # noqa: N802
    """Writes the scores of each epoch to a CSV file in ``dls.path``, which is replaced."""
    return BookCallback("CSVLogger", observer=lambda fit: history_csv(fit.run, fit.dls.path / fname))


@checked_keywords
def EarlyStoppingCallback(  # noqa: N802
    monitor: str = "valid_loss",
    comp: Callable[[Any, Any], Any] | None = None,
    min_delta: float = 0.0,
    patience: int = 1,
) -> BookCallback:
    """Ends the fit when a score has not improved for some epochs, see `early_stop`.

    Args:
        monitor: the name of the score, as in the table of epochs.
        comp: ``np.less`` or ``np.greater``; None: less is better for losses, errors, and metrics that declare it.
        min_delta: smaller improvements are ignored.
        patience: number of epochs without an improvement.

    Raises (when the fit begins):
        InputError: the score is unknown in the fit, or an argument is negative.
    """

    def observer(fit: Fit) -> Observer:
        higher = _higher_is_better(fit, monitor, comp, min_delta)
        return early_stop(fit.run, monitor, patience=patience, higher_is_better=higher, min_delta=min_delta)

    return BookCallback("EarlyStoppingCallback", observer=observer)


@checked_keywords
def SaveModelCallback(  # noqa: N802
    monitor: str = "valid_loss",
    comp: Callable[[Any, Any], Any] | None = None,
    min_delta: float = 0.0,
    fname: str = "model",
    every_epoch: bool = False,  # noqa: FBT001 - fastai's signature
    at_end: bool = False,  # noqa: FBT001
) -> BookCallback:
    """Saves the weights of the best epoch of the whole fit (`Learner.save`), and loads them at its end.

    Args:
        monitor: as in `EarlyStoppingCallback`.
        comp: as in `EarlyStoppingCallback`.
        min_delta: as in `EarlyStoppingCallback`.
        fname: the name of the file.
        every_epoch: save each epoch as ``fname_EPOCH`` instead, and load nothing.
        at_end: save the weights of the last epoch, and load nothing.

    Raises (when the fit begins):
        InputError: as in `EarlyStoppingCallback`.
    """

    def observer(fit: Fit) -> Observer:
        higher = _higher_is_better(fit, monitor, comp, min_delta)

        def observe(event: Event) -> None:
            if isinstance(event, EpochDone) and not at_end:
                last = len(fit.run.history) - 1
                values = [row[monitor] if higher else -row[monitor] for row in fit.run.history]
                if every_epoch:
                    _save_averaged(fit, f"{fname}_{last}")
                elif best_epoch(values, min_delta) == last:
                    _save_averaged(fit, fname)
            elif isinstance(event, Finished) and at_end:
                fit.save(fname)
            elif isinstance(event, Finished) and not every_epoch:
                fit.load(fname)

        return observe

    return BookCallback("SaveModelCallback", observer=observer)


def as_callbacks(given: Callbacks) -> list[AnyCallback]:
    """One callback or several as a list; a callback of fastai may be given without parentheses, as ``cbs=MixUp``.

    Raises:
        InputError: an item is neither an observer nor a callback.
    """
    several: list[Any] = list(given) if isinstance(given, Iterable) else [given]
    made: list[AnyCallback] = []
    for callback in several:
        if any(callback is known for known in _WITHOUT_ARGUMENTS):
            made.append(callback())
        elif isinstance(callback, type) or not (callable(callback) or isinstance(callback, BookCallback)):
            raise InputError(f"`cbs` takes functions of an event, and callbacks such as MixUp(), got {callback!r}")
        else:
            made.append(cast("AnyCallback", callback))
    return made


def observers_of(callbacks: Iterable[AnyCallback], fit: Fit) -> list[Observer]:
    """The observers of a fit."""
    made = [
        callback.observer and callback.observer(fit) if isinstance(callback, BookCallback) else callback
        for callback in callbacks
    ]
    return [observer for observer in made if observer is not None]


def options_of(callbacks: Iterable[AnyCallback], dls: DataLoaders) -> dict[str, Any]:
    """The options of `FitOptions` that the callbacks represent."""
    chosen: dict[str, Any] = {}
    for callback in callbacks:
        if isinstance(callback, BookCallback) and callback.options is not None:
            chosen |= callback.options(dls)
    return chosen


_WITHOUT_ARGUMENTS = (
    MixUp,
    CutMix,
    GradientClip,
    GradientAccumulation,
    CSVLogger,
    EarlyStoppingCallback,
    SaveModelCallback,
)


def _higher_is_better(fit: Fit, monitor: str, comp: Callable[[Any, Any], Any] | None, min_delta: float) -> bool:
    """Whether a higher score is better; fastai decides by the name only, which is wrong for a mean absolute error."""
    if min_delta < 0:
        raise InputError(f"`min_delta` must be 0 or more, got {min_delta}")
    metrics = {metric.name: metric for metric in fit.metrics}
    check_choice("score to monitor", monitor, ["train_loss", "valid_loss", *metrics])
    if comp is not None:
        return bool(comp(2, 1))
    declared = metrics[monitor].higher_is_better if monitor in metrics else False
    return declared and "loss" not in monitor and "error" not in monitor


def _save_averaged(fit: Fit, name: str) -> None:
    """Saves the weights that the epoch was validated with: the averaged ones, if any."""
    average = fit.run.ema
    with nullcontext() if average is None else average.in_model(keep=False):
        fit.save(name)
