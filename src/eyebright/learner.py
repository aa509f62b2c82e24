"""The front door: a model, its data and the book's verbs. What they do stands in the rooms below."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from eyebright.artifact import Manifest, save_model
from eyebright.blocks.kinds import block_to_json
from eyebright.blocks.multicategory import MultiCategoryBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.loaders import Loader
from eyebright.errors import InputError, PictureError, checked_keywords
from eyebright.interpret.thresholds import tune_thresholds
from eyebright.losses import picture_losses
from eyebright.metrics.meter import Metric, as_metric
from eyebright.models.build import PictureModel, build_model, describe
from eyebright.models.groups import freeze_to, parameter_groups, set_training_mode
from eyebright.models.summary import ModelSummary, summarise
from eyebright.plot import plot_lr_find
from eyebright.predict import Prediction, Predictor
from eyebright.train.device import Device
from eyebright.train.evaluate import evaluate, outputs
from eyebright.train.events import Observer
from eyebright.train.loop import train, watch
from eyebright.train.lr_find import LRFind, lr_find
from eyebright.train.observers.checkpoint import checkpoint as save_after_epochs
from eyebright.train.observers.progress import show_progress
from eyebright.train.plan import Plan, fine_tune_plans
from eyebright.train.precision import choose_precision
from eyebright.train.recorder import Recorder
from eyebright.train.run import Batch, Run
from eyebright.train.schedule import Constant, FlatCosine, OneCycle, Schedule, lr_groups
from eyebright.train.state import load_checkpoint
from eyebright.types import InputDescription, Thresholds

AnyMetric = Metric | Callable[[Tensor, Tensor], Any]
Rate = float | slice


class Answer(NamedTuple):
    """What `Learner.predict` gives, in the book's order.

    Args:
        decoded: what a person would write.
        decision: the same as a tensor.
        scores: probabilities, or values.
    """

    decoded: Any
    decision: Tensor
    scores: Tensor


class Learner:
    """A model and the data that it learns from.

    Args:
        dls: the training and the validation side.
        model: what `vision_learner` makes.
        loss_func: of raw outputs and targets; None: the target block's.
        metrics: one or several; plain functions get raw outputs and targets, as in the book.
        lr: the learning rate where a call names none.
        wd: weight decay, decoupled; norm layers and biases have none.
        moms: momentum at the start, the peak and the end of a one-cycle.
        train_bn: whether norm layers of a frozen body learn, as in the book; False freezes all of it, statistics too.
        keep_statistics: batch norms of the body keep the statistics of their pretraining in every phase.
        precision: ``"auto"`` measures which is faster here; or ``"float32"``, ``"bfloat16"``, ``"float16"``.
        seed: of dropout; the data have their own.
        observers: watch every fit.
        progress: what a person sees: ``"auto"`` (a bar and a table in a terminal, lines in a log), ``"quiet"``.
    """

    @checked_keywords
    def __init__(
        self,
        dls: DataLoaders,
        model: PictureModel,
        *,
        loss_func: Callable[[Tensor, Tensor], Tensor] | None = None,
        metrics: AnyMetric | Sequence[AnyMetric] | None = None,
        lr: float = 1e-3,
        wd: float = 0.01,
        moms: tuple[float, float, float] = (0.95, 0.85, 0.95),
        train_bn: bool = True,
        keep_statistics: bool = False,
        precision: str = "auto",
        seed: int = 0,
        observers: Sequence[Observer] = (),
        progress: str = "auto",
    ) -> None:
        self.dls = dls
        self.loss_func = loss_func or dls.loss_func
        self.lr, self.wd, self.moms, self.train_bn = lr, wd, moms, train_bn
        self.observers = list(observers)
        self.progress = progress
        self.thresholds = Thresholds()
        self.metrics = metrics
        device = Device(str(dls.device), precision)
        self.model = model
        device.place(model)
        self.run = Run(
            model,
            self.loss_func,
            parameter_groups(model),
            device,
            seed=seed,
            freeze=lambda plan: freeze_to(model, plan.frozen_to, train_bn=plan.train_bn),
            set_training_mode=lambda: set_training_mode(model, train_bn=train_bn, keep_statistics=keep_statistics),
            about={
                "model": model.description.to_json(),
                "target": block_to_json(dls.target),
                "data": dls.datasets.fingerprint(),
                "keep_statistics": keep_statistics,
            },
        )
        self.recorder = Recorder(self.run)
        self._frozen_to = 0

    # ------------------------------------------------------------------ what is asked of it

    @property
    def metrics(self) -> list[Metric]:
        """What validation computes besides the loss."""
        return self._metrics

    @metrics.setter
    def metrics(self, given: AnyMetric | Sequence[AnyMetric] | None) -> None:
        if given is None:
            given = []
        self._metrics = [as_metric(one) for one in (given if isinstance(given, Sequence) else [given])]

    # ------------------------------------------------------------------ freezing

    def freeze(self) -> None:
        """Only the head learns (and norm layers, with ``train_bn``)."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Everything learns."""
        self.freeze_to(0)

    def freeze_to(self, n: int) -> None:
        """The parameter groups before group ``n`` do not learn; -1 leaves only the head."""
        freeze_to(self.model, n, train_bn=self.train_bn)
        self._frozen_to = n % len(self.run.groups)

    # ------------------------------------------------------------------ training

    def fit(
        self,
        n_epoch: int,
        lr: Rate | None = None,
        wd: float | None = None,
        cbs: Sequence[Observer] = (),
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train at a constant learning rate.

        Args:
            n_epoch: epochs.
            lr: the rate; ``slice(low, high)`` spreads it over the groups, ``slice(high)`` gives the body a tenth.
            wd: weight decay of this fit.
            cbs: observers of this fit.
            checkpoint: a file that holds everything at the end of each epoch.
            resume: go on from that file instead of beginning.
        """
        self._fit([self._plan(n_epoch, lr, wd, Constant())], cbs, checkpoint, resume=resume)

    def fit_one_cycle(
        self,
        n_epoch: int,
        lr_max: Rate | None = None,
        div: float = 25.0,
        div_final: float = 1e5,
        pct_start: float = 0.25,
        wd: float | None = None,
        moms: tuple[float, float, float] | None = None,
        cbs: Sequence[Observer] = (),
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train with the one-cycle schedule (Smith, 2018, arXiv:1803.09820).

        Args:
            n_epoch: epochs.
            lr_max: the peak; ``slice(low, high)`` spreads it over the groups, ``slice(high)`` gives the body a tenth.
            div: the first rate is the peak divided by this.
            div_final: the last rate is the peak divided by this.
            pct_start: the share of batches that goes up.
            wd: weight decay of this fit.
            moms: momentum at the start, the peak and the end.
            cbs: observers of this fit.
            checkpoint: a file that holds everything at the end of each epoch.
            resume: go on from that file instead of beginning.
        """
        schedule = OneCycle(div=div, div_final=div_final, pct_start=pct_start, moms=moms or self.moms)
        self._fit([self._plan(n_epoch, lr_max, wd, schedule)], cbs, checkpoint, resume=resume)

    def fit_flat_cos(
        self,
        n_epoch: int,
        lr: Rate | None = None,
        div_final: float = 1e5,
        pct_start: float = 0.75,
        wd: float | None = None,
        cbs: Sequence[Observer] = (),
    ) -> None:
        """Train flat at the peak, then down on a cosine; arguments as in `fit_one_cycle`."""
        self._fit(
            [self._plan(n_epoch, lr, wd, FlatCosine(div_final=div_final, pct_start=pct_start))], cbs, None, resume=False
        )

    @checked_keywords
    def fine_tune(
        self,
        epochs: int,
        base_lr: float = 2e-3,
        freeze_epochs: int = 1,
        lr_mult: float = 100.0,
        pct_start: float = 0.3,
        div: float = 5.0,
        wd: float | None = None,
        cbs: Sequence[Observer] = (),
        *,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train the head alone, then everything at half the rate, the body at much less.

        Args:
            epochs: with everything.
            base_lr: the head's peak while the body is frozen.
            freeze_epochs: with the body frozen.
            lr_mult: the first group's peak is the head's divided by this.
            pct_start: the share of batches that goes up, with everything.
            div: the first rate is the peak divided by this, with everything.
            wd: weight decay.
            cbs: observers of both fits.
            checkpoint: a file that holds everything at the end of each epoch.
            resume: go on from that file instead of beginning.
        """
        plans = fine_tune_plans(
            len(self.run.groups),
            epochs,
            base_lr,
            freeze_epochs=freeze_epochs,
            lr_mult=lr_mult,
            pct_start=pct_start,
            div=div,
            moms=self.moms,
        )
        decay = self.wd if wd is None else wd
        self._fit(
            [replace(plan, weight_decay=decay, train_bn=self.train_bn) for plan in plans],
            cbs,
            checkpoint,
            resume=resume,
        )

    def lr_find(
        self,
        start_lr: float = 1e-7,
        end_lr: float = 10.0,
        num_it: int = 100,
        *,
        stop_div: bool = True,
        show_plot: bool = True,
    ) -> LRFind:
        """Losses at growing learning rates, with suggestions; the model and all generators are as before.

        Unpacks into the two suggestions of the book, ``lr_min, lr_steep = learn.lr_find()``.
        """
        self._settle_precision()
        found = lr_find(
            self.run,
            self._train_batches,
            start_lr=start_lr,
            end_lr=end_lr,
            num_it=num_it,
            stop_div=stop_div,
            plan=self._plan(1, end_lr, None, Constant()),
        )
        if show_plot:
            suggestions = {name: getattr(found, name) for name in ("valley", "slide", "minimum", "steep")}
            plot_lr_find(found.lrs, found.losses, suggestions)
        return found

    # ------------------------------------------------------------------ answers

    def validate(
        self, ds_idx: int = 1, dl: Loader | None = None, *, metrics: Sequence[AnyMetric] | None = None
    ) -> list[float]:
        """The loss and every metric, exact over the whole set.

        Args:
            ds_idx: 1 for the validation side, 0 for the training side (seen as validation pictures are).
            dl: another loader.
            metrics: instead of the learner's own.
        """
        asked = self.metrics if metrics is None else [as_metric(one) for one in metrics]
        return list(self._scores(dl or self.dls.ordered(ds_idx), asked).values())

    def get_preds(
        self,
        ds_idx: int = 1,
        dl: Loader | None = None,
        *,
        with_input: bool = False,
        with_decoded: bool = False,
        with_loss: bool = False,
        act: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Any, ...]:
        """(inputs,) predictions, targets (, decoded) (, losses), in the data set's order.

        Args:
            ds_idx: 1 for the validation side, 0 for the training side (seen as validation pictures are: no chance).
            dl: another loader.
            with_input: the pictures too, first.
            with_decoded: what a person would write too.
            with_loss: the loss of each picture too, last.
            act: from raw outputs to predictions; None: the target block's activation.
        """
        loader = dl or self.dls.ordered(ds_idx)
        logits, targets = self._outputs(loader)
        predictions = (act or self.dls.target.activate)(logits)
        given: list[Any] = [torch.cat([x.cpu() for x, _ in loader])] if with_input else []
        given += [predictions, targets]
        if with_decoded:
            given.append([self.dls.target.decode(row, thresholds=self.thresholds) for row in predictions])
        if with_loss:
            given.append(picture_losses(self.loss_func, logits, targets))
        return tuple(given)

    def predict(self, item: Any) -> Answer:
        """The answer for one picture: a path, bytes, an array, a tensor or a Pillow image.

        Raises:
            PictureError: it cannot be read.
        """
        answers = self.predictor().predict(item)
        for path, reason in answers.skipped.items():
            raise PictureError(path, reason)
        one: Prediction = answers[0]
        return Answer(one.answer, self.dls.target.encode(one.answer), one.scores)

    def predictor(self) -> Predictor:
        """A predictor of the model as it is now."""
        return Predictor(self.manifest(), self.model, device=self.run.device.torch_device)

    def tune_thresholds(self, metric: str = "f1_macro", *, per_class: bool = True) -> Thresholds:
        """Choose on the validation side when a label is given, and use it from now on.

        Args:
            metric: what the thresholds should make best, see `eyebright.interpret.thresholds.tune_thresholds`.
            per_class: one threshold for each class; False: one for all.

        Raises:
            InputError: the answers are not sets of labels.
        """
        if not isinstance(self.dls.target, MultiCategoryBlock):
            raise InputError(f"thresholds decide which labels are given; a {type(self.dls.target).__name__} has none")
        probabilities, targets = self.get_preds()
        self.thresholds = tune_thresholds(probabilities, targets, metric=metric, per_class=per_class)
        return self.thresholds

    # ------------------------------------------------------------------ seeing and saving

    def summary(self) -> ModelSummary:
        """The model layer by layer: shapes, parameters, what learns."""
        return summarise(self.model, (self.dls.bs, *self.dls.one_batch()[0].shape[1:]))

    def manifest(self) -> Manifest:
        """Everything that the model is, except its weights."""
        last = self.run.history[-1] if self.run.history else {}
        sides = self.dls.train_ds, self.dls.valid_ds
        return Manifest(
            model=self.model.description,
            target=self.dls.target,
            view=self.dls.valid.pipeline.transforms,
            thresholds=self.thresholds,
            scores={name: value for name, value in last.items() if name not in ("epoch", "seconds")},
            training={
                "seed": self.run.seed,
                "precision": self.run.device.precision,
                "plans": [plan.to_json() for plan in self.run.plans],
                "weights": self.model.origin,
            },
            data={
                "train": len(sides[0]),
                "valid": len(sides[1]),
                "fingerprint": self.dls.datasets.fingerprint(),
                "skipped": len(self.dls.skipped),
            },
        )

    def save_model(self, folder: str | Path) -> Path:
        """The folder that `load_predictor` reads: weights and a manifest, nothing that runs.

        Raises:
            ArtifactError: the folder cannot be written; a model that was there before still is.
        """
        return save_model(folder, self.manifest(), self.model.state_dict())

    # ------------------------------------------------------------------ how

    def _plan(self, epochs: int, lr: Rate | None, wd: float | None, schedule: Schedule) -> Plan:
        return Plan(
            epochs,
            lr_groups(self.lr if lr is None else lr, len(self.run.groups)),
            schedule,
            weight_decay=self.wd if wd is None else wd,
            train_bn=self.train_bn,
            frozen_to=self._frozen_to,
        )

    def _fit(
        self, plans: Sequence[Plan], cbs: Sequence[Observer], checkpoint: str | Path | None, *, resume: bool
    ) -> None:
        observers = [*self.observers, *cbs]
        if checkpoint is not None:
            observers.append(save_after_epochs(self.run, checkpoint))
        if resume:
            if checkpoint is None:
                raise InputError("to resume, name the checkpoint that a training wrote")
            load_checkpoint(self.run, checkpoint, plans=plans)
        else:
            self._settle_precision(plans[-1].frozen_to)
            self.run.begin(*plans)
        events = train(
            self.run,
            self._train_batches,
            steps=len(self.dls.train),
            validate=lambda: self._scores(self.dls.valid, self.metrics),
        )
        with show_progress(self.progress) as progress:
            watch(events, [progress, *observers])
        self._frozen_to = plans[-1].frozen_to

    def _settle_precision(self, frozen_to: int | None = None) -> None:
        device = self.run.device
        if device.settled:
            return
        asked = self._frozen_to if frozen_to is None else frozen_to
        freeze_to(self.model, asked, train_bn=self.train_bn)
        batch = next(self._train_batches(self.run.epoch))
        device.settle(*choose_precision(self.model, batch, self.loss_func, device))
        freeze_to(self.model, self._frozen_to, train_bn=self.train_bn)

    def _train_batches(self, epoch: int) -> Generator[Batch, None, None]:
        return _pairs(self.dls.train, epoch)

    def _scores(self, loader: Loader, metrics: Sequence[Metric]) -> dict[str, float]:
        return evaluate(
            self.model,
            _pairs(loader),
            self.run.device,
            loss=self.loss_func,
            metrics=metrics,
            activate=self.dls.target.activate,
            thresholds=self.thresholds,
        )

    def _outputs(self, loader: Loader) -> tuple[Float[Tensor, "n ..."], Shaped[Tensor, "n ..."]]:
        seen = list(outputs(self.model, _pairs(loader), self.run.device))
        return torch.cat([logits.cpu() for logits, _ in seen]), torch.cat([targets.cpu() for _, targets in seen])


def _pairs(loader: Loader, epoch: int = 0) -> Generator[Batch, None, None]:
    with closing(loader.batches(epoch)) as batches:
        for batch in batches:
            if batch.y is None:
                raise InputError("these pictures have no targets; for new pictures use predict")
            yield batch.x, batch.y


@checked_keywords
def vision_learner(
    dls: DataLoaders,
    arch: str | Callable[..., nn.Module],
    normalize: bool = True,  # noqa: FBT001  # the book's signature
    n_out: int | None = None,
    pretrained: bool = True,  # noqa: FBT001
    *,
    loss_func: Callable[[Tensor, Tensor], Tensor] | None = None,
    metrics: AnyMetric | Sequence[AnyMetric] | None = None,
    lr: float = 1e-3,
    wd: float = 0.01,
    moms: tuple[float, float, float] = (0.95, 0.85, 0.95),
    train_bn: bool = True,
    keep_statistics: bool = False,
    concat_pool: bool = True,
    pool: bool = True,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = 0.5,
    first_bn: bool = True,
    bn_final: bool = False,
    lin_first: bool = False,
    y_range: Sequence[float] | None = None,
    init: Callable[[Tensor], Any] | None = nn.init.kaiming_normal_,
    precision: str = "auto",
    seed: int = 0,
    observers: Sequence[Observer] = (),
    progress: str = "auto",
) -> Learner:
    """A learner whose model is a pretrained backbone with the book's head; frozen up to the head when pretrained.

    Args:
        dls: the data.
        arch: any timm name, or torchvision's ``resnet18``, ``resnet34``, ``resnet50`` as name or function.
        normalize: the model normalises its input, as its weights want it or as a ``Normalize`` of the data says.
        n_out: outputs; None: what the target needs.
        pretrained: start from pretrained weights.
        loss_func: see `Learner`, as ``metrics``, ``lr``, ``wd``, ``moms``, ``train_bn``, ``precision``, ``observers``.
        metrics: what validation computes besides the loss.
        lr: the learning rate where a call names none.
        wd: weight decay.
        moms: momentum of a one-cycle.
        train_bn: whether norm layers of a frozen body learn.
        keep_statistics: batch norms of the body keep the statistics of their pretraining.
        concat_pool: the head pools with maximum and average, as in the book.
        pool: the head pools.
        lin_ftrs: widths of the head's hidden layers.
        ps: dropout of the head.
        first_bn: a norm before the head's first layer.
        bn_final: a norm behind its last one.
        lin_first: each layer before its norm and dropout.
        y_range: the outputs lie between these two, by a scaled sigmoid.
        init: how the head's weights are initialised; None leaves torch's own.
        precision: the number format of training.
        seed: of the head's first weights and of dropout.
        observers: watch every fit.
        progress: what a person sees of a fit.

    Raises:
        InputError: there is no such architecture.
        WeightsError: pretrained weights cannot be had.
    """
    width = n_out or dls.c
    description = describe(
        arch,
        width,
        size=dls.size,
        concat_pool=concat_pool,
        lin_ftrs=lin_ftrs,
        ps=ps,
        bn_final=bn_final,
        first_bn=first_bn,
        lin_first=lin_first,
        y_range=y_range,
        pool=pool,
    )
    description = replace(description, input=_input(description.input, dls, normalize=normalize))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = build_model(description, pretrained=pretrained, init=init)
    learner = Learner(
        dls,
        model,
        loss_func=loss_func,
        metrics=metrics,
        lr=lr,
        wd=wd,
        moms=moms,
        train_bn=train_bn,
        keep_statistics=keep_statistics,
        precision=precision,
        seed=seed,
        observers=observers,
        progress=progress,
    )
    if pretrained:
        learner.freeze()
    return learner


def _input(own: InputDescription, dls: DataLoaders, *, normalize: bool) -> InputDescription:
    """The model's input: what the data declare goes before what the weights want."""
    declared = dls.pipeline.normalize
    if declared is not None:
        return replace(own, mean=declared.mean, std=declared.std)
    return own if normalize else replace(own, mean=(0.0,) * len(own.mean), std=(1.0,) * len(own.std))
