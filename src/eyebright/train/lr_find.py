"""The learning-rate finder: trial steps with growing learning rates (Smith, 2017, arXiv:1506.01186, section 3.3).

At the end - after the last step, a diverging loss, an error or Ctrl-C - weights, buffers, gradients, training
mode, counters and generators are restored.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from eyebright import _html as html
from eyebright.errors import InputError, TrainingError, did_you_mean, listing
from eyebright.plot.curves import plot_lr_find
from eyebright.train.events import LRSearchStarted, Observer, StepDone
from eyebright.train.history import SmoothLoss
from eyebright.train.plan import Plan
from eyebright.train.run import PhaseSetup, Run
from eyebright.train.schedule import sched_exp
from eyebright.train.step import LossNotFiniteError, Step, step
from eyebright.train.trial import endless_batches, trial_run

if TYPE_CHECKING:
    import matplotlib.axes

_MIN_STEPS = 8
"""The first tenth and the last five steps do not count, and a suggestion needs three."""

_SLIDE_WIDTH = 15  # steps
_SLIDE_STEEPNESS = 0.005

MOMENTUM = 0.9
"""The momentum of the steps of the search, as in fastai."""

Curve = NDArray[np.float32]

SuggestFunction = Callable[[Sequence[float], Sequence[float], int], float]
"""A function from learning rates, losses and a number of steps to a learning rate: `valley` and the others here."""


@dataclass(frozen=True, repr=False)
class LRFind:
    """The losses at growing learning rates, and the learning rates that they suggest.

    Args:
        lrs: the learning rate of each step.
        losses: the smoothed loss of each step.
        valley: the learning rate in the middle of the longest decreasing subsequence of the losses.
        slide: the learning rate at which, seen from the end, the loss stops rising steeply.
        minimum: a tenth of the learning rate with the lowest loss.
        steep: the learning rate at which the loss falls fastest.
        warning: a sentence if the suggestions are unreliable; otherwise None.
        unpacked: the names of the suggestions that iteration yields, in this order.
    """

    lrs: list[float]
    losses: list[float]
    valley: float
    slide: float
    minimum: float
    steep: float
    warning: str | None = None
    unpacked: tuple[str, ...] = ("minimum", "steep")

    def __iter__(self) -> Iterator[float]:
        """The suggestions in ``unpacked``; by default two, as fastai unpacks them: ``lr_min, lr_steep = ...``."""
        return iter([self.suggestions[name] for name in self.unpacked])

    @property
    def suggestions(self) -> dict[str, float]:
        """The four suggested learning rates by name."""
        return {"valley": self.valley, "slide": self.slide, "minimum": self.minimum, "steep": self.steep}

    def plot(self, ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
        """Plot the losses over the learning rates, with the suggestions as points.

        Args:
            ax: axes to draw on; by default those of a new figure.

        Raises:
            MissingExtraError: Matplotlib is not installed.
        """
        ax = plot_lr_find(self.lrs, self.losses, self.suggestions, ax=ax)
        ax.set_title(self.warning or "", fontsize="medium")
        return ax

    def __repr__(self) -> str:
        rates = ", ".join(f"{name}={rate:.2g}" for name, rate in self.suggestions.items())
        return f"LRFind({rates}; {len(self.lrs)} steps)" + (f": {self.warning}" if self.warning else "")

    def _repr_html_(self) -> str:
        """The suggestions, and the loss at each of them."""
        rates = [
            (name, f"{rate:.2g}", f"{np.interp(np.log(rate), np.log(self.lrs), self.losses):.4f}")
            for name, rate in self.suggestions.items()
        ]
        table = html.table(("suggestion", "learning rate", "loss"), rates)
        return html.block("Learning rates", table, html.paragraph(self.warning) if self.warning else "")


def lr_find(
    run: Run,
    setup: PhaseSetup,
    *,
    start_lr: float = 1e-7,
    end_lr: float = 10.0,
    num_it: int = 100,
    stop_div: bool = True,
    plan: Plan | None = None,
    step: Step = step,
    observe: Observer = lambda event: None,
) -> LRFind:
    """The losses of training steps with exponentially increasing learning rates, and four suggestions.

    Args:
        run: the run; it is restored at the end.
        setup: the model that a step calls, and the training batches.
        start_lr: the first learning rate.
        end_lr: the learning rate that would follow the last step.
        num_it: number of steps, at least 8.
        stop_div: stop when the smoothed loss is four times its lowest value.
        plan: a plan whose weight decay and options (except ``accumulate`` and ``ema``) are used; its learning rates
            and epochs are not.
        step: the training step.
        observe: an observer; it gets `LRSearchStarted`, and `StepDone` after each step.

    Raises:
        InputError: not 0 < start_lr < end_lr, or fewer than 8 steps.
        TrainingError: the loss diverged too early for a suggestion, or there was no batch.
    """
    if not 0 < start_lr < end_lr:
        raise InputError(f"expected 0 < start_lr < end_lr, got start_lr={start_lr} and end_lr={end_lr}")
    if num_it < _MIN_STEPS:
        raise InputError(f"the learning-rate finder needs num_it of at least {_MIN_STEPS} steps, got {num_it}")
    lrs: list[float] = []
    losses: list[float] = []
    smooth = SmoothLoss()
    plan = plan or Plan(epochs=1, lr=(end_lr,) * len(run.param_groups))
    observe(LRSearchStarted(num_it))
    options = dataclasses.replace(plan.options, accumulate=1, ema=None)
    with trial_run(run, setup, dataclasses.replace(plan, options=options)) as trial:
        model = run.device.data_parallel(setup.model)
        for index, batch in zip(range(num_it), endless_batches(setup.batches, run.epoch), strict=False):
            lr = sched_exp(start_lr, end_lr, index / num_it)
            trial.current_optimizer.set([lr] * len(run.param_groups), MOMENTUM)
            try:
                with trial.device.fork_rng(run.seed, index):
                    loss = step(trial, model, batch).loss
            except LossNotFiniteError:
                break
            lrs.append(lr)
            losses.append(smooth.add(loss))
            observe(StepDone(index + 1, num_it, loss, (lr,) * len(run.param_groups)))
            if stop_div and losses[-1] > 4 * min(losses):
                break
    return suggest(lrs, losses, num_it)


def suggest(lrs: Sequence[float], losses: Sequence[float], num_it: int = 100) -> LRFind:
    """The four suggestions for a curve; as in fastai, its first tenth and its last five points are omitted.

    Args:
        lrs: learning rates, increasing.
        losses: the smoothed loss at each of them.
        num_it: the number of steps that were planned; the curve is shorter if the loss diverged.

    Raises:
        TrainingError: fewer than three points are left.
    """
    kept = slice(num_it // 10, -5)
    rates, values = lrs[kept], losses[kept]
    if len(rates) < 3:
        raise TrainingError(
            f"the loss diverged after {len(lrs)} of {num_it} steps, too early to suggest a learning rate;"
            " use a smaller start_lr, or check the targets"
        )
    fall = values[0] - min(values)
    flat = fall < 0.05 * abs(values[0])
    warning = f"the loss fell by only {fall:.2g}, so these learning rates are unreliable" if flat else None
    return LRFind(
        list(lrs),
        list(losses),
        valley=valley(rates, values),
        slide=slide(rates, values),
        minimum=minimum(rates, values),
        steep=steep(rates, values),
        warning=warning,
    )


def suggestion_names(functions: SuggestFunction | Sequence[SuggestFunction]) -> tuple[str, ...]:
    """The names of some of the four functions `valley`, `slide`, `minimum` and `steep`, in their order.

    Raises:
        InputError: another function.
    """
    given = [functions] if callable(functions) else functions
    other = [function for function in given if function not in _SUGGEST_FUNCTIONS.values()]
    if other:
        name = getattr(other[0], "__name__", repr(other[0]))
        known = listing(_SUGGEST_FUNCTIONS)
        raise InputError(f"unknown suggestion '{name}'.{did_you_mean(name, _SUGGEST_FUNCTIONS)} Known: {known}")
    return tuple(name for function in given for name, known in _SUGGEST_FUNCTIONS.items() if known is function)


def valley(lrs: Sequence[float], losses: Sequence[float], num_it: int = 100) -> float:
    """The learning rate in the middle of the longest decreasing subsequence of the losses (fastai's ``valley``).

    Args:
        lrs: learning rates, increasing.
        losses: the loss at each of them.
        num_it: without effect; the signature is fastai's.
    """
    values = _single(losses)
    lengths = [1] * len(values)
    start = longest = 0
    for i in range(1, len(values)):
        for j in range(i):
            if values[i] < values[j] and lengths[i] < lengths[j] + 1:
                lengths[i] = lengths[j] + 1
            if lengths[longest] < lengths[i]:
                longest, start = i, i - lengths[i]
    third = (longest - start) / 3
    return float(_single(lrs)[start + int(third) + int(third / 2)])


def slide(lrs: Sequence[float], losses: Sequence[float], num_it: int = 100) -> float:
    """The learning rate where the loss stops rising steeply (fastai's ``slide``); arguments as in `valley`.

    An interval of 15 steps moves from the end of the curve to the left, as long as the slopes at its two ends differ
    by more than 0.005.
    """
    rates, slopes = _single(lrs), np.gradient(_single(losses))
    right, left = -1, -1 - _SLIDE_WIDTH
    rate = rates[max(left, -len(rates))]
    while left >= -len(slopes) and abs(slopes[right] - slopes[left]) > _SLIDE_STEEPNESS:
        rate = rates[left]
        right, left = right - 1, left - 1
    return float(rate)


def minimum(lrs: Sequence[float], losses: Sequence[float], num_it: int = 100) -> float:
    """A tenth of the learning rate with the lowest loss; arguments as in `valley`."""
    return float(_single(lrs)[_single(losses).argmin()]) / 10


def steep(lrs: Sequence[float], losses: Sequence[float], num_it: int = 100) -> float:
    """The learning rate at the steepest fall of the loss over the logarithm of the learning rate, as in `valley`."""
    rates = _single(lrs)
    return float(rates[(np.diff(_single(losses)) / np.diff(np.log(rates))).argmin()])


_SUGGEST_FUNCTIONS: dict[str, SuggestFunction] = {
    "valley": valley,
    "slide": slide,
    "minimum": minimum,
    "steep": steep,
}


def _single(values: Sequence[float]) -> Curve:
    """The values in single precision, as in fastai: where the curve is flat, ties decide."""
    return np.asarray(values, dtype=np.float32)
