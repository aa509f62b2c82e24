"""Computes a model's outputs for a whole dataset, their metrics, and the `Evaluation` built from them."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright._choices import EvaluatedPart
from eyebright.data.batch import Batch
from eyebright.data.datasets import Dataset
from eyebright.errors import InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.image.warp import Warp
from eyebright.io.file_hash import file_hashes
from eyebright.io.files import common_folder, relative_name
from eyebright.losses import MeanLoss
from eyebright.metrics.meter import Metric, with_unique_names
from eyebright.models.groups import modes_restored
from eyebright.tasks.decision import Decision
from eyebright.train.device import Device
from eyebright.train.run import Scores
from eyebright.types import Size

_LOSS_BATCH = 1024  # number of images whose loss is computed at once

OutputRows = tuple[Tensor, Tensor, Tensor, Tensor]
"""Outputs, targets (no columns without targets), indices and warps of some images; created by `to_rows`."""


@dataclass(frozen=True, eq=False)
class Outputs:
    """A model's outputs for the images of a loader, in its order and from all processes.

    Args:
        outputs: raw outputs, float32, on the CPU.
        targets: encoded targets for the loss, on the CPU; None if the images have none.
        indices: index of each image among the items of the dataset's source.
        warps: the warp from each image to the input of the model.
    """

    outputs: Float[Tensor, "n k"]
    targets: Shaped[Tensor, "n ..."] | None
    indices: tuple[int, ...]
    warps: tuple[Warp, ...]


def compute_outputs(model: nn.Module, batches: Iterable[Batch], device: Device, *, autocast: bool = True) -> Outputs:
    """The outputs of a model in evaluation mode for all images of the batches; its modes are restored.

    Args:
        model: the model, on the device.
        batches: the batches of this process.
        device: the device and its precision.
        autocast: False computes in float32, whatever the precision of training.

    Raises:
        InputError: there is no image that can be read.
    """
    return gathered_outputs(output_rows(model, batches, device, autocast=autocast), device)


def gathered_outputs(rows: Iterable[OutputRows], device: Device) -> Outputs:
    """The outputs for all images of the rows, from all processes.

    Args:
        rows: the rows of this process.
        device: the device.

    Raises:
        InputError: there is no image that can be read.
    """
    columns = list(device.gather_batches(rows))
    if not columns:
        raise InputError("no image to evaluate can be read")
    outputs, targets, indices, warps = (torch.cat(parts).cpu() for parts in zip(*columns, strict=True))
    return Outputs(
        outputs,
        None if targets.ndim == 2 and targets.shape[1] == 0 else targets,
        tuple(indices.tolist()),
        warps_of_rows(warps),
    )


def output_rows(
    model: nn.Module, batches: Iterable[Batch], device: Device, *, autocast: bool = True
) -> Iterator[OutputRows]:
    """The rows of each batch of this process, of a model in evaluation mode; arguments as in `compute_outputs`."""
    with modes_restored(model):
        model.eval()
        for batch in batches:
            with torch.inference_mode(), device.autocast() if autocast else nullcontext():
                outputs = model(batch.x)
            yield to_rows(outputs.float(), batch.y, batch.item_indices, batch.warps)


def to_rows(
    outputs: Float[Tensor, "b *k"],
    targets: Shaped[Tensor, "b ..."] | None,
    indices: Sequence[int],
    warps: Sequence[Warp],
) -> OutputRows:
    """Rows of images, which processes can exchange.

    Args:
        outputs: the outputs, one row for each image, float32.
        targets: the encoded targets; None if the images have none.
        indices: the index of each image among the items of the dataset's source.
        warps: the warp from each image to the input of the model.
    """
    targets = outputs.new_empty(len(outputs), 0) if targets is None else targets
    return outputs, targets, torch.tensor(indices), _warps_to_tensor(warps)


def warps_of_rows(warps: Float[Tensor, "b 13"]) -> tuple[Warp, ...]:
    """The warps in the last tensor of `to_rows`."""
    return tuple(_warp_from_row(row) for row in warps.cpu().numpy())


def cached_outputs(head: nn.Module, pairs: Iterable[tuple[Tensor, Tensor]], device: Device) -> Outputs:
    """The outputs of a head for the cached features of a whole dataset, in its order.

    Args:
        head: the head, on the device.
        pairs: features and encoded targets of the batches of this process.
        device: the device and its precision.
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


def targets_in_user_units(dataset: Dataset, model_outputs: Outputs) -> Shaped[Tensor, "n ..."]:
    """The targets in the user's units: points in pixels of the original image, even those outside of a crop.

    Args:
        dataset: the evaluated dataset.
        model_outputs: the outputs for this dataset.

    Raises:
        InputError: there are no targets.
    """
    if model_outputs.targets is None or dataset.target is None:
        raise InputError("these images have no targets; for new images use predict")
    block = dataset.target
    if not block.is_geometric:
        # The network predicts standardized numbers.
        return block.to_user_units(model_outputs.targets, model_outputs.warps)
    positions = {index: i for i, index in enumerate(dataset.indices)}
    return torch.stack([block.encode(dataset.raw_target(positions[index])) for index in model_outputs.indices])


def build_evaluation(
    dataset: Dataset, model_outputs: Outputs, decision: Decision, *, part: EvaluatedPart = "valid"
) -> Evaluation:
    """The evaluation of a model's outputs.

    Args:
        dataset: the evaluated dataset.
        model_outputs: the outputs for this dataset, in float32.
        decision: converts outputs to predictions.
        part: the part of the data.

    Raises:
        InputError: there are no targets.
    """
    paths = dataset.paths(model_outputs.indices)
    root = common_folder([path for path in paths if path is not None])
    files = [
        relative_name(path, root) if path else f"item {i}" for i, path in zip(model_outputs.indices, paths, strict=True)
    ]
    return Evaluation(
        decision,
        decision.target.to_user_units(model_outputs.outputs, model_outputs.warps),
        targets_in_user_units(dataset, model_outputs),
        tuple(files),
        root,
        torch.tensor([warp.input_size for warp in model_outputs.warps], dtype=torch.int64).reshape(-1, 2),
        model_outputs.indices,
        model_outputs.warps,
        columns=dataset.other_columns(model_outputs.indices),
        part=part,
        hashes=file_hashes(paths),
    )


def batch_outputs(model: nn.Module, batch: Batch, device: Device) -> Float[Tensor, "b k"]:
    """The raw outputs for one batch, float32, on the CPU."""
    return next(output_rows(model, [batch], device))[0].cpu()


def score(
    model_outputs: Outputs,
    targets: Shaped[Tensor, "n ..."],
    *,
    loss: Callable[[Tensor, Tensor], Tensor],
    metrics: Sequence[Metric],
    decision: Decision,
) -> Scores:
    """``valid_loss`` and the metrics by name, computed over all images, not averaged over batches.

    If an output is NaN or infinite, every metric is NaN, like the loss: metrics are never computed from a part of the
    images.

    Args:
        model_outputs: a model's outputs, with targets.
        targets: the targets in the user's units.
        loss: a function of raw outputs and targets.
        metrics: metrics; those that take logits get raw outputs and the targets of the loss, as in fastai.
        decision: converts outputs to probabilities or values, and to decisions.

    Raises:
        InputError: there are no targets.
    """
    if model_outputs.targets is None:
        raise InputError("these images have no targets; for new images use predict")
    mean = MeanLoss(loss)
    for start in range(0, len(model_outputs.outputs), _LOSS_BATCH):
        part = slice(start, start + _LOSS_BATCH)
        mean.add(model_outputs.outputs[part], model_outputs.targets[part])
    scores = {"valid_loss": mean.value}
    if not bool(model_outputs.outputs.isfinite().all()):
        return scores | {metric.name: math.nan for metric in with_unique_names(metrics)}
    if not metrics:
        return scores
    activated = decision.activate(decision.target.to_user_units(model_outputs.outputs, model_outputs.warps))
    for metric in with_unique_names(metrics):
        if metric.takes == "logits":
            scores[metric.name] = metric(model_outputs.outputs, model_outputs.targets)
        else:
            scores[metric.name] = metric(
                decision.decide(activated) if metric.takes == "decisions" else activated, targets
            )
    return scores


def _warps_to_tensor(warps: Sequence[Warp]) -> Float[Tensor, "b 13"]:
    """Warps as rows of a tensor, which processes can exchange."""
    rows = [
        np.concatenate([np.asarray(warp.matrix).reshape(-1), [*warp.input_size, *warp.output_size]]) for warp in warps
    ]
    return torch.from_numpy(np.stack(rows))


def _warp_from_row(row: np.ndarray) -> Warp:
    sizes = [int(size) for size in row[9:]]
    return Warp(row[:9].reshape(3, 3).copy(), Size(*sizes[:2]), Size(*sizes[2:]))
