"""Summaries of a training run: the model's layers as fastai prints them, and the time that each part took."""

from dataclasses import dataclass

from eyebright import _html as html
from eyebright._system.timer import Timer
from eyebright.data.dataloaders import DataLoaders
from eyebright.models.build import ImageModel
from eyebright.models.summary import ModelSummary
from eyebright.train.device import Device
from eyebright.train.precision import Loss
from eyebright.train.run import BACKWARD, FORWARD, OPTIMIZER, VALIDATING, WAITING, Run

PARTS = (WAITING, FORWARD, BACKWARD, OPTIMIZER, VALIDATING)


@dataclass(frozen=True, repr=False)
class TrainingSummary:
    """The table that fastai prints: the model's layers, the optimizer, the loss, and what is frozen.

    Args:
        model: the layers of the model.
        optimizer: the name of the optimizer.
        loss: the name of the loss.
        frozen_to: index of the first parameter group that is not frozen.
    """

    model: ModelSummary
    optimizer: str
    loss: str
    frozen_to: int

    def __str__(self) -> str:
        optimizer, loss, frozen = self._lines()
        return f"{self.model}\n\n{optimizer}\n{loss}\n\n{frozen}\n"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """The HTML that Jupyter displays."""
        return html.block("", self.model.to_html(), *map(html.paragraph, self._lines()))

    def _lines(self) -> tuple[str, str, str]:
        frozen = f"Model frozen up to parameter group #{self.frozen_to}" if self.frozen_to else "Model unfrozen"
        return f"Optimizer used: {self.optimizer}", f"Loss function: {self.loss}", frozen


def training_facts(model: ImageModel, dls: DataLoaders, loss: Loss, device: Device) -> dict[str, str]:
    """Model, weights, data, loss and precision of a training, as text by name.

    Args:
        model: the model.
        dls: the data.
        loss: the loss of validation.
        device: the device, with the precision of training.
    """
    parameters = list(model.parameters())
    learn = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    total = sum(parameter.numel() for parameter in parameters)
    return {
        "model": f"{model.description.arch}: {total:,} parameters, {learn:,} trainable",
        "weights": model.origin or "random at the start",
        "data": repr(dls),
        "loss": repr(loss),
        "precision": device.precision_reason,
    }


def profile_lines(run: Run, loading: Timer, workers: int) -> list[str]:
    """The lines of a table with the time that each part of training took, and the CPU time of the loader's workers.

    On a GPU the forward pass is asynchronous and partly counted in the backward pass; their sum is right.

    Args:
        run: a run that has been trained.
        loading: the timer of the training loader, in CPU seconds of its workers.
        workers: number of workers; 0: the training thread loads the images itself.
    """
    total = run.timer.seconds.get("epoch", 0.0)
    if not total:
        return ["no epoch has been trained yet: there are no times to show"]
    spent = {name: run.timer.seconds.get(name, 0.0) for name in PARTS}
    spent["everything else"] = max(total - sum(spent.values()), 0.0)
    width = max(map(len, spent))
    lines = [f"training took {total:.1f} s:"]
    lines += [f"  {name.ljust(width)} {seconds:8.1f} s {seconds / total:6.1%}" for name, seconds in spent.items()]
    cpu_times = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in loading.seconds.items())
    if cpu_times and workers == 0:
        lines.append(f"CPU time of loading images, in the training thread: {cpu_times}")
    elif cpu_times:
        lines.append(f"CPU time of {workers} worker{'s' * (workers > 1)}, in parallel with training: {cpu_times}")
    return lines
