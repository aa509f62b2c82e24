"""`Learner`: a model with its data, and the verbs of the fastai book. The work is done by `eyebright.train`."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from eyebright import _html as html
from eyebright._defaults import BASE_LR, FREEZE_EPOCHS, LR_MULT, THRESHOLD_METRIC
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.loader import Loader
from eyebright.data.show import show_predictions
from eyebright.errors import InputError, checked_keywords
from eyebright.evaluation.decide import check_has_thresholds, fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.inference.manifest import Manifest, save_model
from eyebright.inference.predictor import Predictor
from eyebright.learner.saved_learner import Interpretation, PredictionTuple, predict_one
from eyebright.losses import image_losses
from eyebright.metrics.meter import Metric, as_metric
from eyebright.models.build import ImageModel
from eyebright.tasks.decision import Decision
from eyebright.train.evaluate import build_evaluation
from eyebright.train.events import Observer
from eyebright.train.history import history_rows
from eyebright.train.lr_find import LRFind
from eyebright.train.optimizer import GroupedOptimizer
from eyebright.train.options import TrainingOptions
from eyebright.train.plan import Plan, fine_tune_plans
from eyebright.train.recorder import Recorder
from eyebright.train.run import Run
from eyebright.train.schedule import BOOK_MOMENTA, Constant, FlatCosine, Momenta, OneCycle, Schedule, lr_groups
from eyebright.train.summary import TrainingSummary
from eyebright.train.trainer import Loss, Trainer
from eyebright.types import EvaluatedPart, Thresholds

AnyMetric = Metric | Callable[[Tensor, Tensor], Any]
Rate = float | slice


class Learner:
    """A model and the data that it learns from.

    Args:
        dls: the training and the validation loader.
        model: for example the one that `vision_learner` builds.
        loss_func: a function of raw outputs and targets; None: the default loss of the target block.
        metrics: one or several; plain functions get raw outputs and targets, as in the book.
        lr: the learning rate where a call names none.
        wd: weight decay, decoupled; norm layers and biases have none.
        moms: momentum at the start, the peak and the end of a one-cycle.
        train_bn: whether norm layers of a frozen backbone learn, as in the book; False freezes all of it, running
            statistics too.
        keep_statistics: batch norms of the backbone keep their pretrained running statistics in every phase.
        precision: ``"auto"`` measures which is faster here; or ``"float32"``, ``"bfloat16"``, ``"float16"``.
        seed: of dropout and of mixing; the data have their own.
        options: how a step learns: optimizer, clip, accumulate, ema, mixup, cutmix, label_smoothing, balance. It can be
            set between fits. None: as in the book.
        observers: watch every fit.
        progress: what a person sees: ``"auto"`` (a bar and a table in a terminal or a notebook, lines in a log),
            ``"quiet"``.
    """

    @checked_keywords
    def __init__(
        self,
        dls: DataLoaders,
        model: ImageModel,
        *,
        loss_func: Loss | None = None,
        metrics: AnyMetric | Sequence[AnyMetric] | None = None,
        lr: float = 1e-3,
        wd: float = 0.01,
        moms: Momenta = BOOK_MOMENTA,
        train_bn: bool = True,
        keep_statistics: bool = False,
        precision: str = "auto",
        seed: int = 0,
        options: TrainingOptions | None = None,
        observers: Sequence[Observer] = (),
        progress: str = "auto",
    ) -> None:
        self.options = options or TrainingOptions()
        self.lr, self.wd, self.moms = lr, wd, moms
        self.observers = list(observers)
        self.progress = progress
        self.metrics = metrics
        self.decision = Decision(dls.target)
        self.trainer = Trainer(
            dls,
            model,
            loss=loss_func,
            precision=precision,
            seed=seed,
            train_bn=train_bn,
            keep_statistics=keep_statistics,
        )
        self.recorder = Recorder(self.run)

    def __repr__(self) -> str:
        return "\n".join(["Learner", *(f"  {name}: {value}" for name, value in self._facts().items())])

    def _repr_html_(self) -> str:
        """The summary for a notebook."""
        return html.block("Learner", html.name_value_table(self._facts()))

    # ------------------------------------------------------------------ properties

    @property
    def thresholds(self) -> Thresholds:
        """From probabilities to decisions; a part of ``decision``."""
        return self.decision.thresholds

    @thresholds.setter
    def thresholds(self, given: Thresholds) -> None:
        self.decision = self.decision.with_thresholds(given)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics that validation computes besides the loss."""
        return self._metrics

    @metrics.setter
    def metrics(self, given: AnyMetric | Sequence[AnyMetric] | None) -> None:
        if given is None:
            given = []
        self._metrics = [as_metric(one) for one in (given if isinstance(given, Sequence) else [given])]

    @property
    def dls(self) -> DataLoaders:
        """The data."""
        return self.trainer.dls

    @property
    def data(self) -> DataLoaders:
        """The data, under the name of the recipes."""
        return self.dls

    @property
    def model(self) -> ImageModel:
        """The network."""
        return self.trainer.model

    @property
    def run(self) -> Run:
        """The state of training."""
        return self.trainer.run

    @property
    def loss_func(self) -> Loss:
        """Of raw outputs and targets; setting it changes training and validation."""
        return self.trainer.loss

    @loss_func.setter
    def loss_func(self, given: Loss) -> None:
        self.trainer.loss = given

    @property
    def opt(self) -> GroupedOptimizer:
        """The optimizer of the last fit; before any, one like that which the next fit will make."""
        return self.trainer.optimizer(self.wd)

    # ------------------------------------------------------------------ freezing and precision

    def freeze(self) -> None:
        """Only the head learns (and norm layers, with ``train_bn``)."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """All layers learn."""
        self.freeze_to(0)

    def freeze_to(self, n: int) -> None:
        """The parameter groups before group ``n`` do not learn; -1 leaves only the head."""
        self.trainer.freeze_to(n)

    def to_fp16(self) -> "Learner":
        """The same learner, which computes in float16 from now on (without a GPU in bfloat16); weights stay float32."""
        return self._with_precision("float16")

    def to_bf16(self) -> "Learner":
        """The same learner, which computes in bfloat16 from now on; weights stay float32."""
        return self._with_precision("bfloat16")

    def to_fp32(self) -> "Learner":
        """The same learner, which computes in float32 from now on."""
        return self._with_precision("float32")

    # ------------------------------------------------------------------ training

    @checked_keywords
    def fit(
        self,
        n_epoch: int,
        lr: Rate | None = None,
        wd: float | None = None,
        cbs: Sequence[Observer] = (),
        *,
        augment_views: int | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train at a constant learning rate.

        Args:
            n_epoch: epochs.
            lr: the rate; ``slice(low, high)`` spreads it over the groups, ``slice(high)`` gives the backbone a tenth.
            wd: weight decay of this fit.
            cbs: observers of this fit.
            augment_views: cache the features of this many augmented views of each image (about 10 kB an image and
                view); later epochs train only the head. Needs a frozen backbone and ``train_bn=False``.
            checkpoint: a file to which the state of training is written after each epoch.
            resume: continue from that file.
        """
        plan = self._plan(n_epoch, lr, wd, Constant(), augment_views)
        self._fit([plan], cbs, checkpoint, resume=resume)

    @checked_keywords
    def fit_one_cycle(
        self,
        n_epoch: int,
        lr_max: Rate | None = None,
        div: float = 25.0,
        div_final: float = 1e5,
        pct_start: float = 0.25,
        wd: float | None = None,
        moms: Momenta | None = None,
        cbs: Sequence[Observer] = (),
        *,
        augment_views: int | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train with the one-cycle schedule (Smith, 2018, arXiv:1803.09820).

        Args:
            n_epoch: epochs.
            lr_max: the peak; ``slice(low, high)`` spreads it over the groups, ``slice(high)`` gives the backbone
                a tenth.
            div: the first rate is the peak divided by this.
            div_final: the last rate is the peak divided by this.
            pct_start: the share of batches that goes up.
            wd: weight decay of this fit.
            moms: momentum at the start, the peak and the end.
            cbs: observers of this fit.
            augment_views: cache the features of this many augmented views of each image (about 10 kB an image and
                view); later epochs train only the head. Needs a frozen backbone and ``train_bn=False``.
            checkpoint: a file to which the state of training is written after each epoch.
            resume: continue from that file.
        """
        schedule = OneCycle(div=div, div_final=div_final, pct_start=pct_start, moms=moms or self.moms)
        plan = self._plan(n_epoch, lr_max, wd, schedule, augment_views)
        self._fit([plan], cbs, checkpoint, resume=resume)

    @checked_keywords
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
        base_lr: float = BASE_LR,
        freeze_epochs: int = FREEZE_EPOCHS,
        lr_mult: float = LR_MULT,
        pct_start: float = 0.3,
        div: float = 5.0,
        wd: float | None = None,
        cbs: Sequence[Observer] = (),
        *,
        augment_views: int | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train the head alone, then all layers at half the learning rate, the backbone at much less.

        Args:
            epochs: in which all layers train.
            base_lr: the head's peak learning rate while the backbone is frozen.
            freeze_epochs: with a frozen backbone.
            lr_mult: the first group's peak is the head's divided by this.
            pct_start: the share of batches that goes up, with everything.
            div: the first rate is the peak divided by this, with everything.
            wd: weight decay.
            cbs: observers of both fits.
            augment_views: cache the features of this many augmented views of each image (about 10 kB an image and
                view); later epochs train only the head. Needs a frozen backbone and ``train_bn=False``.
            checkpoint: a file to which the state of training is written after each epoch.
            resume: continue from that file.
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
        given = {"weight_decay": decay, "train_bn": self.trainer.train_bn, "options": self.options}
        plans = [replace(plan, **given) for plan in plans]
        if augment_views is not None:
            if not freeze_epochs:
                raise InputError(
                    "`augment_views` caches the features of a frozen backbone, and `freeze_epochs=0` freezes none"
                )
            plans[0] = replace(plans[0], augment_views=augment_views)
        self._fit(plans, cbs, checkpoint, resume=resume)

    @checked_keywords
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
        plan = self._plan(1, end_lr, None, Constant())
        found = self.trainer.lr_find(start_lr, end_lr, num_it, stop_div=stop_div, plan=plan, progress=self.progress)
        if show_plot:
            found.plot()
        return found

    # ------------------------------------------------------------------ evaluation and prediction

    @checked_keywords
    def validate(
        self, ds_idx: int | Loader = 1, dl: Loader | None = None, *, metrics: Sequence[AnyMetric] | None = None
    ) -> list[float]:
        """The loss and every metric, exact over the whole set.

        Args:
            ds_idx: 1: the validation set, 0: the training set without augmentation; or a loader,
                as in the recipes.
            dl: another loader.
            metrics: instead of the learner's own.
        """
        asked = self.metrics if metrics is None else [as_metric(one) for one in metrics]
        loader = self._loader(ds_idx, dl)
        return list(self.trainer.validate(loader, asked, self.decision).values())

    @checked_keywords
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
        """(inputs,) predictions, targets (, decoded) (, losses), in the data set's order; without targets, None.

        Args:
            ds_idx: 1: the validation set, 0: the training set without augmentation.
            dl: another loader.
            with_input: the images too, first.
            with_decoded: what a person would write too.
            with_loss: the loss of each image too, last.
            act: from raw outputs to predictions; None: the target block's activation.
        """
        loader = self._loader(ds_idx, dl)
        found = self.trainer.outputs(loader)
        predictions = (act or self.decision.scores)(found.outputs)
        given: list[Any] = [torch.cat([x.cpu() for x, _ in loader])] if with_input else []
        given += [predictions, found.targets]
        if with_decoded:
            own = self.dls.target.own_units(found.outputs, found.warps)
            given.append(self.decision.answers(self.decision.scores(own)))
        if with_loss:
            if found.targets is None:
                raise InputError("these images have no targets, so there is no loss; leave with_loss out")
            given.append(image_losses(self.loss_func, found.outputs, found.targets))
        return tuple(given)

    def evaluate(self, ds_idx: int = 1, dl: Loader | None = None, *, part: EvaluatedPart = "valid") -> Evaluation:
        """The model's outputs for a side, in float32, as the saved model predicts; with targets, files and warps.

        Args:
            ds_idx: 1: the validation set, 0: the training set without augmentation.
            dl: another loader, with targets.
            part: what the set is for.
        """
        loader = self._loader(ds_idx, dl)
        return build_evaluation(loader.dataset, self.trainer.outputs(loader, exact=True), self.decision, part=part)

    def predict(self, item: Any) -> PredictionTuple:
        """The prediction for one image: a path, bytes, an array, a tensor or a Pillow image.

        Raises:
            ImageError: it cannot be read.
        """
        return predict_one(self.predictor(), item)

    def predictor(self) -> Predictor:
        """A predictor of the model as it is now."""
        return Predictor(self.manifest(), self.model, device=self.run.device.torch_device)

    def tune_thresholds(self, metric: str = THRESHOLD_METRIC, *, per_class: bool = True) -> Thresholds:
        """Choose thresholds on the validation set, and use them from now on.

        Args:
            metric: what the thresholds should make best, see `eyebright.evaluation.thresholds.tune_thresholds`.
            per_class: one threshold for each class; False: one for all.

        Raises:
            InputError: the answers are not sets of labels.
        """
        check_has_thresholds(self.decision)
        self.decision = fit_decision(self.evaluate(), metric=metric, per_class=per_class)
        return self.thresholds

    def interpret(self, ds_idx: int = 1) -> Interpretation:
        """The predictions for a dataset (1: validation, 0: training), its targets and the loss of each image."""
        return Interpretation(*self.get_preds(ds_idx, with_loss=True))

    # ------------------------------------------------------------------ showing and saving

    @checked_keywords
    def show_results(
        self,
        ds_idx: int = 1,
        dl: Loader | None = None,
        max_n: int = 9,
        *,
        nrows: int | None = None,
        ncols: int | None = None,
        rows: int | None = None,
        figsize: tuple[float, float] | None = None,
        seed: int = 0,
    ) -> None:
        """Draw images with their targets and predictions.

        Labels stand over the image, the target's first, green where the two agree and red where not. Points are
        drawn on the user's own image, the target beside the prediction.

        Args:
            ds_idx: 1: randomly chosen images of the validation set, 0: of the training set.
            dl: another loader, of which the first images are drawn.
            max_n: how many images at most.
            nrows: rows of the grid.
            ncols: columns of the grid, for points of pairs.
            rows: as many rows and columns, as in the recipes.
            figsize: width and height in inches; None: 3 inches an image.
            seed: of the chance: the same images each time; another seed shows others.
        """
        if rows is not None:
            max_n, nrows, ncols = rows * rows, rows, rows
        loader = dl or self.dls.random_batch_loader(ds_idx, max_n, seed=seed)
        with closing(loader.batches()) as batches:
            batch = next(batches)
        outputs = self.dls.target.own_units(self.trainer.batch_outputs(batch), batch.warps)
        answers = self.decision.answers(self.decision.scores(outputs)[:max_n])
        show_predictions(loader.dataset, batch, answers, grid=(nrows, ncols), figsize=figsize)

    def summary(self) -> TrainingSummary:
        """The model layer by layer: shapes, parameters, what learns; and how it is trained."""
        return self.trainer.summary(self.wd)

    def manifest(self) -> Manifest:
        """Everything that the model is, except its weights."""
        sides = self.dls.train_ds, self.dls.valid_ds
        return Manifest(
            model=self.model.description,
            decision=self.decision,
            preprocessing=self.dls.valid.pipeline.transforms,
            scores=self._last_scores(),
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

    def save_model(
        self, folder: str | Path, *, evaluation: Evaluation | None = None, report: Mapping[str, Any] | None = None
    ) -> Path:
        """The folder that `load_predictor` reads: weights and a manifest, nothing that runs.

        Args:
            folder: is made where it is missing.
            evaluation: what `evaluate` gave, to be saved beside the model, so that thresholds and reports can be made
                again without the images; None saves none.
            report: what a report says beside the evaluation, as JSON (`ReportFacts.to_json`).

        Raises:
            ArtifactError: the folder cannot be written; a model that was there before still is.
        """
        targets = dict(evaluation.training) if evaluation else {}
        manifest = replace(self.manifest(), targets=targets, report=dict(report or {}))
        state = self.model.state_dict()
        self.run.device.on_main(lambda: save_model(folder, manifest, state, evaluation=evaluation))
        return Path(folder)

    def export(self, fname: str | Path = "export") -> Path:
        """The folder that `load_learner` reads, inside ``dls.path``; see `save_model`.

        Args:
            fname: the folder's name.

        Raises:
            InputError: the name is that of a pickle.
            ArtifactError: the folder cannot be written.
        """
        if Path(fname).suffix in (".pkl", ".pth", ".pt"):
            raise InputError(
                f"'{fname}' is the name of a pickle, which can run code when it is loaded; a model is saved as a "
                f"folder here: export('{Path(fname).stem}')"
            )
        return self.save_model(self.dls.path / fname)

    # ------------------------------------------------------------------ private

    def _facts(self) -> dict[str, str]:
        last = ", ".join(f"{name} {value:.4f}" for name, value in self._last_scores().items())
        metrics = ", ".join(metric.name for metric in self.metrics) or "none"
        return {**self.trainer.facts(), "metrics": metrics, "scores": last or "nothing has been trained yet"}

    def _last_scores(self) -> dict[str, float]:
        return dict(history_rows(self.run.history)[-1].scores) if self.run.history else {}

    def _plan(
        self, epochs: int, lr: Rate | None, wd: float | None, schedule: Schedule, augment_views: int | None = None
    ) -> Plan:
        return Plan(
            epochs,
            lr_groups(self.lr if lr is None else lr, len(self.run.groups)),
            schedule,
            weight_decay=self.wd if wd is None else wd,
            train_bn=self.trainer.train_bn,
            frozen_to=self.trainer.frozen_to,
            augment_views=augment_views,
            options=self.options,
        )

    def _fit(
        self, plans: Sequence[Plan], cbs: Sequence[Observer], checkpoint: str | Path | None, *, resume: bool
    ) -> None:
        self.trainer.fit(
            plans,
            [*self.observers, *cbs],
            lambda cache: self.trainer.validate(self.dls.valid, self.metrics, self.decision, cache=cache),
            checkpoint=checkpoint,
            resume=resume,
            progress=self.progress,
        )

    def _with_precision(self, precision: str) -> "Learner":
        self.trainer.use_precision(precision)
        return self

    def _loader(self, side: int | Loader, other: Loader | None) -> Loader:
        loader = side if isinstance(side, Loader) else other or self.dls.evaluation_loader(side)
        # The training loader shuffles, augments and leaves images out; answers are for all of them, in order.
        return self.dls.evaluation_loader(0) if loader is self.dls.train else loader
