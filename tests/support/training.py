"""A tiny model, run and dataset that tests can train many times."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from eyebright.train.device import Device
from eyebright.train.loop import Events, train
from eyebright.train.plan import Plan, fine_tune_plans
from eyebright.train.run import Batches, PhaseSetup, Run, Scores, TrainBatch
from eyebright.train.step import Step, step

STEPS = 3


def tiny_model(seed: int = 0, *, dropout: float = 0.3) -> nn.Sequential:
    """A convolutional net with norm layers, dropout and a head, the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, bias=False), nn.BatchNorm2d(8), nn.ReLU()),
            nn.Sequential(nn.Conv2d(8, 16, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.AdaptiveAvgPool2d(1)),
            nn.Sequential(nn.Flatten(), nn.Dropout(dropout), nn.Linear(16, 2)),
        )


def tiny_run(model: nn.Sequential | None = None, **fields: Any) -> Run:
    """A run of the tiny model with three parameter groups."""
    device = fields.pop("device", None) or Device("cpu", "float32")
    model = tiny_model() if model is None else model
    device.to_device(model)
    return Run(model, fields.pop("loss", squared_error), [list(part.parameters()) for part in model], device, **fields)


def setup_of(
    run: Run, batches: Batches | None = None, *, steps: int = STEPS, validate: Callable[[], Scores] | None = None
) -> PhaseSetup:
    """What the run's model is trained with: the tiny batches, unless others are given."""
    return PhaseSetup(run.model, batches or tiny_batches, steps, validate)


def train_all(
    run: Run,
    batches: Batches | None = None,
    *,
    steps: int = STEPS,
    validate: Callable[[], Scores] | None = None,
    step: Step = step,
) -> Events:
    """The events of all plans that are left, each with the groups frozen that it says."""
    while not run.finished:
        for number, group in enumerate(run.param_groups):
            for parameter in group:
                parameter.requires_grad_(number >= run.plan.frozen_to)
        yield from train(run, setup_of(run, batches, steps=steps, validate=validate), step=step)


def tiny_plans() -> tuple[Plan, ...]:
    """Two epochs with a frozen backbone, then two with all layers."""
    return fine_tune_plans(3, 2, 1e-2, freeze_epochs=2)


def tiny_batches(epoch: int) -> Iterator[TrainBatch]:
    """Three batches of 8, 8 and 4 images, in another order each epoch."""
    images, targets = tiny_images()
    order = torch.randperm(20, generator=torch.Generator().manual_seed(epoch))
    for part in order.split(8):
        yield images[part], targets[part]


def tiny_images() -> tuple[Tensor, Tensor]:
    """Twenty images (20, 3, 12, 12) and two regression targets for each."""
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(20, 3, 12, 12, generator=generator)
    return images, torch.stack([images[:, 0].mean((1, 2)), images[:, 1].std((1, 2))], dim=1)


def in_another_process(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The completed Python process with these arguments, with the same path and number of threads as this one."""
    paths = [str(Path(__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": str(torch.get_num_threads())}
    return subprocess.run([sys.executable, *arguments], check=False, env=environment, capture_output=True, text=True)


def squared_error(output: Tensor, target: Tensor) -> Tensor:
    """The loss of the tiny model."""
    return nn.functional.mse_loss(output, target)
