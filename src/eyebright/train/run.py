"""Everything that changes while a model is trained, in one place: what a checkpoint holds is what this holds."""

import contextlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from eyebright._system.timer import Timer
from eyebright.errors import TrainingError
from eyebright.train.device import Device
from eyebright.train.ema import AveragedWeights
from eyebright.train.optimizer import GroupedOptimizer
from eyebright.train.plan import Plan

Batch = tuple[Tensor, Tensor]
Batches = Callable[[int], Iterable[Batch]]
Scores = dict[str, float]
Validate = Callable[[], Scores]


@dataclass
class Window:
    """The batches whose gradients wait to become one update.

    Args:
        batches: how many wait.
        weight: how much their images count together.
        expected: the weight of a full window, if its batches all count as much as its first.
    """

    batches: int = 0
    weight: float = 0.0
    expected: float = 0.0


@dataclass
class Run:
    """One model in training.

    The first fields are given; those from ``plans`` on say where training stands. ``begin`` sets new plans, ``train``
    goes on from wherever the run stands, ``restore`` puts it where a checkpoint stood.

    Args:
        model: on its device.
        loss: of the model's output (float32) and the targets: the mean over the images.
        groups: all parameters in groups, body first, head last.
        device: where, and in which numbers.
        seed: all randomness of training comes from it and from counters.
        freeze: called with each plan when it begins or goes on: freezes what the plan says.
        set_training_mode: called at the start of each epoch: training mode, but for what is frozen.
        view: called when a plan begins or goes on: gives what a step calls in the place of the model, with the same
            parameters and less to compute.
        about: what must be the same when a checkpoint is resumed (architecture, vocabulary, data), as JSON.
        plans: what is to be done, one after another.
        phase: which of the plans is in work.
        done: epochs of that plan that are over.
        epoch: epochs that are over in all plans since the run was made; the next one's number for ``batches``.
        step: batches learnt from since the run was made.
        stopped: why training was stopped early.
        history: one row for each epoch: ``epoch`` (from 0, through all plans), ``train_loss``, what validation gave,
            ``seconds``.
        losses: of each batch.
        lrs: that each batch was learnt with, one for each group.
        optimizer: of the plan in work, or of the last one.
        average: of the weights, where the plan asks for one.
        timer: where the seconds of training went.
    """

    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    groups: Sequence[Sequence[nn.Parameter]]
    device: Device
    seed: int = 0
    freeze: Callable[[Plan], None] | None = None
    set_training_mode: Callable[[], None] | None = None
    view: Callable[[], nn.Module] | None = None
    about: dict[str, Any] = field(default_factory=dict)

    plans: tuple[Plan, ...] = ()
    phase: int = 0
    done: int = 0
    epoch: int = 0
    step: int = 0
    stopped: str | None = None
    history: list[Scores] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    lrs: list[tuple[float, ...]] = field(default_factory=list)
    optimizer: GroupedOptimizer | None = None
    average: AveragedWeights | None = None

    timer: Timer = field(default_factory=Timer, repr=False)
    under_way: bool = field(default=False, repr=False)
    window: Window = field(default_factory=Window, repr=False)
    learnt: list[tuple[float, float]] = field(default_factory=list, repr=False)
    weight: float | None = field(default=None, repr=False)  # of the batch in hand, where its step has said it
    started: float = field(default=0.0, repr=False)
    forward: nn.Module = field(init=False, repr=False)

    def begin(self, *plans: Plan) -> None:
        """Sets what is to be done, from the weights of now: a new optimizer, a new history; the counters go on."""
        if not plans:
            raise TrainingError("there is nothing to train: a run begins with at least one plan")
        self.plans, self.phase, self.done = plans, 0, 0
        self.history, self.losses, self.lrs = [], [], []
        self.stopped, self.under_way = None, False

    @property
    def plan(self) -> Plan:
        """The plan in work.

        Raises:
            TrainingError: there is none.
        """
        if self.finished:
            raise TrainingError("no plan is in work: call begin with one, then go through train")
        return self.plans[self.phase]

    @property
    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return self.phase == len(self.plans)

    def stop(self, reason: str) -> None:
        """Ends training after the step in hand; its epoch is validated and closed as usual."""
        self.stopped = reason

    def enter_phase(self) -> None:
        """Makes ready for the plan in work: freezes, and makes its optimizer unless a checkpoint brought one."""
        if self.freeze:
            self.freeze(self.plan)
        if not self.under_way:
            self.optimizer = GroupedOptimizer(
                self.groups, kind=self.plan.optimizer, weight_decay=self.plan.weight_decay
            )
            self.average = AveragedWeights(self.model, self.plan.ema) if self.plan.ema else None
            self.under_way = True
        self.forward = self.device.parallel(self.view() if self.view else self.model)

    def leave_phase(self) -> None:
        """Closes the plan in work: the averaged weights, where there are any, become the model's."""
        if self.average:
            self.average.take_over()
        self.phase = self.phase + 1 if self.stopped is None else len(self.plans)
        self.done, self.average, self.under_way = 0, None, False

    def start_epoch(self) -> None:
        """Puts the model in training mode and begins a new mean of the losses."""
        (self.set_training_mode or self.model.train)()
        self.learnt, self.weight, self.started = [], None, time.perf_counter()

    def set_rates(self, index: int, steps: int) -> tuple[float, ...]:
        """Sets the optimizer for batch ``index`` of this epoch's ``steps``; the learning rate of each group."""
        position = (self.done + min(index / steps, 1.0)) / self.plan.epochs
        factor = self.plan.schedule.factor(position)
        rates = tuple(peak * factor for peak in self.plan.lr)
        self.live_optimizer.set(rates, self.plan.schedule.momentum(position))
        return rates

    def record(self, loss: float, images: int, rates: tuple[float, ...]) -> None:
        """Notes a batch that has been learnt from."""
        self.step += 1
        self.losses.append(loss)
        self.lrs.append(rates)
        self.learnt.append((loss, images if self.weight is None else self.weight))
        self.weight = None

    def close_epoch(self, validate: Validate | None) -> Scores:
        """The epoch's scores; the run then stands at a boundary where it can be saved."""
        scores = {"train_loss": self._mean_loss()}
        if validate:
            with self.timer("validating"), self.average.in_the_model() if self.average else contextlib.nullcontext():
                scores |= validate()
        seconds = time.perf_counter() - self.started
        self.timer.add("epoch", seconds)
        self.history.append({"epoch": len(self.history), **scores, "seconds": seconds})
        self.done += 1
        self.epoch += 1
        return scores

    @property
    def live_optimizer(self) -> GroupedOptimizer:
        """The optimizer of the plan in work.

        Raises:
            TrainingError: no plan is in work.
        """
        if self.optimizer is None:
            raise TrainingError("no plan is in work: call begin with one, then go through train")
        return self.optimizer

    def drop_gradients(self) -> None:
        """Forgets gradients that have not become an update, so that no half-done step outlives an interrupt."""
        self.window = Window()
        if self.optimizer:
            self.optimizer.drop_gradients()

    def _mean_loss(self) -> float:
        if not self.learnt:
            raise TrainingError("no batch to learn from: are there fewer training images than the batch size?")
        total = math.fsum(loss * weight for loss, weight in self.learnt)
        sums = torch.tensor([[total, math.fsum(weight for _, weight in self.learnt)]], dtype=torch.float64)
        total, weight = self.device.gather(sums).sum(0).tolist()
        return total / weight if weight else math.nan
