"""A model's outputs over a whole set, without learning from it, and the scores of them."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright.data.datasets import Dataset
from eyebright.data.loader import Batch
from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.image.warp import Warp
from eyebright.losses import MeanLoss
from eyebright.metrics.meter import Metric, with_unique_names
from eyebright.models.groups import modes_restored
from eyebright.tasks.decision import Decision
from eyebright.train.device import Device
from eyebright.train.run import Scores
from eyebright.types import EvaluatedPart, Size

_LOSS_AT_ONCE = 1024  # images whose loss is computed together


@dataclass(frozen=True, eq=False)
class Outputs:
    """What a model gave for the images of a loader, in the loader's order; of all processes.

    Args:
        outputs: raw, float32, on the CPU.
        targets: as the loss wants them, on the CPU; None where the loader has none.
        indices: of the items in the data set's source.
        warps: from the user's image to what the model saw.
    """

    outputs: Float[Tensor, "n k"]
    targets: Shaped[Tensor, "n ..."] | None
    indices: tuple[int, ...]
    warps: tuple[Warp, ...]


def compute_outputs(model: nn.Module, batches: Iterable[Batch], device: Device, *, autocast: bool = True) -> Outputs:
    """The outputs of a model in evaluation mode for every image of the batches.

    The mode that the model was in comes back, also when a batch raises an error.

    Args:
        model: on the device.
        batches: of this process; other processes have the others.
        device: where, and in which precision.
        autocast: False computes in float32, whatever precision the device trains in.
    """
    columns = list(device.gather_batches(_rows(model, batches, device, autocast=autocast)))
    if not columns:
        raise InputError("there is nothing to evaluate: no image can be read")
    outputs, targets, indices, warps = (torch.cat(parts).cpu() for parts in zip(*columns, strict=True))
    return Outputs(
        outputs,
        None if targets.ndim == 2 and targets.shape[1] == 0 else targets,
        tuple(indices.tolist()),
        tuple(_warp(row) for row in warps.numpy()),
    )


def cached_outputs(head: nn.Module, pairs: Iterable[tuple[Tensor, Tensor]], device: Device) -> Outputs:
    """The outputs of a head for the cached features of a whole set, in the loader's order.

    Args:
        head: on the device.
        pairs: features and encoded targets of this process's batches.
        device: where, and in which precision.
    """
    with modes_restored(head):
        head.eval()
        rows: list[tuple[Tensor, Tensor]] = []
        for pair in pairs:
            features, targets = pair
            with torch.inference_mode(), device.autocast():
                rows.append((head(features).float(), targets))
    outputs, targets = (torch.cat(parts).cpu() for parts in zip(*device.gather_batches(rows), strict=True))
    return Outputs(outputs, targets, (), ())


def own_targets(dataset: Dataset, given: Outputs) -> Shaped[Tensor, "n ..."]:
    """The targets in the task's own units: of points the user's own pixels, also where a crop has cut them off.

    Args:
        dataset: that was evaluated.
        given: the outputs for it.

    Raises:
        InputError: there are no targets.
    """
    if given.targets is None or dataset.target is None:
        raise InputError("these images have no targets; for new images use predict")
    task = dataset.target
    if not task.is_geometric:
        return task.own_units(given.targets, given.warps)  # numbers are learnt standardized
    side = {index: i for i, index in enumerate(dataset.indices)}
    return torch.stack([task.encode(dataset.value(side[index])) for index in given.indices])


def evaluation_of(dataset: Dataset, given: Outputs, decision: Decision, *, part: EvaluatedPart = "valid") -> Evaluation:
    """The evaluation of a model's outputs.

    Args:
        dataset: that was evaluated.
        given: the outputs for it, in float32.
        decision: from outputs to answers.
        part: what the set is for.

    Raises:
        InputError: there are no targets.
    """
    paths = dataset.paths(given.indices)
    root = _common_folder([path for path in paths if path is not None])
    files = [_relative(path, root) if path else f"item {i}" for i, path in zip(given.indices, paths, strict=True)]
    return Evaluation(
        decision,
        decision.target.own_units(given.outputs, given.warps),
        own_targets(dataset, given),
        tuple(files),
        root,
        torch.tensor([warp.source for warp in given.warps]).reshape(-1, 2),
        given.indices,
        given.warps,
        columns=dataset.other_columns(given.indices),
        part=part,
    )


def batch_outputs(model: nn.Module, batch: Batch, device: Device) -> Float[Tensor, "b k"]:
    """The raw outputs for one batch, float32, on the CPU."""
    return next(_rows(model, [batch], device))[0].cpu()


def score(
    given: Outputs,
    targets: Shaped[Tensor, "n ..."],
    *,
    loss: Callable[[Tensor, Tensor], Tensor],
    metrics: Sequence[Metric],
    decision: Decision,
) -> Scores:
    """``valid_loss`` and every metric by name, exact over all images.

    Args:
        given: a model's outputs, with targets.
        targets: in the task's own units.
        loss: of raw outputs and targets.
        metrics: plain callables among them get raw outputs and targets as the loss wants them, as in the book.
        decision: from outputs to scores and decisions.

    Raises:
        InputError: there are no targets.
    """
    if given.targets is None:
        raise InputError("these images have no targets; for new images use predict")
    mean = MeanLoss(loss)
    for start in range(0, len(given.outputs), _LOSS_AT_ONCE):
        part = slice(start, start + _LOSS_AT_ONCE)
        mean.add(given.outputs[part], given.targets[part])
    scores = {"valid_loss": mean.value}
    if not metrics:
        return scores
    activated = decision.scores(decision.target.own_units(given.outputs, given.warps))
    for metric in with_unique_names(metrics):
        if metric.takes == "logits":
            scores[metric.name] = metric(given.outputs, given.targets)
        else:
            scores[metric.name] = metric(
                decision.decide(activated) if metric.takes == "decisions" else activated, targets
            )
    return scores


def _rows(
    model: nn.Module, batches: Iterable[Batch], device: Device, *, autocast: bool = True
) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
    """(outputs, targets, indices, warps) of this process's batches, batch by batch."""
    with modes_restored(model):
        model.eval()
        for batch in batches:
            targets = batch.x.new_empty(len(batch.x), 0) if batch.y is None else batch.y
            with torch.inference_mode():
                if autocast:
                    with device.autocast():
                        outputs = model(batch.x)
                else:
                    outputs = model(batch.x)
            yield outputs.float(), targets, torch.tensor(batch.indices), _numbers(batch.warps)


def _numbers(warps: Sequence[Warp]) -> Float[Tensor, "b 13"]:
    """Warps as rows of numbers, which processes can exchange."""
    rows = [np.concatenate([np.asarray(warp.matrix).reshape(-1), [*warp.source, *warp.size]]) for warp in warps]
    return torch.from_numpy(np.stack(rows))


def _warp(row: np.ndarray) -> Warp:
    sides = [int(side) for side in row[9:]]
    return Warp(row[:9].reshape(3, 3).copy(), Size(*sides[:2]), Size(*sides[2:]))


def _common_folder(paths: Sequence[str]) -> Path:
    """The folder that all files share; the working folder where they share none."""
    try:
        return Path(os.path.commonpath([os.path.dirname(path) for path in paths]))  # noqa: PTH120 - many paths
    except ValueError:  # none, absolute and relative ones, or several drives
        return Path()


def _relative(path: str, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix() if root != Path() else path
