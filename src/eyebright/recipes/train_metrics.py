"""Metrics on the training images too, beside those on the validation images."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from eyebright._optional import import_optional
from eyebright.errors import InputError
from eyebright.learner.learner import Learner
from eyebright.metrics.meter import Meter, Metric
from eyebright.train.events import EpochDone, EpochStarted, Event, Finished, PhaseStarted


class TrainMetricsRecorder:
    """Computes every metric on what the model said while it learnt, and gives the table a column for it.

    For ``callback_fns=[TrainMetricsRecorder]``. What the model says while it learns is said with dropout, on augmented
    images, by weights that change from batch to batch: the column is no training score of the model that comes out.

    ``stacked=True`` reproduces the numbers that the recipes print, with their defect: the batches are stacked to
    (batches, images, labels), and `zero_one_accuracy` then counts along the images of a batch instead of along the
    labels of an image. With 16 images and 4 labels it cannot fall below 0.75, whatever the model says.
    ``stacked=False`` joins the batches to one table, which is right.

    Args:
        learn: whose fits are watched.
        n_batch: only the first batches of each epoch count; None: all.
        show_graph: draw the metrics at the end of a fit.
        stacked: see above.

    Raises:
        InputError: ``n_batch`` is not positive.
    """

    def __init__(
        self,
        learn: Learner,
        n_batch: int | None = None,
        show_graph: bool = False,  # noqa: FBT001  # the recipes' signature
        *,
        stacked: bool = True,
    ) -> None:
        if n_batch is not None and n_batch < 1:
            raise InputError(f"at least one batch counts, got n_batch={n_batch}")
        self.learn = learn
        self.n_batch = n_batch
        self.show_graph = show_graph
        self.stacked = stacked
        self.train_metrics: list[list[float]] = []
        self.valid_metrics: list[list[float]] = []
        self._metrics: list[Metric] = []
        self._columns: list[Metric] | None = None
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def __call__(self, event: Event) -> None:
        """Watches a fit."""
        match event:
            case PhaseStarted(phase=phase):
                if phase == 0:
                    self.train_metrics, self.valid_metrics = [], []
                self._attach()
            case EpochStarted():
                self._outputs, self._targets = [], []
            case EpochDone(scores=scores) if self._metrics:
                self.train_metrics.append([scores[f"train_{metric.name}"] for metric in self._metrics])
                self.valid_metrics.append([scores[f"valid_{metric.name}"] for metric in self._metrics])
            case Finished():
                self._detach()
                if self.show_graph and self.train_metrics:
                    self.plot()
            case _:
                pass

    def last_train_metrics(self) -> list[float]:
        """Every metric on the training images of the last epoch."""
        return self._records(self.train_metrics)[-1]

    def last_valid_metrics(self) -> list[float]:
        """Every metric on the validation images after the last epoch."""
        return self._records(self.valid_metrics)[-1]

    def plot(self) -> None:
        """Draw each metric over the epochs, on the training and on the validation images.

        Raises:
            InputError: there is nothing to draw.
        """
        train, valid = self._records(self.train_metrics), self._records(self.valid_metrics)
        pyplot: Any = import_optional("matplotlib.pyplot", extra="report", purpose="drawing a figure")
        _, axes = pyplot.subplots(1, len(self._metrics), figsize=(5 * len(self._metrics), 4), squeeze=False)
        for place, (ax, metric) in enumerate(zip(axes.flat, self._metrics, strict=True)):
            ax.plot([row[place] for row in train], "o-", label="train")
            ax.plot([row[place] for row in valid], "o-", label="valid")
            ax.set(title=metric.name, xlabel="epoch")
            ax.legend()

    def _records(self, records: list[list[float]]) -> list[list[float]]:
        if not records:
            raise InputError("there are no records: train an epoch of a learner with metrics first")
        return records

    def _attach(self) -> None:
        """The loss of training remembers what it is given, and each metric of the learner becomes two columns."""
        if self._columns is not None and self.learn.metrics is self._columns:
            return
        self._metrics = Meter(self.learn.metrics).metrics
        pairs = [(self._on_training(metric), replace(metric, name=f"valid_{metric.name}")) for metric in self._metrics]
        self.learn.metrics = [column for pair in pairs for column in pair]
        self._columns = self.learn.metrics
        self.learn.run.loss = self._remember

    def _detach(self) -> None:
        self.learn.run.loss = self.learn.loss_func
        if self.learn.metrics is self._columns:
            self.learn.metrics = self._metrics
        self._columns = None

    def _remember(self, output: Tensor, target: Tensor) -> Tensor:
        if self._metrics and (self.n_batch is None or len(self._outputs) < self.n_batch):
            self._outputs.append(output.detach().cpu())
            self._targets.append(target.cpu())
        return self.learn.loss_func(output, target)

    def _on_training(self, metric: Metric) -> Metric:
        """A column that does not look at the validation images."""
        name = f"train_{metric.name}"
        return Metric(name, lambda _logits, _targets: self._value(metric), "logits", metric.higher_is_better)

    def _value(self, metric: Metric) -> float:
        if self.stacked and metric.takes == "logits":
            full = [output.shape == self._outputs[0].shape for output in self._outputs]
            outputs = [output for output, whole in zip(self._outputs, full, strict=True) if whole]
            targets = [target for target, whole in zip(self._targets, full, strict=True) if whole]
            return metric(torch.stack(outputs), torch.stack(targets))
        meter = Meter([metric])
        for output, target in zip(self._outputs, self._targets, strict=True):
            meter.add(output, target)
        return meter.result(self.learn.decision.scores, self.learn.thresholds)[metric.name]
