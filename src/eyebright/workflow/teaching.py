"""Fits a linear head to the features of a frozen backbone while a person labels images.

`Teacher.compute_features` is slow and runs once; `Teacher.learn` fits the head in seconds to the targets that are known
by then, and orders the images to label next. Both can run in a thread, and end soon after they are cancelled.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import final

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright.errors import CancelledError, InputError
from eyebright.evaluation.teaching_order import TeachingOrder, teaching_order
from eyebright.image.cache import CacheOption, ImageCache
from eyebright.image.warp import Warp
from eyebright.inference.load_predictor import load_predictor
from eyebright.models.build import ImageModel, build_model, model_description
from eyebright.models.split_model import split_at_head
from eyebright.tasks.base import TargetBlock
from eyebright.train.image_features import ImageFeatures
from eyebright.train.linear_head.fit import LinearHead, fit_linear_head
from eyebright.transforms.pipeline import Pipeline
from eyebright.workflow.loaders import image_transforms
from eyebright.workflow.options import TrainOptions

_ROWS = 8192  # images whose outputs are computed at once

Cancel = Callable[[], bool]
Progress = Callable[[float], None]


@dataclass(frozen=True, eq=False)
class Backbone:
    """A frozen backbone with its preprocessing.

    Args:
        model: the model whose backbone is used.
        pipeline: the preprocessing of images.
        pool_size: the size of its pooled features, see `eyebright.models.linear_head.pooled_features`.
    """

    model: ImageModel
    pipeline: Pipeline
    pool_size: int = 1

    @staticmethod
    def pretrained(target: TargetBlock, options: TrainOptions | None = None) -> "Backbone":
        """The pretrained backbone of ``eyebright train --epochs 0``, with architecture and image size of the options.

        Args:
            target: the kind of target; it decides whether images are cropped.
            options: the training options; None for the defaults.

        Raises:
            InputError: the architecture is unknown.
            WeightsError: its pretrained weights are not available.
        """
        options = replace(options or TrainOptions(), epochs=0).with_defaults()
        model = build_model(model_description(options.backbone, 1, size=options.size), pretrained=True)
        pipeline = Pipeline.create(*image_transforms(target, options), torch.device("cpu"))
        return Backbone(model, pipeline, target.head_pool_size)

    @staticmethod
    def of_model(folder: Path, *, device: str | torch.device | None = None) -> "Backbone":
        """The backbone of a saved model, with its weights and its preprocessing.

        Args:
            folder: the model folder.
            device: the device of the model; see `load_predictor`.

        Raises:
            ArtifactError: the folder has no complete model.
        """
        predictor = load_predictor(folder, device=device, runtime="torch")
        manifest = predictor.manifest
        pipeline = Pipeline(manifest.preprocessing, saved_version=manifest.pixels_version)
        return Backbone(predictor.model, pipeline, manifest.model.pool_size)


@dataclass(frozen=True, eq=False)
class Taught:
    """A head that was fitted to the known targets, with its answers for all images and the order to label others in.

    Args:
        probabilities: the probability of each label or class; for points and numbers the values, in the user's units;
            NaN for images that cannot be read, and everywhere without any known target.
        order: the images without a known target, most informative first.
        head: the fitted head, with the chosen strengths of the penalty (`LinearHead.C_choices`) and sentences about
            labels without positives or negatives (`LinearHead.notes`); None without known targets.
        seconds: the time that fitting took.
    """

    probabilities: Float[Tensor, "n k"]
    order: TeachingOrder
    head: LinearHead | None
    seconds: float


@final
class Teacher:
    """A frozen backbone that learns labels of given images; not safe to share between threads.

    Args:
        paths: the images.
        backbone: the result of `Backbone.pretrained` or `Backbone.of_model`.
        cache: keeps features between runs, see `CacheOption`; None: they are only in memory.
        device: the device of the backbone.
        seed: the seed of the folds for choosing the strength of the penalty, and of the order.

    Raises:
        InputError: the cache or the device cannot be used.
    """

    def __init__(
        self,
        paths: Sequence[str | Path],
        backbone: Backbone,
        *,
        cache: CacheOption = None,
        device: str | torch.device | None = None,
        seed: int = 0,
    ) -> None:
        pipeline = replace(backbone.pipeline, cache=ImageCache.from_option(cache))
        self._model = backbone.model
        self._images = ImageFeatures(backbone.model, pipeline, paths=paths, pool_size=backbone.pool_size, device=device)
        self._seed = seed

    @property
    def skipped(self) -> dict[str, str]:
        """The reason for each image that could not be read so far, by its path."""
        return dict(self._images.skipped)

    @property
    def features(self) -> Float[Tensor, "n d"]:
        """A row for each image; NaN if the image cannot be read, or its features are not computed yet."""
        return self._images.features

    def compute_features(self, *, cancelled: Cancel = lambda: False, progress: Progress = lambda _: None) -> None:
        """Computes the missing features; an interruption loses at most a few hundred images.

        Args:
            cancelled: called after each batch; True ends the computation.
            progress: called with the share that is done, from 0 to 1.

        Raises:
            CancelledError: ``cancelled`` returned True.
        """
        self._images.compute(cancelled=cancelled, progress=progress)

    def outputs(self, target: TargetBlock) -> Float[Tensor, "n k"]:
        """The outputs of the model's own head, in the user's units; NaN where there are no features.

        Args:
            target: the target of the model.
        """
        readable = self._images.is_known.nonzero()[:, 0]
        outputs = torch.full((len(self._images.paths), self._model.description.n_out), torch.nan)
        head, device = split_at_head(self._model).head.eval(), self._images.device
        with torch.inference_mode():
            for rows in readable.split(_ROWS):
                found = head(self._images.features[rows].to(device)).float().cpu()
                warps = [_warp(self._images.warps[i]) for i in rows.tolist()]
                outputs[rows] = target.to_user_units(found, warps).flatten(1)
        return outputs

    def learn(
        self,
        target: TargetBlock,
        targets: Shaped[Tensor, "n ..."],
        *,
        cancelled: Cancel = lambda: False,
        progress: Progress = lambda _: None,
    ) -> Taught:
        """Fits the head to the known targets; computes missing features first.

        Args:
            target: the kind of target, with its labels or classes.
            targets: a row for each image: labels 0, 1 or NaN (unknown), shape (n, k); classes their index, NaN or -1
                (unknown), shape (n,); points in pixels of the image, NaN unknown, shape (n, p, 2); numbers (n, k).
            cancelled: called often; True ends the fit.
            progress: called with the share that is done, from 0 to 1.

        Raises:
            CancelledError: ``cancelled`` returned True.
            InputError: the targets do not fit the images or the block.
        """
        started = time.perf_counter()
        rows = _checked_targets(target, targets, len(self._images.paths))
        self.compute_features(cancelled=cancelled, progress=lambda share: progress(0.5 * share))
        outputs, head = self._fitted(target, rows, cancelled)
        progress(0.8)
        _stop_if(cancelled)
        order = self._order(target, rows, outputs)
        _stop_if(cancelled)
        progress(1.0)
        return Taught(outputs, order, head, time.perf_counter() - started)

    def _fitted(
        self, target: TargetBlock, rows: Shaped[Tensor, "n ..."], cancelled: Cancel
    ) -> tuple[Float[Tensor, "n k"], LinearHead | None]:
        """(activated outputs of all images, the head); no head if nothing is known."""
        features, readable = self._images.features, self._images.is_known
        width = len(target.value_names) if target.head_objective != "squared" else rows[0].numel() if len(rows) else 0
        activated = torch.full((len(rows), width), torch.nan)
        fitted = readable & is_labelled(target, rows)
        if not fitted.any() or not width:
            return activated, None
        at = fitted.nonzero()[:, 0]
        _stop_if(cancelled)
        head = self._head(target, features[at], rows[at], [self._images.warps[i] for i in at.tolist()])
        _stop_if(cancelled)
        usable = readable.nonzero()[:, 0]
        outputs = head.outputs(features[usable]).float()
        if target.is_geometric:
            outputs = target.to_user_units(outputs, [_warp(self._images.warps[i]) for i in usable.tolist()])
        if target.head_objective != "squared":
            outputs = target.activate(outputs)
        activated[usable] = outputs.flatten(1)
        return activated, head

    def _head(
        self,
        target: TargetBlock,
        features: Float[Tensor, "m d"],
        rows: Shaped[Tensor, "m ..."],
        warps: Sequence[Warp | None],
    ) -> LinearHead:
        if target.is_geometric:
            rows = torch.stack(
                [target.encode(target.decode(row), _warp(warp)) for row, warp in zip(rows, warps, strict=True)]
            )
        squared = target.head_objective == "squared"
        return fit_linear_head(
            features,
            rows.flatten(1) if squared else target.head_targets(rows),
            objective=target.head_objective,
            names=None if squared else target.output_names,
            seed=self._seed,
        )

    def _order(
        self, target: TargetBlock, rows: Shaped[Tensor, "n ..."], activated: Float[Tensor, "n k"]
    ) -> TeachingOrder:
        """The teaching order; points and numbers have no probabilities, so it depends only on similarity."""
        features = self._images.features.numpy()
        known = is_labelled(target, rows)
        if target.head_objective == "squared":
            zero = torch.where(known, 0.0, torch.nan)[:, None].numpy()
            return teaching_order(features, None, zero, seed=self._seed)
        cells = _cells(rows, activated.shape[1]) if rows.ndim == 1 else rows
        probabilities = activated.numpy() if bool((known & self._images.is_known).any()) else None
        return teaching_order(features, probabilities, cells.numpy(), exclusive=rows.ndim == 1, seed=self._seed)


def is_labelled(target: TargetBlock, targets: Shaped[Tensor, "n ..."]) -> Shaped[Tensor, " n"]:
    """Which images have a known target; arguments as in `Teacher.learn`."""
    if targets.ndim == 1:
        return targets >= 0
    return ~targets.flatten(1).isnan().all(dim=1)


def _checked_targets(target: TargetBlock, targets: Shaped[Tensor, "n ..."], n: int) -> Shaped[Tensor, "n ..."]:
    """The targets: classes as integers, -1 where unknown; all others as float32.

    Raises:
        InputError: the targets do not match the images or the block.
    """
    if len(targets) != n:
        raise InputError(f"targets need one row for each of {n:,} images, got {len(targets):,}")
    if targets.ndim > 1:
        width = len(target.target_names) if target.head_objective != "squared" else targets[:1].numel()
        if targets[:1].numel() != width and n:
            raise InputError(f"a row of targets needs {width} values, one for each label, got {targets[:1].numel()}")
        return targets.float()
    index = torch.where(targets.isnan(), -1, targets).long() if targets.is_floating_point() else targets.long()
    count = len(target.value_names)
    if n and int(index.max()) >= count:
        raise InputError(f"a target is class {int(index.max())}, but there are only {count} classes, counted from 0")
    return index


def _cells(index: Int[Tensor, " n"], count: int) -> Float[Tensor, "n k"]:
    """A column of 0 and 1 for each class; NaN where it is unknown."""
    cells = (index[:, None] == torch.arange(count)).float()
    cells[index < 0] = torch.nan
    return cells


def _warp(warp: Warp | None) -> Warp:
    assert warp is not None  # an image with features has been read
    return warp


def _stop_if(cancelled: Cancel) -> None:
    if cancelled():
        raise CancelledError("learning was cancelled")
