"""The state of a training run: everything that a checkpoint contains, and its changes in each stage of training.

Nothing here computes a step or loads batches; `eyebright.train.loop` gets both (`PhaseSetup`).
"""

import math
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor, nn

from eyebright._system.timer import Timer
from eyebright.errors import TrainingError, not_copied
from eyebright.train.device import Device
from eyebright.train.ema import AveragedWeights
from eyebright.train.optimizer import GroupedOptimizer
from eyebright.train.plan import Plan

TrainBatch = tuple[Tensor, Tensor]
"""Inputs (images, or features of a frozen backbone) and encoded targets, both on the device."""

Batches = Callable[[int], Iterable[TrainBatch]]
"""The training batches of an epoch, by the epoch's number."""

Scores = dict[str, float]

WAITING, FORWARD, BACKWARD, OPTIMIZER, VALIDATING = (
    "waiting for images",
    "forward",
    "backward",
    "optimizer",
    "validating",
)
"""The parts of an epoch, as ``Run.timer`` names them."""


@dataclass(frozen=True)
class PhaseSetup:
    """The inputs of one phase of training: the loop uses these and changes only the run.

    Args:
        model: the model that a step calls: the run's model, or a faster form of it with the same parameters.
        batches: inputs and targets on the device.
        steps: the number of batches in an epoch, for the schedules.
        validate: a function that returns the scores of the run's current model; it may change its mode. None: no
            validation.
        eval_modules: modules of ``model`` that stay in evaluation mode, such as those of a frozen backbone.
    """

    model: nn.Module
    batches: Batches
    steps: int
    validate: Callable[[], Scores] | None = None
    eval_modules: Sequence[nn.Module] = ()

    def set_training_mode(self) -> None:
        """Puts the model in training mode, except for ``eval_modules``."""
        self.model.train()
        for module in self.eval_modules:
            module.training = False


class StepResult(NamedTuple):
    """The result of a step.

    Args:
        loss: the mean loss over the batch, of all processes.
        weight: its weight in the mean over the epoch: the number of images, or the sum of their weights.
    """

    loss: float
    weight: float


@dataclass
class Accumulation:
    """The batches whose gradients are being accumulated for one update.

    Args:
        batches: the number of accumulated batches.
        weight: the total weight of their images.
        expected_weight: the expected weight of a full update, if all its batches have the weight of the first.
    """

    batches: int = 0
    weight: float = 0.0
    expected_weight: float = 0.0


@dataclass
class Run:
    """One model in training.

    ``begin`` sets new plans, ``train`` continues from the current epoch, and ``load_checkpoint`` restores the state of
    an earlier run. The last two fields belong to the epoch in progress, which a checkpoint does not contain:
    checkpoints are taken between epochs, and an epoch that is interrupted starts again.

    Args:
        model: the model, on its device.
        loss: the loss function of the model's output (float32) and the targets: the mean over the images.
        param_groups: all parameters in groups, backbone first, head last.
        device: the device, its precision, and the other processes.
        seed: the seed of all randomness of training, together with counters.
        resume_conditions: values that must be equal when a checkpoint is resumed (architecture, vocabulary, data), as
            JSON.
        plans: the settings of each phase of training, in order.
        phase: the index of the current phase.
        phase_epoch: finished epochs of that phase.
        epoch: finished epochs in all phases since the run was created; the next epoch's number for ``batches``.
        step: steps since the run was created.
        stopped: the reason why training was stopped early.
        history: one row for each epoch: ``epoch`` (from 0, through all phases), ``train_loss``, the validation scores,
            ``seconds``.
        losses: the losses of each batch.
        lrs: for each batch the learning rate of each parameter group.
        optimizer: the optimizer of the current phase, or of the last one.
        ema: the moving average of the weights, if the plan has one.
        phase_started: whether the current phase has its optimizer.
        timer: the seconds of training, by part (`WAITING` and the others).
        accumulation: the gradients that are not yet applied.
        epoch_results: the results of the steps of the epoch in progress.
    """

    model: nn.Module
    loss: Callable[[Tensor, Tensor], Tensor]
    param_groups: Sequence[Sequence[nn.Parameter]]
    device: Device
    seed: int = 0
    resume_conditions: dict[str, Any] = field(default_factory=dict)

    plans: tuple[Plan, ...] = ()
    phase: int = 0
    phase_epoch: int = 0
    epoch: int = 0
    step: int = 0
    stopped: str | None = None
    history: list[Scores] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    lrs: list[tuple[float, ...]] = field(default_factory=list)
    optimizer: GroupedOptimizer | None = None
    ema: AveragedWeights | None = None
    phase_started: bool = field(default=False, repr=False)

    timer: Timer = field(default_factory=Timer, repr=False)
    accumulation: Accumulation = field(default_factory=Accumulation, repr=False)
    epoch_results: list[StepResult] = field(default_factory=list, repr=False)

    def __reduce__(self) -> NoReturn:
        raise not_copied(
            self, "`save_checkpoint` writes its state to a file, and `load_checkpoint` reads it into a new run"
        )

    def version_of(self, module: nn.Module) -> tuple[int, tuple[tuple[int, int], ...]]:
        """A value that changes with every weight and buffer of a module of the model.

        The steps of training are counted because fused optimizers change weights without changing their versions.
        """
        return self.step, tuple((tensor.data_ptr(), tensor._version) for tensor in module.state_dict().values())

    def begin(self, *plans: Plan) -> None:
        """Sets new plans, from the current weights: a new optimizer and history; the counters continue."""
        if not plans:
            raise TrainingError("a run needs at least one plan, got none")
        self.plans, self.phase, self.phase_epoch = plans, 0, 0
        self.history, self.losses, self.lrs = [], [], []
        self.stopped, self.phase_started = None, False

    def use_groups(self, groups: Sequence[Sequence[nn.Parameter]]) -> None:
        """Sets other parameters, such as those of a new head, and clears the history of the former ones."""
        self.param_groups = groups
        self.plans, self.phase, self.phase_epoch = (), 0, 0
        self.history, self.losses, self.lrs = [], [], []
        self.optimizer, self.ema, self.stopped, self.phase_started = None, None, None, False

    @property
    def plan(self) -> Plan:
        """The current plan.

        Raises:
            TrainingError: the run has no plan.
        """
        if self.finished:
            raise TrainingError("the run has no plan to train: give it one with begin, then go through train")
        return self.plans[self.phase]

    @property
    def finished(self) -> bool:
        """Whether all phases are done."""
        return self.phase == len(self.plans)

    def stop(self, reason: str) -> None:
        """Ends training after the current step; its epoch is validated and closed as usual."""
        self.stopped = reason

    def start_phase(self) -> None:
        """Creates the optimizer of the current phase, unless it has one from a checkpoint."""
        plan = self.plan
        if not self.phase_started:
            kind, ema = plan.options.optimizer, plan.options.ema
            self.optimizer = GroupedOptimizer(self.param_groups, kind=kind, weight_decay=plan.weight_decay)
            self.ema = AveragedWeights(self.model, ema) if ema else None
            self.phase_started = True

    def end_phase(self) -> None:
        """Closes the current phase: the averaged weights, if any, become the model's."""
        if self.ema:
            self.ema.copy_to_model()
        self.phase = self.phase + 1 if self.stopped is None else len(self.plans)
        self.phase_epoch, self.ema, self.phase_started = 0, None, False

    def evaluation_weights(self) -> AbstractContextManager[None]:
        """Context in which the model has the weights to evaluate: the averaged ones, if any.

        In the last epoch of a phase the model keeps them.
        """
        if self.ema is None:
            return nullcontext()
        is_last = self.phase_epoch + 1 == self.plan.epochs or self.stopped is not None
        return self.ema.in_model(keep=is_last)

    def set_rates(self, index: int, steps: int) -> tuple[float, ...]:
        """Sets the optimizer for batch ``index`` of this epoch's ``steps``; returns the learning rate of each group."""
        position = (self.phase_epoch + min(index / steps, 1.0)) / self.plan.epochs
        factor = self.plan.schedule.factor(position)
        rates = tuple(peak * factor for peak in self.plan.lr)
        self.current_optimizer.set(rates, self.plan.schedule.momentum(position))
        return rates

    def record(self, result: StepResult, rates: tuple[float, ...]) -> None:
        """Records the result of a step and its learning rates."""
        self.step += 1
        self.losses.append(result.loss)
        self.lrs.append(rates)
        self.epoch_results.append(result)

    def end_epoch(self, scores: Scores, seconds: float) -> None:
        """Adds a row to the history; between two epochs the run can be saved."""
        self.timer.add("epoch", seconds)
        self.history.append({"epoch": len(self.history), **scores, "seconds": seconds})
        self.phase_epoch += 1
        self.epoch += 1
        self.epoch_results = []

    @property
    def train_loss(self) -> float:
        """The exact mean loss over the images of the epoch in progress, of all processes; NaN if no target is known.

        Raises:
            TrainingError: there was no batch.
        """
        if not self.epoch_results:
            raise TrainingError("no batch to learn from: are there fewer training images than the batch size?")
        total = math.fsum(loss * weight for loss, weight in self.epoch_results)
        sums = torch.tensor([[total, math.fsum(weight for _, weight in self.epoch_results)]], dtype=torch.float64)
        total, weight = self.device.gather(sums).sum(0).tolist()
        return total / weight if weight else math.nan

    @property
    def current_optimizer(self) -> GroupedOptimizer:
        """The optimizer of the current phase.

        Raises:
            TrainingError: no phase has been started.
        """
        if self.optimizer is None:
            raise TrainingError("the run has no plan to train: give it one with begin, then go through train")
        return self.optimizer

    def discard_epoch(self) -> None:
        """Discards gradients and results of an interrupted epoch: no partial step is left."""
        self.epoch_results = []
        self.discard_gradients()

    def discard_gradients(self) -> None:
        """Discards the gradients that are not yet applied."""
        self.accumulation = Accumulation()
        if self.optimizer:
            self.optimizer.zero_grad()
