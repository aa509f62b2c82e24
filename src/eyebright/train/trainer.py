"""A model in training, with its data: what is frozen, in which numbers it is computed, and how a fit goes.

The room between the loop, which knows nothing of data sets, and `eyebright.learner`, which gives it the book's verbs.
"""

from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor, nn

from eyebright import _html as html
from eyebright._system.malloc import retain_freed_memory
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.loader import WHOLE, Batch, Loader, Shard
from eyebright.errors import InputError
from eyebright.metrics.meter import Metric
from eyebright.models.batchnorm.fuse import Pair, fold_batch_norms, pairs_of
from eyebright.models.batchnorm.fuse_training import fuse_for_training
from eyebright.models.build import ImageModel
from eyebright.models.groups import freeze_to, modes_restored, parameter_groups, set_training_mode
from eyebright.models.split_model import split_at_head
from eyebright.models.summary import ModelSummary, summarise
from eyebright.tasks.decision import Decision
from eyebright.tasks.registry import block_to_json
from eyebright.train.batchnorm_statistics import recompute_statistics
from eyebright.train.device import Device
from eyebright.train.evaluate import Outputs, batch_outputs, cached_outputs, compute_outputs, own_targets, score
from eyebright.train.events import Observer
from eyebright.train.feature_cache import FeatureCache
from eyebright.train.loop import train, watch
from eyebright.train.lr_find import LRFind, lr_find
from eyebright.train.observers.checkpoint import checkpoint as save_after_epochs
from eyebright.train.observers.progress import show_progress
from eyebright.train.optimizer import GroupedOptimizer
from eyebright.train.plan import Plan
from eyebright.train.precision import choose_precision
from eyebright.train.run import Run
from eyebright.train.state import load_checkpoint

SHORT_EPOCH = 32
"""Epochs of fewer steps are too short for the running statistics of batch norms."""

ENOUGH_BATCHES = 8
"""To count the statistics anew: each channel then has seen some hundred images."""

Loss = Callable[[Tensor, Tensor], Tensor]
Pairs = Generator[tuple[Tensor, Tensor], None, None]


class Training:
    """A model, its data, and where its training stands.

    Args:
        dls: the training and the validation side.
        model: is moved to the device of the data.
        loss: of raw outputs and targets.
        precision: ``"auto"`` measures before the first fit.
        seed: of dropout.
        train_bn: whether norm layers of a frozen body learn.
        keep_statistics: batch norms of the body keep the statistics of their pretraining.
    """

    def __init__(
        self,
        dls: DataLoaders,
        model: ImageModel,
        *,
        loss: Loss,
        precision: str,
        seed: int,
        train_bn: bool,
        keep_statistics: bool,
    ) -> None:
        self.dls = dls
        self.model = model
        self.train_bn = train_bn
        self.keep_statistics = keep_statistics
        self.frozen_to = 0
        self._loss = loss
        self._pairs: tuple[list[nn.Module], list[Pair]] = ([], [])
        self._features: FeatureCache | None = None
        self._validation_features: FeatureCache | None = None
        self._in_a_fit = False
        self._last: tuple[Loader, Any, Outputs] | None = None
        device = Device(dls.device, precision)
        device.place(model)
        self.run = Run(
            model,
            loss,
            parameter_groups(model),
            device,
            seed=seed,
            freeze=self._freeze,
            set_training_mode=self._set_training_mode,
            view=self._view,
            about={
                "model": model.description.to_json(),
                "target": block_to_json(dls.target),
                "data": dls.datasets.fingerprint(),
                "bs": dls.bs,
                "keep_statistics": keep_statistics,
            },
        )

    @property
    def loss(self) -> Loss:
        """Of raw outputs and targets; setting it changes training and validation."""
        return self._loss

    @loss.setter
    def loss(self, given: Loss) -> None:
        self._loss = self.run.loss = given

    def freeze_to(self, n: int) -> None:
        """The parameter groups before group ``n`` do not learn; -1 leaves only the head."""
        freeze_to(self.model, n, train_bn=self.train_bn)
        self.frozen_to = n % len(self.run.groups)

    def use_precision(self, precision: str) -> None:
        """From now on compute in these numbers; the weights stay float32."""
        self.run.device = Device(self.run.device.torch_device, precision)

    def optimizer(self, weight_decay: float) -> GroupedOptimizer:
        """The optimizer of the last fit; before any, one like that which the next fit will make."""
        return self.run.optimizer or GroupedOptimizer(self.run.groups, weight_decay=weight_decay)

    def fit(
        self,
        plans: Sequence[Plan],
        observers: Sequence[Observer],
        validate: Callable[[], dict[str, float]],
        *,
        checkpoint: str | Path | None,
        resume: bool,
        progress: str,
    ) -> None:
        """Train one plan after another.

        Args:
            plans: what is to be done.
            observers: watch it.
            validate: the scores after each epoch.
            checkpoint: a file that holds everything at the end of each epoch.
            resume: go on from that file instead of beginning.
            progress: what a person sees.
        """
        self._refuse_small_batches()
        watching = list(observers)
        if checkpoint is not None:
            watching.append(save_after_epochs(self.run, checkpoint))
        if resume:
            if checkpoint is None:
                raise InputError("to resume, name the checkpoint that a training wrote")
            load_checkpoint(self.run, checkpoint, plans=plans)
        else:
            self._choose_precision(plans[-1].frozen_to)
            self.run.begin(*plans)

        def settled() -> dict[str, float]:
            self._recompute_statistics()
            return validate()

        events = train(self.run, self._batches, steps=len(self.dls.train), validate=settled)
        with (
            retain_freed_memory(self.run.device.torch_device),
            self._keeping_features(),
            self._show_progress(progress) as shown,
        ):
            watch(events, [shown, *watching])

    def lr_find(
        self, start_lr: float, end_lr: float, num_it: int, *, stop_div: bool, plan: Plan, progress: str
    ) -> LRFind:
        """Losses at growing learning rates; everything is afterwards as it was before."""
        self._refuse_small_batches()
        self._choose_precision(self.frozen_to)
        with self._show_progress(progress) as shown:
            return lr_find(
                self.run,
                self._batches,
                start_lr=start_lr,
                end_lr=end_lr,
                num_it=num_it,
                stop_div=stop_div,
                plan=plan,
                observe=shown,
            )

    def scores(self, loader: Loader, metrics: Sequence[Metric], decision: Decision) -> dict[str, float]:
        """The loss and every metric, exact over all images of the loader."""
        given = self.outputs(loader, exact=self.run.device.precision == "float32")
        targets = own_targets(loader.dataset, given)
        return score(given, targets, loss=self._loss, metrics=metrics, decision=decision)

    def outputs(self, loader: Loader, *, exact: bool = False) -> Outputs:
        """The model's outputs for all images of the loader, in its order.

        The last validation is not run again while the weights are the same.

        Args:
            loader: of either side, or of other images.
            exact: in float32, as the saved model predicts; False: in the precision of training, and with the cached
                features of a frozen backbone.
        """
        weights = _version(self.model)
        if exact and self._last is not None and self._last[0] is loader and self._last[1] == weights:
            return self._last[2]
        cached = None if exact or loader is not self.dls.valid else self._validation_features
        if cached is not None and not self.dls.target.is_geometric:
            given = cached_outputs(cached.model.head, cached.batches(0, first=0), self.run.device)
        else:
            with closing(loader.batches(shard=self._shard)) as batches:
                given = compute_outputs(self._answering(), batches, self.run.device, autocast=not exact)
        self._tell_skipped(loader)
        if exact:
            self._last = loader, weights, given
        return given

    def batch_outputs(self, batch: Batch) -> Float[Tensor, "b k"]:
        """The raw outputs for one batch."""
        return batch_outputs(self.model, batch, self.run.device)

    def summary(self, weight_decay: float) -> "TrainingSummary":
        """The model layer by layer, and how it is trained."""
        layers = summarise(self.model, (self.dls.bs, *self.dls.one_batch()[0].shape[1:]))
        optimizer = type(self.optimizer(weight_decay).torch).__name__
        return TrainingSummary(layers, optimizer, repr(self._loss), self.frozen_to)

    def _refuse_small_batches(self) -> None:
        """The head's batch norms have nothing to compare the only image of a batch with."""
        train = self.dls.train
        left_over = 0 if train.drop_last else len(train.dataset) % train.bs
        self.run.device.refuse_smaller(left_over or train.bs)
        if 1 in (train.bs, left_over) and any(isinstance(layer, nn.BatchNorm1d) for layer in self.model.head.modules()):
            raise InputError(
                f"batches of {train.bs} out of {len(train.dataset)} images leave one alone in a batch, which "
                "the head's batch norms cannot learn from; give bs=2 or more, and drop_last=True where one is left over"
            )

    def facts(self) -> dict[str, str]:
        """What is trained, on what and how, for people."""
        every = list(self.model.parameters())
        learn = sum(parameter.numel() for parameter in every if parameter.requires_grad)
        total = sum(parameter.numel() for parameter in every)
        return {
            "model": f"{self.model.description.arch}: {total:,} parameters, of which {learn:,} learn",
            "weights": self.model.origin or "random at the start",
            "data": repr(self.dls),
            "loss": repr(self._loss),
            "numbers": self.run.device.why,
        }

    def _show_progress(self, how: str) -> AbstractContextManager[Observer]:
        return show_progress(how if self.run.device.is_main else "quiet")

    def _freeze(self, plan: Plan) -> None:
        """As the plan says; noted when it happens, because a training can end in any of its plans."""
        freeze_to(self.model, plan.frozen_to, train_bn=plan.train_bn)
        self.frozen_to = plan.frozen_to

    def _set_training_mode(self) -> None:
        set_training_mode(self.model, train_bn=self.train_bn, keep_statistics=self.keep_statistics)

    def _view(self) -> nn.Module:
        """What a step calls: the model in a form that trains faster, or its head where features are kept."""
        self._set_training_mode()
        view = fuse_for_training(self.model, self.model.description.input.size, pairs=self._norms_behind)
        assert isinstance(view, ImageModel)  # it is the model, or a copy of it
        self._features = self._validation_features = None
        if self._in_a_fit and not self.run.finished:
            self._keep_features(self.run.plan, view)
        return view if self._features is None else self._features.model.head

    def _answering(self) -> ImageModel:
        """What answers for the model as it is now: a copy in which batch norms are folded into convolutions."""
        folded = fold_batch_norms(self.model, self.model.description.input.size, pairs=self._norms_behind)
        assert isinstance(folded, ImageModel)  # it is a copy of it
        return folded

    @property
    def _norms_behind(self) -> list[Pair]:
        """Which batch norm follows which convolution: looked at again only when there are other layers."""
        layers = list(self.model.modules())
        known, pairs = self._pairs
        if len(known) != len(layers) or any(a is not b for a, b in zip(known, layers, strict=True)):
            description = self.model.description
            pairs = pairs_of(self.model, description.input.size, n_in=description.n_in)
            self._pairs = layers, pairs
        return pairs

    def _keep_features(self, plan: Plan, view: ImageModel) -> None:
        """What an epoch may take from the one before, because nothing in the body learns.

        Without chance in the data one view of each image is enough, and the same as none.
        """
        again = plan.epochs > 1 and plan.is_fully_frozen and not self.train_bn
        device, train, valid = self.run.device, self.dls.train, self.dls.valid
        asked = plan.augment_views is not None
        views = plan.augment_views or (1 if again and train.is_deterministic else None)
        if views is not None:
            self._features = FeatureCache(
                split_at_head(view), train, device, self._shard, views=min(views, plan.epochs), must_fit=asked
            )
            self._features.timer = self.run.timer
        if again:
            self._validation_features = FeatureCache(
                split_at_head(self._answering()), valid, device, self._shard, views=1, must_fit=False
            )

    @contextmanager
    def _keeping_features(self) -> Generator[None, None, None]:
        """While it lasts, plans may keep features; afterwards their memory is free."""
        self._in_a_fit = True
        try:
            yield
        finally:
            self._in_a_fit, self._features, self._validation_features = False, None, None

    def _recompute_statistics(self) -> None:
        """After a short epoch, statistics of batch norms for the weights of now."""
        if self.keep_statistics or len(self.dls.train) >= SHORT_EPOCH:
            return
        with closing(self._batches(self.run.epoch)) as batches:
            learns = self.model if self._features is None else self._features.model.head
            recompute_statistics(learns, islice(batches, ENOUGH_BATCHES), self.run.device)

    def _choose_precision(self, frozen_to: int) -> None:
        """Measures which numbers are faster, on the model as it will be trained."""
        device = self.run.device
        if device.precision_is_set:
            return
        freeze_to(self.model, frozen_to, train_bn=self.train_bn)
        with modes_restored(self.model), closing(_pairs(self.dls.train, self.run.epoch)) as batches:
            device.set_precision(*choose_precision(self._view(), next(batches), self._loss, device))
        freeze_to(self.model, self.frozen_to, train_bn=self.train_bn)

    def _batches(self, epoch: int) -> Pairs:
        if self._features is not None:
            return self._features.batches(epoch, first=self.run.epoch - self.run.done)
        return _pairs(self.dls.train, epoch, shard=self._shard)

    @property
    def _shard(self) -> Shard:
        return Shard(*self.run.device.shard)

    def _tell_skipped(self, loader: Loader) -> None:
        """What one process left out, all know."""
        if loader.skipped is not None:
            self.run.device.merge(loader.skipped)


@dataclass(frozen=True, repr=False)
class TrainingSummary:
    """The table that the book prints: the model's layers, the optimizer, the loss, and what is frozen.

    Args:
        model: its layers.
        optimizer: its name.
        loss: its name.
        frozen_to: the groups before this one are frozen.
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
        """What a notebook shows."""
        return html.block("", self.model.to_html(), *map(html.paragraph, self._lines()))

    def _lines(self) -> tuple[str, str, str]:
        frozen = f"Model frozen up to parameter group #{self.frozen_to}" if self.frozen_to else "Model unfrozen"
        return f"Optimizer used: {self.optimizer}", f"Loss function: {self.loss}", frozen


def _version(model: nn.Module) -> tuple[tuple[int, int], ...]:
    """Changes whenever a weight or a buffer of the model does."""
    return tuple((tensor.data_ptr(), tensor._version) for tensor in model.state_dict().values())


def _pairs(loader: Loader, epoch: int = 0, *, shard: Shard = WHOLE) -> Pairs:
    with closing(loader.batches(epoch, shard)) as batches:
        for batch in batches:
            yield _pair(batch)


def _pair(batch: Batch) -> tuple[Tensor, Tensor]:
    if batch.y is None:
        raise InputError("these images have no targets; for new images use predict")
    return batch.x, batch.y
