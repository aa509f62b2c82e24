"""`Training`: a model in training, with its metrics, its decision and the scores of its current weights."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from eyebright._choices import EvaluatedPart
from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.inference.model_folder import model_hash
from eyebright.learner.callbacks import AnyCallback, Fit, observers_of, options_of
from eyebright.learner.interpretation import ClassificationInterpretation
from eyebright.learner.saved_weights import load_weights, save_weights, weights_path
from eyebright.learner.start_from import saved_start
from eyebright.losses import image_losses
from eyebright.metrics.meter import Metric, as_metric
from eyebright.tasks.decision import Decision
from eyebright.tasks.registry import block_to_json
from eyebright.train.evaluate import build_evaluation
from eyebright.train.events import Event, HeadFitted, Observer
from eyebright.train.feature_cache import FeatureCache
from eyebright.train.history import history_rows
from eyebright.train.linear_head.fit import LinearHead
from eyebright.train.observers.progress import show_progress
from eyebright.train.plan import Plan
from eyebright.train.run import Scores
from eyebright.train.trainer import Trainer

AnyMetric = Metric | Callable[[Tensor, Tensor], Any]
"""A metric, or a plain function of raw outputs and targets."""


class Training:
    """A model in training with everything that validates it.

    The scores of the current weights change with the weights: each fit, load and restore sets them or drops them.

    Args:
        trainer: the trainer, with the model and the data.
        metrics: the metrics of validation, other than the loss.
        decision: converts outputs to predictions.
        progress: the progress display, see `show_progress`.
    """

    def __init__(self, trainer: Trainer, metrics: list[Metric], decision: Decision, progress: str) -> None:
        self.trainer = trainer
        self.metrics = metrics
        self.decision = decision
        self.progress = progress
        self._scores: dict[str, float] | None = None  # of the weights, unless they are those of the last epoch

    # ------------------------------------------------------------------ the scores of the current weights

    @property
    def scores(self) -> dict[str, float]:
        """The scores of the current weights: of the last epoch, or set since; empty if there are none."""
        if self._scores is not None:
            return self._scores
        history = self.trainer.run.history
        return dict(history_rows(history)[-1].scores) if history else {}

    @scores.setter
    def scores(self, scores: Mapping[str, float]) -> None:
        self._scores = dict(scores)

    def forget_scores(self) -> None:
        """Drops the scores, since they belong to other weights or other images."""
        self._scores = {}

    @property
    def scores_text(self) -> str:
        """The scores as text, or why there are none."""
        if scores := self.scores:
            return ", ".join(f"{name} {value:.4f}" for name, value in scores.items())
        is_new = self._scores is None and not self.trainer.run.history
        return "nothing has been trained yet" if is_new else "none of these weights for these data yet"

    # ------------------------------------------------------------------ training

    def plan_with_callbacks(self, plan: Plan, callbacks: Iterable[AnyCallback]) -> Plan:
        """The plan with the options that callbacks represent."""
        return replace(plan, options=replace(plan.options, **options_of(callbacks, self.trainer.dls)))

    def observers(self, callbacks: Iterable[AnyCallback]) -> list[Observer]:
        """The observers of a fit."""
        fit = Fit(self.trainer.run, self.trainer.dls, self.metrics, self.save, self.load)
        return observers_of(callbacks, fit)

    def fit(
        self, plans: Sequence[Plan], observers: Sequence[Observer], checkpoint: str | Path | None, *, resume: bool
    ) -> None:
        """Trains one phase after another; arguments and errors as in `Trainer.fit`."""
        self._scores = None
        try:
            self.trainer.fit(
                plans, observers, self.validate, checkpoint=checkpoint, resume=resume, progress=self.progress
            )
        except BaseException:
            self.forget_scores()  # the weights are those of the middle of an epoch, or were before any epoch
            raise

    def fit_head(
        self, C: float | Sequence[float] | None, groups: Sequence[Any] | None, observers: Sequence[Observer]
    ) -> LinearHead:
        """Fits a linear head, which replaces the head of the model; arguments and errors as in `Trainer.fit_head`."""
        started = time.perf_counter()
        fitted, scores = self.trainer.fit_head(
            C=C, groups=groups, progress=self.progress, metrics=self.metrics, decision=self.decision
        )
        self.scores = scores
        self.show(HeadFitted(scores, time.perf_counter() - started), observers)
        return fitted

    def show(self, event: Event, observers: Sequence[Observer]) -> None:
        """Shows an event from outside the training loop, and passes it to the observers."""
        with show_progress(self.progress if self.trainer.run.device.is_main else "quiet") as shown:
            for observer in (shown, *observers):
                observer(event)

    # ------------------------------------------------------------------ validation

    def validate(self, cache: FeatureCache | None = None) -> Scores:
        """The scores of the validation images, in the precision of training.

        Args:
            cache: their features, from the current backbone.
        """
        return self.trainer.validate(self.trainer.dls.valid, self.metrics, self.decision, cache=cache)

    def exact_scores(self, metrics: Sequence[Metric]) -> Scores:
        """The loss and the metrics of the validation images in float32, the precision in which a saved model predicts.

        Args:
            metrics: the metrics.
        """
        return self.trainer.validate(self.trainer.dls.valid, metrics, self.decision, exact=True)

    def evaluate(self, loader: Loader, part: EvaluatedPart = "valid") -> Evaluation:
        """The evaluation of a dataset in float32, with the hash of the model.

        Args:
            loader: the loader of the dataset, without augmentation.
            part: the part of the data.

        Raises:
            InputError: the dataset has no targets, or no image can be read.
        """
        outputs = self.trainer.outputs.of_loader(loader, exact=True)
        weights = model_hash(self.trainer.model.description, self.trainer.model.state_dict())
        return replace(build_evaluation(loader.dataset, outputs, self.decision, part=part), weights=weights)

    def interpret(self, loader: Loader) -> ClassificationInterpretation:
        """The interpretation of a dataset; argument and errors as in `evaluate`."""
        evaluation = self.evaluate(loader)
        given = self.trainer.outputs.of_loader(loader, exact=True)
        assert given.targets is not None  # otherwise there was no evaluation
        losses = image_losses(self.trainer.loss, given.outputs, given.targets)
        return ClassificationInterpretation(evaluation, losses, loader.dataset)

    # ------------------------------------------------------------------ saved weights and models

    def save(self, file: str | Path) -> Path:
        """Saves the weights with their scores; arguments and errors as in `Learner.save`."""
        dls, model = self.trainer.dls, self.trainer.model
        path = weights_path(dls.path, file)
        about = {
            "data": dls.datasets.fingerprint(),
            "scores": self.scores,
            "backbone_was_trained": model.backbone_was_trained,
        }
        target = block_to_json(dls.target)
        self.trainer.run.device.on_main(lambda: save_weights(path, model, target=target, about=about))
        return path

    def load(self, file: str | Path) -> None:
        """Loads weights with their scores; arguments and errors as in `Learner.load`."""
        dls, model = self.trainer.dls, self.trainer.model
        about = load_weights(weights_path(dls.path, file), model, target=block_to_json(dls.target))
        model.backbone_was_trained = about.get("backbone_was_trained", True)
        same_data = about.get("data") == dls.datasets.fingerprint()
        self.scores = about.get("scores", {}) if same_data else {}

    def start_from(self, folder: str | Path) -> None:
        """Takes over the weights and thresholds of a saved model; arguments and errors as in `Learner.start_from`."""
        target, model = self.trainer.dls.target, self.trainer.model
        start = saved_start(folder, target)
        saved, own = start.model.description.arch, model.description.arch
        if saved != own:
            raise InputError(
                f"the model in '{folder}' is a {saved}, but this learner has a {own}: create it with '{saved}'"
            )
        self.trainer.start_from(start.model, start.rows, start.record)
        self.decision = Decision(target)
        if start.thresholds is not None:
            self.decision = self.decision.with_thresholds(start.thresholds)
        self.forget_scores()


def as_metrics(metrics: AnyMetric | Sequence[AnyMetric] | None) -> list[Metric]:
    """One metric or several as a list; plain functions get raw outputs and targets, as in fastai."""
    if metrics is None:
        metrics = []
    return [as_metric(metric) for metric in (metrics if isinstance(metrics, Sequence) else [metrics])]
