"""`TrainMetricsRecorder` of Microsoft's computer-vision recipes: metrics of the training set during training."""

from dataclasses import replace

import torch
from torch import Tensor

from eyebright.errors import InputError
from eyebright.learner.learner import Learner
from eyebright.metrics.meter import Meter, Metric
from eyebright.plot.curves import plot_metric_histories
from eyebright.train.events import EpochDone, EpochStarted, Event, Finished, PhaseStarted


class TrainMetricsRecorder:
    """An observer that adds to the table of epochs, for each metric, a column with its value on the training batches.

    Use it as ``callback_fns=[TrainMetricsRecorder]``. The values are computed from the outputs of the training steps:
    with dropout, on augmented images, and with weights that change from batch to batch. They are therefore not the
    scores of the trained model on the training set.

    ``stacked=True`` reproduces the values of the recipes with their defect: the batches are stacked to the shape
    (batches, images, labels), and `zero_one_accuracy` reduces along the images of a batch instead of the labels of an
    image. With 16 images per batch and 4 labels it is at least 0.75 for any model. ``stacked=False`` concatenates the
    batches, which is correct.

    Args:
        learn: the learner to observe.
        n_batch: number of batches to use, from the start of each epoch; None for all.
        show_graph: plot the metrics at the end of training.
        stacked: stack the batches as the recipes do, or concatenate them (False), see above.

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
            raise InputError(f"n_batch must be at least 1, got {n_batch}")
        self.learn = learn
        self.n_batch = n_batch
        self.show_graph = show_graph
        self.stacked = stacked
        self.train_metrics: list[list[float]] = []
        self.valid_metrics: list[list[float]] = []
        self._metrics: list[Metric] = []
        self._columns: list[Metric] | None = None
        self._loss = learn.loss_func
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []

    def __call__(self, event: Event) -> None:
        """Handle an event of the training run."""
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
        """The metrics of the training set in the last epoch.

        Raises:
            InputError: no epoch has been recorded.
        """
        return self._records(self.train_metrics)[-1]

    def last_valid_metrics(self) -> list[float]:
        """The metrics of the validation set after the last epoch.

        Raises:
            InputError: no epoch has been recorded.
        """
        return self._records(self.valid_metrics)[-1]

    def plot(self) -> None:
        """Plot each metric of the training and validation sets over the epochs.

        Raises:
            InputError: no epoch has been recorded.
            MissingExtraError: Matplotlib is not installed.
        """
        train, valid = self._records(self.train_metrics), self._records(self.valid_metrics)
        names = [metric.name for metric in self._metrics]
        histories = (dict(zip(names, zip(*rows, strict=True), strict=True)) for rows in (train, valid))
        plot_metric_histories(*histories)

    def _records(self, records: list[list[float]]) -> list[list[float]]:
        if not records:
            raise InputError("no epoch has been recorded: train a learner with metrics first")
        return records

    def _attach(self) -> None:
        """Replace the loss by one that stores its inputs, and each metric by its training and its validation column."""
        if self.learn.run.loss != self._recording_loss:  # each phase has a training loss of its own
            self._loss, self.learn.run.loss = self.learn.run.loss, self._recording_loss
        if self._columns is not None and self.learn.metrics is self._columns:
            return
        self._metrics = Meter(self.learn.metrics).metrics
        pairs = [
            (self._training_column(metric), replace(metric, name=f"valid_{metric.name}")) for metric in self._metrics
        ]
        self.learn.metrics = [column for pair in pairs for column in pair]
        self._columns = self.learn.metrics

    def _detach(self) -> None:
        self.learn.run.loss = self.learn.loss_func
        if self.learn.metrics is self._columns:
            self.learn.metrics = self._metrics
        self._columns = None

    def _recording_loss(self, output: Tensor, target: Tensor) -> Tensor:
        if self._metrics and (self.n_batch is None or len(self._outputs) < self.n_batch):
            self._outputs.append(output.detach().cpu())
            self._targets.append(target.cpu())
        return self._loss(output, target)

    def _training_column(self, metric: Metric) -> Metric:
        """A metric that ignores the validation outputs and returns the value for the training outputs."""
        name = f"train_{metric.name}"
        return Metric(name, lambda _logits, _targets: self._training_value(metric), "logits", metric.higher_is_better)

    def _training_value(self, metric: Metric) -> float:
        if self.stacked and metric.takes == "logits":
            # Only batches of the same size can be stacked; a smaller last batch is omitted.
            is_full = [output.shape == self._outputs[0].shape for output in self._outputs]
            outputs = [output for output, full in zip(self._outputs, is_full, strict=True) if full]
            targets = [target for target, full in zip(self._targets, is_full, strict=True) if full]
            return metric(torch.stack(outputs), torch.stack(targets))
        meter = Meter([metric])
        for output, target in zip(self._outputs, self._targets, strict=True):
            meter.add(output, target)
        return meter.result(self.learn.decision.activate, self.learn.thresholds)[metric.name]
