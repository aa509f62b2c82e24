"""`ImageFeatures`: the features of image files by a frozen backbone, computed once, in pieces that can be interrupted.

They equal the features for fitting a linear head in training (`eyebright.train.features`), and share their cache.
"""

import contextlib
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eyebright._defaults import BATCH_SIZE
from eyebright.data.datasets import Dataset
from eyebright.data.loader import Loader
from eyebright.data.sample_spec import SampleSpec
from eyebright.data.worker_pool import WorkerPool
from eyebright.errors import CancelledError
from eyebright.image.warp import Warp
from eyebright.inference.runtimes.features import FasterExtractor
from eyebright.models.build import ImageModel
from eyebright.models.linear_head import pooled_features
from eyebright.tasks.image import ImageBlock
from eyebright.train.autotune_cache import measurement_key, read_measurement, store_measurement
from eyebright.train.device import Device
from eyebright.train.events import Event, FeaturesComputed
from eyebright.train.features import backbone_hash, features_without_targets
from eyebright.train.fused_models import FusedModels
from eyebright.transforms.pipeline import Pipeline

_CHUNK_IMAGES = 16 * BATCH_SIZE  # images after which a computation from cached features can be interrupted


@final
class ImageFeatures:
    """The pooled features of images, and which of them are computed; not safe to share between threads.

    Args:
        model: the model whose backbone is used; it is moved to the device.
        pipeline: the preprocessing of validation; features in its cache are not computed again.
        paths: the images.
        pool_size: as for `pooled_features`.
        device: the device, as for `Device`.

    Attributes:
        paths: the images.
        skipped: the reason for each image that cannot be read, by its path.
        warps: the warp from each image to the input of the model; None if it has no features.
    """

    def __init__(
        self,
        model: ImageModel,
        pipeline: Pipeline,
        *,
        paths: Sequence[str | Path],
        pool_size: int = 1,
        device: str | torch.device | None = None,
    ) -> None:
        self.paths = [str(path) for path in paths]
        self.skipped: dict[str, str] = {}
        self.warps: list[Warp | None] = [None] * len(self.paths)
        self._device = Device(device, "float32")
        self._device.to_device(model.eval())
        self._model = model
        self._pipeline = pipeline
        self._extractor = pooled_features(FusedModels(model).for_evaluation(), pool_size)
        self._faster: FasterExtractor | None = None
        self._features: Float[Tensor, "n d"] | None = None
        self._tried = 0  # images, from the first one

    @property
    def device(self) -> torch.device:
        """The device of the backbone."""
        return self._device.torch_device

    @property
    def is_complete(self) -> bool:
        """Whether the features of all images that can be read are computed."""
        return self._tried == len(self.paths)

    @property
    def features(self) -> Float[Tensor, "n d"]:
        """A row for each image, in float32; NaN if it cannot be read, or is not computed yet."""
        if self._features is None:
            return torch.full((len(self.paths), 0), torch.nan)
        return self._features

    @property
    def is_known(self) -> Bool[Tensor, " n"]:
        """Which images have features."""
        return torch.tensor([warp is not None for warp in self.warps], dtype=torch.bool)

    def compute(
        self,
        *,
        cancelled: Callable[[], bool] = lambda: False,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        """Computes the missing features; an interruption keeps the computed ones.

        Args:
            cancelled: called after each batch; True ends the computation.
            progress: called with the share of the images that is done, from 0 to 1.

        Raises:
            CancelledError: ``cancelled`` returned True.
        """
        if self.is_complete:
            return
        backbone = None if self._pipeline.cache is None else backbone_hash(self._model, self._extractor, self._device)
        with self._measured_extractor() as extractor:
            pool = WorkerPool()
            while not self.is_complete:
                first, last = self._tried, min(self._tried + _CHUNK_IMAGES, len(self.paths))
                if cancelled():
                    raise CancelledError("computing the features of images was cancelled")
                progress(first / len(self.paths))
                self._compute(extractor, first, last, backbone, pool, (cancelled, progress))
                self._tried = last
        progress(1.0)

    def _compute(
        self,
        extractor: torch.nn.Module,
        first: int,
        last: int,
        backbone: str | None,
        pool: WorkerPool,
        calls: tuple[Callable[[], bool], Callable[[float], None]],
    ) -> None:
        """Adds the features of the images from ``first`` to ``last``."""
        cancelled, progress = calls

        def observe(event: Event) -> None:
            if cancelled():
                raise CancelledError("computing the features of images was cancelled")
            if isinstance(event, FeaturesComputed):
                progress((first + (last - first) * event.step / event.steps) / len(self.paths))

        loader = self._loader(range(first, last), pool)
        features = features_without_targets(extractor, loader, self._device, observe, backbone=backbone)
        self.skipped |= loader.skipped or {}
        if features is None:
            return
        rows = features.outputs.flatten(1)
        if self._features is None:
            self._features = torch.full((len(self.paths), rows.shape[1]), torch.nan)
        self._features[list(features.indices)] = rows
        for index, warp in zip(features.indices, features.warps, strict=True):
            self.warps[index] = warp

    def _loader(self, indices: range, pool: WorkerPool) -> Loader:
        return Loader(
            Dataset(self.paths, indices, SampleSpec(image=ImageBlock())),
            self._pipeline,
            bs=BATCH_SIZE,
            training=False,
            processes=False,
            device=self._device.torch_device,
            skipped={},
            pool=pool,
        )

    @contextlib.contextmanager
    def _measured_extractor(self) -> Generator[torch.nn.Module]:
        """The extractor in the faster of its two forms, by a cached or a new measurement."""
        if self._faster is None:
            n_images, size = len(self.paths), self._model.description.input.size
            key = measurement_key("features", self._extractor, (n_images, *size))
            known = read_measurement(key)
            self._faster = FasterExtractor(self._extractor, n_images, known=known if isinstance(known, bool) else None)
            yield self._faster
            if self._faster.measured is not None:
                store_measurement(key, self._faster.measured)
        else:
            yield self._faster
