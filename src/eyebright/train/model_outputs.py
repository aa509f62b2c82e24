"""`ModelOutputs`: the outputs of the model in training for whole datasets, computed once for the same weights."""

from collections.abc import Generator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from jaxtyping import Float
from torch import Tensor

from eyebright.data.batch import Batch, Shard
from eyebright.data.loader import Loader
from eyebright.models.build import ImageModel
from eyebright.models.split_model import split_at_head
from eyebright.train.evaluate import Outputs, batch_outputs, cached_outputs, compute_outputs
from eyebright.train.feature_cache import FeatureCache
from eyebright.train.fused_models import FusedModels
from eyebright.train.run import Run


class ModelOutputs:
    """The outputs of a model; those of the last dataset are kept in float32 while the weights are unchanged.

    Args:
        model: the model of the run.
        run: the run, with the device and the number of steps.
        fused: the forms in which the model computes.
    """

    def __init__(self, model: ImageModel, run: Run, fused: FusedModels) -> None:
        self.model = model
        self._run = run
        self._fused = fused
        self._last: tuple[Loader, Any, Outputs] | None = None  # of a loader with these weights

    def of_loader(self, loader: Loader, *, exact: bool = False, epoch: int = 0) -> Outputs:
        """The outputs for all images of the loader, in its order.

        Args:
            loader: the validation loader, or another one that does not augment.
            exact: True for float32, the precision in which a saved model predicts; the result of the last call is
                reused while the weights are unchanged. False for the precision of training.
            epoch: the number of the epoch, for a loader that augments.

        Raises:
            InputError: no image can be read.
        """
        weights = self._run.version_of(self.model)
        last = self._last
        if exact and last is not None and last[0] is loader and last[1] == weights:
            return last[2]
        with closing(loader.batches(epoch, self._shard)) as batches:
            outputs = compute_outputs(self._fused.for_evaluation(), batches, self._run.device, autocast=not exact)
        self._share_skipped(loader)
        if exact:
            self._last = loader, weights, outputs
        return outputs

    def of_cache(self, cache: FeatureCache, loader: Loader) -> Outputs:
        """The outputs of the head for the cached features of a loader's images, in its order."""
        outputs = cached_outputs(cache.model.head, cache.batches(0), self._run.device)
        self._share_skipped(loader)
        return outputs

    def of_batches(self, batches: Sequence[Batch]) -> Outputs:
        """The outputs for batches that are already on the device, in their order."""
        own = self._shard.of(range(len(batches)))
        return compute_outputs(self._fused.for_evaluation(), [batches[i] for i in own], self._run.device)

    def of_batch(self, batch: Batch) -> Float[Tensor, "b k"]:
        """The raw outputs for one batch."""
        return batch_outputs(self.model, batch, self._run.device)

    def features(self, loader: Loader) -> Outputs:
        """The pooled features of the loader's images, in float32.

        Raises:
            InputError: no image can be read.
        """
        extractor = split_at_head(self._fused.for_evaluation()).feature_extractor
        with closing(loader.batches(0, self._shard)) as batches:
            return compute_outputs(extractor, batches, self._run.device, autocast=False)

    def keep(self, loader: Loader, outputs: Outputs) -> None:
        """Keeps the outputs that the current weights have for a loader, which were computed in another way."""
        self._last = loader, self._run.version_of(self.model), outputs

    def forget(self) -> None:
        """Frees the memory of the kept outputs, which belong to other images or weights."""
        self._last = None

    @contextmanager
    def forgotten(self) -> Generator[None, None, None]:
        """Context in which no outputs are kept from before, so that they are computed; restored at the end."""
        last, self._last = self._last, None
        yield
        self._last = last

    def _share_skipped(self, loader: Loader) -> None:
        """Shares the images that each process skipped with all processes."""
        if loader.skipped is not None:
            self._run.device.merge_dict(loader.skipped)

    @property
    def _shard(self) -> Shard:
        return Shard(*self._run.device.shard)
