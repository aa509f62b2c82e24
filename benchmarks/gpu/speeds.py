"""Speeds on a device beside those of a plain loop of torchvision and timm, alternating in one run; medians count.

Both compute the same network: Eyebright's, with its head and its normalisation.
"""

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from tempfile import TemporaryDirectory
from typing import Any, Literal

import torch
from peers.torchvision_reading import ImageDataset, training_transforms, validation_transforms
from torch import Tensor, nn
from torch.utils.data import DataLoader

from eyebright import load_predictor
from eyebright.models.groups import parameter_groups
from eyebright.train.device import Device, Precision
from eyebright.train.events import Event, StepDone
from eyebright.train.loop import train
from eyebright.train.plan import Plan
from eyebright.train.run import PhaseSetup, Run
from gpu.work import COLOURS, Row, Work

Layout = Literal["channels_last", "contiguous"]
FORMATS: dict[Layout, torch.memory_format] = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}
WARM_UP = 2  # steps that are not timed
Measure = Callable[[], float]
"""Returns images per second."""


def train_steps(work: Work) -> Iterator[Row]:
    """Training steps without reading, in each precision and memory format."""
    precisions: tuple[Precision, ...] = ("float32", "bfloat16", "float16")
    if work.device.type != "cuda":
        precisions = precisions[:2]  # float16 needs loss scaling
    for precision in precisions:
        for layout in FORMATS:
            variants = {
                "eyebright": _steps_of_eyebright(work, precision, layout),
                "plain loop": _steps_of_a_plain_loop(work, precision, layout),
            }
            yield from _compared(work, f"training step, {precision}, {layout}", variants)


def epochs(work: Work) -> Iterator[Row]:
    """Training with reading and augmentation; the first step, in which the workers start, does not count."""
    learner = work.learner()
    plain, loader = _PlainLoop(work, "float32", "channels_last"), _plain_loader(work, training=True)

    def measured() -> float:
        times: list[float] = []
        learner.fit(1, 1e-4, cbs=[lambda event: _note(event, times, work)])
        return _images_per_second(work, times)

    def measured_plain() -> float:
        times: list[float] = []
        for x, y in loader:
            plain.step(x.to(work.device, non_blocking=True), y.to(work.device))
            times.append(work.now())
        return _images_per_second(work, times)

    yield from _compared(work, "training with reading, float32", {"eyebright": measured, "plain loop": measured_plain})


def evaluation(work: Work) -> Iterator[Row]:
    """Evaluation of the validation images, of which a learner reads each once; its workers start in each round."""
    learner = work.learner()
    images = len(work.valid)
    latest = [learner.dls.valid]

    def first() -> float:
        latest[0] = work.dataloaders().valid
        return _timed(work, images, lambda: learner.trainer.outputs.of_loader(latest[0]))

    variants = {
        "eyebright": first,
        "eyebright, images kept": lambda: _timed(work, images, lambda: learner.trainer.outputs.of_loader(latest[0])),
        "plain loop": _plain_evaluation(work),
    }
    yield from _compared(work, "evaluation with reading", variants)


def frozen_features(work: Work) -> Iterator[Row]:
    """Features of all images and the head that is fitted to them, beside a plain loop that evaluates as many images."""
    images = len(work.items)

    def fitted() -> float:
        learner = work.learner()  # its loaders are new: no image is decoded yet
        return _timed(work, images, lambda: learner.fit_head(C=1.0))

    loaders = [_plain_loader(work, training=False), _plain_loader(work, training=False, others=True)]
    variants = {"eyebright, with the head": fitted, "plain loop": _plain_evaluation(work, loaders)}
    yield from _compared(work, "frozen features with reading", variants)


def prediction(work: Work) -> Iterator[Row]:
    """Prediction of image files with a saved model."""
    with TemporaryDirectory() as folder:
        work.learner().save_model(folder)
        predictor = load_predictor(folder, device=work.device, runtime="torch")
        images = len(work.valid)
        variants = {
            "eyebright": lambda: _timed(
                work, images, lambda: predictor.predict(work.valid_paths, bs=work.sizes.bs, workers=_workers(work))
            ),
            "plain loop": _plain_evaluation(work),
        }
        yield from _compared(work, "prediction of files", variants)


def _compared(work: Work, name: str, variants: Mapping[str, Measure]) -> Iterator[Row]:
    """A row of each variant, and the ratio of the first to the last within each round."""
    found: dict[str, list[float]] = {variant: [] for variant in variants}
    for _ in work.rounds():
        for variant, measure in variants.items():
            found[variant].append(measure())
    for variant, values in found.items():
        spread = f"{len(values)} rounds, {min(values):.0f} to {max(values):.0f}"
        yield Row(f"{name}: {variant}", min(values) > 0, statistics.median(values), "images/s", spread)
    first, *_, last = found.values()
    ratios = [a / b for a, b in zip(first, last, strict=True)]
    spread = f"ratios of the rounds {min(ratios):.2f} to {max(ratios):.2f}"
    yield Row(f"{name}: times as fast as the plain loop", True, statistics.median(ratios), "times", spread)


def _steps_of_eyebright(work: Work, precision: Precision, layout: Layout) -> Measure:
    learner = work.learner()
    model, batch = learner.model.to(memory_format=FORMATS[layout]), _batch(work, layout)  # type: ignore[call-overload]
    run = Run(model, learner.loss_func, parameter_groups(model), Device(work.device, precision))
    steps = WARM_UP + work.sizes.steps

    def measured() -> float:
        run.begin(Plan(epochs=1, lr=(1e-4,) * len(run.param_groups)))
        times: list[float] = []
        for event in train(run, PhaseSetup(model, lambda epoch: iter([batch] * steps), steps)):
            _note(event, times, work)
        return _images_per_second(work, times[WARM_UP - 1 :])

    return measured


def _steps_of_a_plain_loop(work: Work, precision: Precision, layout: Layout) -> Measure:
    plain, (x, y) = _PlainLoop(work, precision, layout), _batch(work, layout)

    def measured() -> float:
        times: list[float] = []
        for _ in range(WARM_UP + work.sizes.steps):
            plain.step(x, y)
            times.append(work.now())
        return _images_per_second(work, times[WARM_UP - 1 :])

    return measured


class _PlainLoop:
    """A training step as in torchvision's references: AdamW, autocast, and loss scaling for float16."""

    def __init__(self, work: Work, precision: Precision, layout: Layout) -> None:
        model: Any = work.learner().model
        self.model: nn.Module = model.to(work.device, memory_format=FORMATS[layout]).train()
        self.layout: Layout = layout
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.scaler = torch.amp.GradScaler(work.device.type, enabled=precision == "float16")
        mixed = precision != "float32"
        dtype = getattr(torch, precision) if mixed else None
        self.autocast = lambda: torch.autocast(work.device.type, dtype=dtype, enabled=mixed)

    def step(self, x: Tensor, y: Tensor) -> None:
        """Trains on one batch."""
        with self.autocast():
            loss = nn.functional.cross_entropy(self.model(x.contiguous(memory_format=FORMATS[self.layout])), y)
        self.optimizer.zero_grad()
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        loss.item()  # the references log the mean loss


def _plain_loader(work: Work, *, training: bool, others: bool = False) -> DataLoader[Any]:
    """A loader with the transforms of training or of validation; ``others``: with these the training images, too."""
    size = (work.sizes.size, work.sizes.size)
    valid, names = set(work.valid), sorted(COLOURS)
    chosen = [item for i, item in enumerate(work.items) if (i in valid) != (training or others)]
    paths, targets = [item["path"] for item in chosen], [names.index(item["label"]) for item in chosen]
    dataset = ImageDataset(paths, targets, (training_transforms if training else validation_transforms)(size))
    return DataLoader(
        dataset,
        work.sizes.bs,
        shuffle=training,
        drop_last=training,
        num_workers=work.sizes.workers,
        pin_memory=work.device.type == "cuda",
        persistent_workers=work.sizes.workers > 0,
    )


def _plain_evaluation(work: Work, loaders: Sequence[DataLoader[Any]] = ()) -> Measure:
    """The plain loop over the images of these loaders; by default over those for validation."""
    loaders = loaders or [_plain_loader(work, training=False)]
    images = sum(len(loader.dataset) for loader in loaders)  # type: ignore[arg-type]
    model: Any = work.learner().model
    model = model.to(work.device, memory_format=torch.channels_last).eval()

    def outputs() -> None:
        with torch.inference_mode():
            for x, _ in chain.from_iterable(loaders):
                placed = x.to(work.device, memory_format=torch.channels_last, non_blocking=True)
                model(placed).float().softmax(1).cpu()

    return lambda: _timed(work, images, outputs)


def _batch(work: Work, layout: Layout) -> tuple[Tensor, Tensor]:
    """A training batch on the device."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(work.sizes.bs, 3, work.sizes.size, work.sizes.size, generator=generator)
    y = torch.randint(len(COLOURS), (work.sizes.bs,), generator=generator)
    return x.to(work.device).contiguous(memory_format=FORMATS[layout]), y.to(work.device)


def _note(event: Event, times: list[float], work: Work) -> None:
    if isinstance(event, StepDone):
        times.append(work.now())


def _images_per_second(work: Work, times: list[float]) -> float:
    return (len(times) - 1) * work.sizes.bs / (times[-1] - times[0])


def _timed(work: Work, images: int, function: Callable[[], object]) -> float:
    started = work.now()
    function()
    return images / (work.now() - started)


def _workers(work: Work) -> int | None:
    return work.sizes.workers or None


SPEEDS = (train_steps, epochs, evaluation, frozen_features, prediction)
