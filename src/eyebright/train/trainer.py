"""Trains a model on its data: freezes, chooses the precision, caches features, and sets up the loop.

The loop is independent of datasets, and `eyebright.learner` has the names of fastai; the trainer connects the two.
"""

import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from eyebright._system.malloc import retain_freed_memory
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.inference.out_of_distribution import OutOfDistribution
from eyebright.metrics.meter import Metric
from eyebright.models.build import ImageModel
from eyebright.models.groups import freeze_to, modes_restored, parameter_groups
from eyebright.models.summary import summarize
from eyebright.models.warm_start import warm_start
from eyebright.tasks.decision import Decision
from eyebright.train.checks import check_batch_size, check_normalization, check_options, description_for_data
from eyebright.train.device import Device
from eyebright.train.evaluate import (
    Outputs,
    score,
    targets_in_user_units,
)
from eyebright.train.events import Observer
from eyebright.train.feature_cache import FeatureCache
from eyebright.train.frozen import Features, FrozenModel
from eyebright.train.fused_models import FusedModels
from eyebright.train.linear_head.fit import LinearHead
from eyebright.train.linear_head.input_checks import checked_c
from eyebright.train.loop import Events, train, watch
from eyebright.train.lr_find import LRFind, lr_find
from eyebright.train.mix import mixing_step
from eyebright.train.model_outputs import ModelOutputs
from eyebright.train.observers.checkpoint import checkpoint as save_after_epochs
from eyebright.train.observers.progress import show_progress
from eyebright.train.optimizer import GroupedOptimizer
from eyebright.train.options import FitOptions
from eyebright.train.out_of_distribution import fit_to_data
from eyebright.train.phase_setups import PhaseSetups, Validate, loader_batches
from eyebright.train.plan import Plan
from eyebright.train.precision import Loss, choose_precision
from eyebright.train.resume_conditions import hash_of_groups, resume_conditions
from eyebright.train.run import PhaseSetup, Run, Scores
from eyebright.train.state import check_checkpoint, load_checkpoint
from eyebright.train.step import Step, step
from eyebright.train.summary import TrainingSummary, training_facts
from eyebright.train.time_plan import Speed, step_seconds


class Trainer:
    """A model, its data, and the run that trains it.

    Args:
        dls: the training and the validation loader.
        model: the model; it is moved to the device of the data.
        loss: a function of raw outputs and targets; None: the loss of the target block.
        precision: the precision of training; ``"auto"`` measures before the first fit which one is faster.
        seed: seed of dropout and of mixing.
        train_bn: whether norm layers of a frozen backbone are trained.
        keep_statistics: batch norms of the backbone keep their pretrained running statistics.
    """

    def __init__(
        self,
        dls: DataLoaders,
        model: ImageModel,
        *,
        loss: Loss | None,
        precision: str,
        seed: int,
        train_bn: bool,
        keep_statistics: bool,
    ) -> None:
        self.model = model
        self.train_bn = train_bn
        self.keep_statistics = keep_statistics
        self.frozen_to = 0
        self._loss: Loss = loss or dls.loss_func
        self._custom_loss = loss is not None
        device = Device(dls.device, precision)
        device.to_device(model)
        self.run = Run(
            model,
            self._loss,
            parameter_groups(model),
            device,
            seed=seed,
            resume_conditions={
                **resume_conditions(model, dls, keep_statistics=keep_statistics),
                "start_from": None,
            },
        )
        fused = FusedModels(model)
        self.frozen = FrozenModel(model, self.run, fused)
        self.outputs = ModelOutputs(model, self.run, fused)
        self._setups = PhaseSetups(self.run, dls, fused, train_bn, keep_statistics)
        self.fitted_head: LinearHead | None = None  # the last one; training may have changed it since
        self.parent: Mapping[str, Any] | None = None  # the saved model that this one started from, as JSON

    @property
    def dls(self) -> DataLoaders:
        """The training and the validation loader; `use_data` sets others."""
        return self._setups.dls

    @property
    def loss(self) -> Loss:
        """The loss, a function of raw outputs and targets; setting it changes training and validation."""
        return self._loss

    @loss.setter
    def loss(self, loss: Loss) -> None:
        self._loss = self.run.loss = loss
        self._custom_loss = True

    def use_data(self, dls: DataLoaders) -> None:
        """Train on other data from now on, for example on larger images.

        Raises:
            InputError: the target, the normalisation, the size or the device does not fit the model.
        """
        self.model.description = description_for_data(self.model, self.dls.target, dls, self.run.device.torch_device)
        self._setups.dls = dls
        self.outputs.forget()
        self.frozen.forget_features()
        self.run.resume_conditions = self._conditions()

    def start_from(self, saved: ImageModel, rows: Sequence[int | None], parent: Mapping[str, Any]) -> None:
        """Gives the model the weights of a saved one; the backbone is frozen.

        Args:
            saved: a saved model of the same architecture.
            rows: for each output, the index of the saved output whose weights it takes; None: new.
            parent: the facts of the saved model, as JSON, with the hash of its ``weights``.

        Raises:
            InputError: the backbones differ, or the data declare another normalisation.
        """
        check_normalization(saved, self.dls)
        init = None if self.dls.target.zero_last_layer else nn.init.kaiming_normal_
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(self.run.seed)
            warm_start(self.model, saved, rows, init=init)
        self.model.origin, self.parent = saved.origin, parent
        self.fitted_head = None
        self.outputs.forget()
        self.frozen.forget_features()
        self.run.use_groups(parameter_groups(self.model))
        self.run.resume_conditions |= self._conditions()
        self.freeze_to(-1)

    def freeze_to(self, n: int) -> None:
        """Freeze the parameter groups before group ``n``; -1 freezes all but the head."""
        freeze_to(self.model, n, train_bn=self.train_bn)
        self.frozen_to = n % len(self.run.param_groups)

    def use_precision(self, precision: str) -> None:
        """Train in this precision from now on; weights stay float32."""
        self.run.device = Device(self.run.device.torch_device, precision)

    def optimizer(self, weight_decay: float) -> GroupedOptimizer:
        """The optimizer of the last fit; before the first fit, a new one with the same settings."""
        return self.run.optimizer or GroupedOptimizer(self.run.param_groups, weight_decay=weight_decay)

    def fit(
        self,
        plans: Sequence[Plan],
        observers: Sequence[Observer],
        validate: Validate,
        *,
        checkpoint: str | Path | None,
        resume: bool,
        progress: str,
    ) -> None:
        """Train one phase after another, each with its plan.

        Args:
            plans: the plans, in order.
            observers: functions that are called with each event.
            validate: a function that returns the scores after each epoch.
            checkpoint: a file to which the state is written after each epoch.
            resume: continue from that file.
            progress: the progress display, see `show_progress`.

        Raises:
            InputError: the options, the batch size or the data are invalid for the model or its target; or ``resume``
                without a checkpoint.
            TrainingError: a loss is not finite, there is no batch, or the checkpoint cannot be written or does not
                match.
        """
        self._check(plans, self.model.head)
        watching = list(observers)
        if checkpoint is not None:
            watching.append(save_after_epochs(self.run, checkpoint))
        if resume:
            load_checkpoint(self.run, _given(checkpoint), plans=plans)
        else:
            self._choose_precision(plans[-1].frozen_to)
            self.run.begin(*plans)

        with retain_freed_memory(self.run.device.torch_device), self._show_progress(progress) as shown:
            watch(self._events(validate), [shown, *watching])

    def check_fit_from_linear_head(
        self,
        plan: Plan,
        *,
        C: float | Sequence[float] | None,
        groups: Sequence[Any] | None,
        checkpoint: str | Path | None,
        resume: bool,
    ) -> None:
        """Raises the errors that `fit` would raise after a linear head was fitted, before the head is replaced.

        A checkpoint is resumed only with the same head, so ``C`` and ``groups`` become its conditions.

        Args:
            plan: the plan of the fit.
            C: as in `fit_head`.
            groups: as in `fit_head`.
            checkpoint: as in `fit`.
            resume: as in `fit`.

        Raises:
            InputError: as in `fit`, or ``C`` is not positive.
            TrainingError: the checkpoint does not match.
        """
        self._check([plan], nn.Identity())  # a linear head has no batch norms either
        self.run.resume_conditions |= {"C": checked_c(C), "groups": hash_of_groups(groups)}
        if resume:
            check_checkpoint(self.run, _given(checkpoint), plans=[plan], ignored_condition="model")

    def fit_head(
        self,
        *,
        C: float | Sequence[float] | None,
        groups: Sequence[Any] | None,
        progress: str,
        metrics: Sequence[Metric],
        decision: Decision,
    ) -> tuple[LinearHead, Scores]:
        """Fits a linear head to the features of the training images and replaces the model's head; returns its scores.

        The validation images are also read here, so that a following evaluation does not read them again.

        Args:
            C: the inverse strength of the penalty, see `fit_linear_head`.
            groups: the group of each item of the data; groups are not divided by inner folds.
            progress: the progress display, see `show_progress`.
            metrics: the metrics of validation.
            decision: converts outputs to predictions.
        """
        fitted, evaluated = self.frozen.fit_head(self.dls, self._features(progress), C=C, groups=groups)
        self.fitted_head = fitted
        self.run.use_groups(parameter_groups(self.model))
        self.run.resume_conditions |= self._conditions()
        self.freeze_to(self.frozen_to)
        self.outputs.keep(self.dls.valid, evaluated)
        return fitted, self.validate(self.dls.valid, metrics, decision, exact=True)

    def out_of_fold(
        self, n_folds: int, *, C: float | Sequence[float] | None, groups: Sequence[Any] | None, progress: str
    ) -> Outputs:
        """Outputs for all images of both sets, in the order of the items, by linear heads that were not fitted to them.

        Args:
            n_folds: the number of folds, each with its own head.
            C: as in `fit_head`, chosen separately for each fold.
            groups: as in `fit_head`; no group is in two folds.
            progress: the progress display, see `show_progress`.
        """
        self.frozen.check_not_trained()
        return self.frozen.out_of_fold(self.dls, self._features(progress), n_folds, C=C, groups=groups)

    def lr_find(
        self, start_lr: float, end_lr: float, num_it: int, *, stop_div: bool, plan: Plan, progress: str
    ) -> LRFind:
        """The losses at increasing learning rates; model and run are restored at the end."""
        self._check([plan], self.model.head)
        self._choose_precision(self.frozen_to)
        self._set_training_loss(plan.options)
        with self._show_progress(progress) as shown, modes_restored(self.model):
            return lr_find(
                self.run,
                self._setups.for_trial(),
                start_lr=start_lr,
                end_lr=end_lr,
                num_it=num_it,
                stop_div=stop_div,
                plan=plan,
                step=self._step(plan.options),
                observe=shown,
            )

    def measure_speed(self, plan: Plan, validate: Validate, *, seconds: float) -> Speed:
        """The seconds of a step and of a validation; model and run are restored.

        Args:
            plan: the plan to measure for.
            validate: as in `fit`.
            seconds: the duration of the measurement of steps.
        """
        # As in `fit`: without it a step takes 1.5 times as long on a CPU.
        with retain_freed_memory(self.run.device.torch_device):
            self._check([plan], self.model.head)
            self._choose_precision(plan.frozen_to)
            self._set_training_loss(plan.options)
            with self._frozen_for_trial(plan.frozen_to, train_bn=plan.train_bn):
                setup, trial_step = self._setups.for_trial(), self._step(plan.options)
                seconds_of_step = step_seconds(self.run, setup, plan=plan, step=trial_step, seconds=seconds)
            validated = self._validation_seconds(validate)
            # the first one includes reading and caching the images
            if self.run.device.from_main(validated < seconds / 2):
                validated = self._validation_seconds(validate)
            return self.run.device.from_main(Speed(seconds_of_step, validated))

    def validate(
        self,
        loader: Loader,
        metrics: Sequence[Metric],
        decision: Decision,
        *,
        cache: FeatureCache | None = None,
        exact: bool = False,
    ) -> Scores:
        """The loss and all metrics, computed over all images of the loader, or over its cached features.

        Args:
            loader: the validation loader, or another one that does not augment.
            metrics: the metrics.
            decision: converts outputs to predictions.
            cache: features of the images of the loader, from the current backbone.
            exact: True for float32, whatever the precision of training.
        """
        if cache is not None and not self.dls.target.is_geometric:
            outputs = self.outputs.of_cache(cache, loader)
        else:
            outputs = self.outputs.of_loader(loader, exact=exact or self.run.device.precision == "float32")
        targets = targets_in_user_units(loader.dataset, outputs)
        return score(outputs, targets, loss=self._loss, metrics=metrics, decision=decision)

    def fit_out_of_distribution(self) -> OutOfDistribution | None:
        """The fitted out-of-distribution detector; None for fewer than 10 training or validation images.

        The features of a frozen backbone are reused; for a trained one those of some images are computed.
        """
        known = self.frozen.last_features(self.dls) if self.fitted_head is not None else None
        return fit_to_data(self.dls, self.outputs, self.frozen, known=known, seed=self.run.seed)

    def summary(self, weight_decay: float) -> TrainingSummary:
        """The layers of the model, its optimizer, its loss and what is frozen."""
        layers = summarize(self.model, (self.dls.bs, *self.dls.one_batch()[0].shape[1:]))
        optimizer = type(self.optimizer(weight_decay).torch).__name__
        return TrainingSummary(layers, optimizer, repr(self._loss), self.frozen_to)

    def facts(self) -> dict[str, str]:
        """Model, weights, data, loss and precision, as text."""
        return training_facts(self.model, self.dls, self._loss, self.run.device)

    def _validation_seconds(self, validate: Validate) -> float:
        started = time.perf_counter()
        with self.outputs.forgotten():  # otherwise no image is validated
            validate(None)
        return self.run.device.from_main(time.perf_counter() - started)

    def _features(self, progress: str) -> Features:
        with self._show_progress(progress) as shown:
            return self.frozen.features(self.dls, shown)

    def _show_progress(self, how: str) -> AbstractContextManager[Observer]:
        return show_progress(how if self.run.device.is_main else "quiet")

    def _events(self, validate: Validate) -> Events:
        """The events of the current plan and those after it."""
        while not self.run.finished:
            plan = self.run.plan
            self._set_training_loss(plan.options)
            yield from train(self.run, self._phase_setup(plan, validate), step=self._step(plan.options))

    def _check(self, plans: Sequence[Plan], head: nn.Module) -> None:
        check_batch_size(self.dls.train, head, self.run.device)
        for plan in plans:
            check_options(plan.options, self.dls.target, n_batches=len(self.dls.train), custom_loss=self._custom_loss)

    def _set_training_loss(self, options: FitOptions) -> None:
        """Sets the loss that the options choose for training; validation keeps the plain one."""
        self.run.loss = self._loss
        if options.changes_loss:
            self.run.loss = self.dls.target.training_loss(
                self.dls.train_ds.targets, label_smoothing=options.label_smoothing, balance=options.balance
            )

    def _step(self, options: FitOptions) -> Step:
        return mixing_step(self.dls.target.soft_targets) if options.mixes else step

    def _phase_setup(self, plan: Plan, validate: Validate) -> PhaseSetup:
        """Freezes the groups that the plan freezes; returns the model, batches and validation of its epochs."""
        freeze_to(self.model, plan.frozen_to, train_bn=plan.train_bn)
        self.frozen_to = plan.frozen_to
        if not plan.is_fully_frozen:
            self.model.backbone_was_trained = True
            self.frozen.forget_features()
        return self._setups.for_phase(plan, validate)

    def _choose_precision(self, frozen_to: int) -> None:
        """Measures which precision is faster, on the model as it will be trained."""
        device = self.run.device
        if device.precision_is_set:
            return
        batches = loader_batches(self.dls.train, self.run.epoch)
        with closing(batches), self._frozen_for_trial(frozen_to, train_bn=self.train_bn):
            device.set_precision(*choose_precision(self._setups.model(), next(batches), self._loss, device))

    @contextmanager
    def _frozen_for_trial(self, frozen_to: int, *, train_bn: bool) -> Generator[None, None, None]:
        """Context with these groups frozen; those of the model and its modes are restored."""
        freeze_to(self.model, frozen_to, train_bn=train_bn)
        try:
            with modes_restored(self.model):
                yield
        finally:
            freeze_to(self.model, self.frozen_to, train_bn=self.train_bn)

    def _conditions(self) -> dict[str, Any]:
        """What must be the same when a checkpoint is resumed, as JSON."""
        conditions = resume_conditions(self.model, self.dls, keep_statistics=self.keep_statistics)
        return {**conditions, "start_from": None if self.parent is None else self.parent["weights"]}


def _given(checkpoint: str | Path | None) -> str | Path:
    if checkpoint is None:
        raise InputError("`resume` needs `checkpoint`, the file from which training continues")
    return checkpoint
