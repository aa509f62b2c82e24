"""`PhaseSetups`: the form of the model, the batches and the cached features that each phase of training uses."""

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from itertools import islice

from torch import nn

from eyebright.data.batch import WHOLE, Shard
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.models.build import ImageModel
from eyebright.models.split_model import split_at_head
from eyebright.train.batchnorm_statistics import N_BATCHES, SHORT_EPOCH, recompute_statistics
from eyebright.train.feature_cache import FeatureCache, TrainBatches
from eyebright.train.fused_models import FusedModels
from eyebright.train.plan import Plan
from eyebright.train.run import Batches, PhaseSetup, Run, Scores

Validate = Callable[[FeatureCache | None], Scores]
"""A function that returns the scores of the validation set, from its cached features if it gets any."""


@dataclass(eq=False)
class PhaseSetups:
    """Makes the `PhaseSetup` of each phase of a run.

    Args:
        run: the run, with the device and the number of epochs.
        dls: the data; other data can be set.
        fused: the forms in which the model computes.
        train_bn: whether norm layers of a frozen backbone are trained.
        keep_statistics: batch norms of the backbone keep their pretrained running statistics.
    """

    run: Run
    dls: DataLoaders
    fused: FusedModels
    train_bn: bool
    keep_statistics: bool

    def model(self) -> ImageModel:
        """The form of the model that a training step calls, in training mode except for frozen layers."""
        return self.fused.for_training(train_bn=self.train_bn, keep_statistics=self.keep_statistics)

    def for_trial(self) -> PhaseSetup:
        """The setup of trial steps: whole epochs of the loader, without caches and validation."""
        return _setup(self.model(), self._batches, len(self.dls.train))

    def for_phase(self, plan: Plan, validate: Validate) -> PhaseSetup:
        """The setup of a phase.

        Args:
            plan: the plan of the phase; the groups that it freezes are frozen.
            validate: returns the scores after each epoch.

        Raises:
            InputError: ``augment_views`` of the plan needs more memory than there is.
        """
        model = self.model()
        train_cache, valid_cache = self._train_cache(plan, model), self._valid_cache(plan)
        every_batch = self._batches if train_cache is None else train_cache.batches
        steps = plan.options.steps_per_epoch or len(self.dls.train)

        def batches(epoch: int) -> TrainBatches:
            return every_batch(epoch) if steps == len(self.dls.train) else _first(every_batch(epoch), steps)

        stepped = model if train_cache is None else train_cache.model.head
        # The form that trains shares the model's norm layers, except those that are fused in it.
        learns = self.fused.model if train_cache is None else train_cache.model.head

        def validate_now() -> Scores:
            self._recompute_statistics(learns, batches, steps)
            return validate(valid_cache)

        return _setup(stepped, batches, steps, validate_now)

    def _train_cache(self, plan: Plan, model: ImageModel) -> FeatureCache | None:
        """The cache of the training features, if the plan has one or if no transform is random; otherwise None.

        Without random transforms an image has only one view, so the cache does not change the result.
        """
        required = plan.augment_views is not None
        can_cache = self._can_cache(plan) and plan.options.steps_per_epoch is None and not plan.options.mixes
        same_each_epoch = can_cache and self.dls.train.is_deterministic
        views = plan.augment_views or (1 if same_each_epoch else None)
        if views is None:
            return None
        return FeatureCache(
            split_at_head(model),
            self.dls.train,
            self.run.device,
            self._shard,
            first_epoch=self.run.epoch - self.run.phase_epoch,
            views=min(views, plan.epochs),
            required=required,
            timer=self.run.timer,
        )

    def _valid_cache(self, plan: Plan) -> FeatureCache | None:
        """The cache of the validation features, if they are the same in all epochs of the plan; otherwise None."""
        if not self._can_cache(plan):
            return None
        return FeatureCache(split_at_head(self.fused.for_evaluation()), self.dls.valid, self.run.device, self._shard)

    def _can_cache(self, plan: Plan) -> bool:
        return plan.epochs > 1 and plan.is_fully_frozen and not self.train_bn

    def _recompute_statistics(self, model: nn.Module, batches: Callable[[int], TrainBatches], steps: int) -> None:
        """After a short epoch, recomputes the statistics of batch norms for the current weights."""
        if self.keep_statistics or steps >= SHORT_EPOCH:
            return
        with closing(_first(batches(self.run.epoch), N_BATCHES)) as epoch:
            recompute_statistics(model, epoch, self.run.device)

    def _batches(self, epoch: int) -> TrainBatches:
        """The training batches of an epoch, from the loader."""
        return loader_batches(self.dls.train, epoch, shard=self._shard)

    @property
    def _shard(self) -> Shard:
        return Shard(*self.run.device.shard)


def loader_batches(loader: Loader, epoch: int = 0, *, shard: Shard = WHOLE) -> TrainBatches:
    """The inputs and targets of the batches of an epoch.

    Args:
        loader: the training loader.
        epoch: the number of the epoch.
        shard: the part of each batch that belongs to this process.

    Raises:
        InputError: the images have no targets.
    """
    with closing(loader.batches(epoch, shard)) as batches:
        for batch in batches:
            if batch.y is None:
                raise InputError("these images have no targets; for new images use predict")
            yield batch.x, batch.y


def _setup(model: nn.Module, batches: Batches, steps: int, validate: Callable[[], Scores] | None = None) -> PhaseSetup:
    """The setup for a model whose modules are in the modes of training."""
    eval_modules = [module for module in model.modules() if not module.training]
    return PhaseSetup(model, batches, steps, validate, eval_modules)


def _first(batches: TrainBatches, n: int) -> TrainBatches:
    with closing(batches):
        yield from islice(batches, n)
