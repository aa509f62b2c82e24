"""`Learner`: a model and its data, with the methods of the fastai book. `eyebright.train` does the work."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from torch import Tensor

from eyebright import _html as html
from eyebright._choices import EvaluatedPart
from eyebright._defaults import (
    BASE_LR,
    FOLDS,
    FREEZE_EPOCHS,
    LP_FT_LR,
    LP_FT_LR_MULT,
    LR_MULT,
    PROGRESS,
    THRESHOLD_METRIC,
    TRAINING_PRECISION,
    WEIGHT_DECAY,
)
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.loader import Loader
from eyebright.data.show import show_predictions
from eyebright.errors import InputError, checked_keywords, not_copied
from eyebright.evaluation.compare import Comparison, compare
from eyebright.evaluation.decide import check_has_thresholds, fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import model_hash
from eyebright.inference.out_of_distribution import OutOfDistribution
from eyebright.inference.predictor import Predictor
from eyebright.inference.save_folder import save_model
from eyebright.inference.training_images import TrainingImages, evenly_spread
from eyebright.learner.augmented import predict_augmented
from eyebright.learner.callbacks import AnyCallback, Callbacks, Fit, as_callbacks, observers_of, options_of
from eyebright.learner.fine_tuned import FineTuned
from eyebright.learner.interpretation import ClassificationInterpretation
from eyebright.learner.manifest import manifest_of
from eyebright.learner.model_copy import ModelCopy, check_is_comparable
from eyebright.learner.predictions import Pairs, predict_dataset
from eyebright.learner.saved_learner import PredictionTuple, predict_one
from eyebright.learner.saved_weights import check_no_pickle, load_weights, save_weights, weights_path
from eyebright.learner.start_from import saved_start
from eyebright.learner.time_budget import check_no_steps_per_epoch, epochs_or_minutes, planned_epochs, resumed_plan
from eyebright.learner.wise_ft import possible_shares, use_best_share
from eyebright.losses import image_losses
from eyebright.metrics.meter import Metric, as_metric
from eyebright.models.build import ImageModel
from eyebright.models.groups import has_batch_norms
from eyebright.tasks.decision import Decision
from eyebright.tasks.registry import block_to_json
from eyebright.train.evaluate import build_evaluation
from eyebright.train.events import Event, HeadFitted, Observer
from eyebright.train.feature_cache import FeatureCache
from eyebright.train.history import history_rows
from eyebright.train.linear_head.fit import LinearHead
from eyebright.train.lr_find import LRFind, SuggestFunction, suggestion_names
from eyebright.train.observers.progress import show_progress
from eyebright.train.optimizer import GroupedOptimizer
from eyebright.train.options import FitOptions
from eyebright.train.plan import Plan, all_layers_plan, fine_tune_plans
from eyebright.train.recorder import Recorder
from eyebright.train.run import Run, Scores
from eyebright.train.schedule import BOOK_MOMENTA, Constant, FlatCosine, Momenta, OneCycle, Schedule, lr_groups
from eyebright.train.step import LossNotFiniteError
from eyebright.train.summary import TrainingSummary
from eyebright.train.time_plan import StopAfter
from eyebright.train.trainer import Loss, Trainer
from eyebright.transforms.pipeline import Pipeline
from eyebright.types import Thresholds

AnyMetric = Metric | Callable[[Tensor, Tensor], Any]
Rate = float | slice

_MAX_OVERRUN = 0.03  # share of the time by which planned epochs may exceed it before they are stopped


class Learner:
    """A model and its data, for training, evaluation and prediction.

    Args:
        dls: the training and the validation loader.
        model: the model, for example from `vision_learner`.
        loss_func: a function of raw outputs and targets; None for the default loss of the target block.
        metrics: one or several metrics; plain functions get raw outputs and targets, as in fastai.
        lr: the default learning rate of the fits.
        wd: the default weight decay, which is decoupled; norm layers and biases have none.
        moms: momentum at the start, the peak and the end of the one-cycle schedule.
        train_bn: whether norm layers of a frozen backbone are trained, as in fastai; False freezes them, with their
            running statistics.
        keep_statistics: batch norms of the backbone always keep their pretrained running statistics.
        precision: ``"float32"``, ``"bfloat16"`` or ``"float16"``; ``"auto"`` measures whether bfloat16 is faster.
        seed: seed of dropout, mixup and cutmix; data loaders have their own.
        options: optimizer, gradient clipping and accumulation, EMA, mixup, cutmix, label smoothing and class balance;
            can be set between fits. None for the settings of fastai.
        observers: functions that are called with the events of every fit, and callbacks of fastai.
        cbs: fastai's name of ``observers``; one callback needs no list.
        progress: ``"auto"`` (a bar and a table in a terminal or a notebook, lines in a log), ``"bar"``, ``"lines"``,
            ``"notebook"`` or ``"quiet"``.

    Raises:
        TypeError: an unknown keyword argument; the message suggests the nearest known one.
        InputError: unknown precision or device.

    The fits (`fit`, `fit_one_cycle`, `fit_flat_cos`, `fine_tune`) share these arguments:

    - ``lr``, ``lr_max``: a learning rate; ``slice(low, high)`` spreads it over the parameter groups from the first to
      the last, and ``slice(high)`` gives all groups except the head a tenth of it.
    - ``wd``: weight decay; None for that of the learner.
    - ``cbs``: observers and callbacks of fastai for this fit, in addition to those of the learner.
    - ``augment_views``: cache the features of this many augmented views of each image (about 10 kB per image and view);
      after as many epochs, only the head is computed. Needs a frozen backbone and ``train_bn=False``.
    - ``checkpoint``: a file to which the state of training is written after each epoch.
    - ``resume``: continue from that file.

    They raise an `InputError` if an argument, the options or the batch size are invalid for the model and its target,
    and a `TrainingError` if a loss is not finite, there is no batch, or a checkpoint cannot be written or does not
    match.
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
        wd: float = WEIGHT_DECAY,
        moms: Momenta = BOOK_MOMENTA,
        train_bn: bool = True,
        keep_statistics: bool = False,
        precision: str = TRAINING_PRECISION,
        seed: int = 0,
        options: FitOptions | None = None,
        observers: Callbacks = (),
        cbs: Callbacks = (),
        progress: str = PROGRESS,
    ) -> None:
        self.options = options or FitOptions()
        self.lr, self.wd, self.moms = lr, wd, moms
        self.observers = [*as_callbacks(observers), *as_callbacks(cbs)]
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
        self._loaded_scores: dict[str, float] | None = None

    def __reduce__(self) -> NoReturn:
        raise not_copied(
            self,
            "it contains loaders and a training run: other processes predict with `load_predictor` after "
            "`save_model`, and `vision_learner` with `save` and `load` creates a second learner with the same weights",
        )

    def __repr__(self) -> str:
        return "\n".join(["Learner", *(f"  {name}: {value}" for name, value in self._facts().items())])

    def _repr_html_(self) -> str:
        """The summary for a notebook."""
        return html.block("Learner", html.name_value_table(self._facts()))

    # ------------------------------------------------------------------ properties

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds of ``decision``: from probabilities to predicted labels."""
        return self.decision.thresholds

    @thresholds.setter
    def thresholds(self, given: Thresholds) -> None:
        self.decision = self.decision.with_thresholds(given)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of validation, other than the loss."""
        return self._metrics

    @metrics.setter
    def metrics(self, given: AnyMetric | Sequence[AnyMetric] | None) -> None:
        if given is None:
            given = []
        self._metrics = [as_metric(metric) for metric in (given if isinstance(given, Sequence) else [given])]

    @property
    def dls(self) -> DataLoaders:
        """The training and the validation loader; others can be set, for example with larger images.

        Raises, when it is set:
            InputError: the target, the normalisation, the size or the device does not match the model.
        """
        return self.trainer.dls

    @dls.setter
    def dls(self, given: DataLoaders) -> None:
        self.trainer.use_data(given)
        self._loaded_scores = {}  # the scores of the last epoch belong to other images

    @property
    def data(self) -> DataLoaders:
        """The same as ``dls``; the name in Microsoft's computer-vision recipes."""
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
        """The loss, a function of raw outputs and targets; setting it changes training and validation."""
        return self.trainer.loss

    @loss_func.setter
    def loss_func(self, given: Loss) -> None:
        self.trainer.loss = given

    @property
    def opt(self) -> GroupedOptimizer:
        """The optimizer of the last fit; before the first fit, a new one with the same settings."""
        return self.trainer.optimizer(self.wd)

    # ------------------------------------------------------------------ freezing and precision

    def freeze(self) -> None:
        """Freeze all parameter groups except the head; with ``train_bn``, norm layers are trained too."""
        self.freeze_to(-1)

    def unfreeze(self) -> None:
        """Train all layers."""
        self.freeze_to(0)

    def freeze_to(self, n: int) -> None:
        """Freeze the parameter groups before group ``n``; -1 freezes all but the head."""
        self.trainer.freeze_to(n)

    def to_fp16(self) -> "Learner":
        """Train in float16 (without a GPU in bfloat16) from now on, with float32 weights; returns the learner."""
        return self._with_precision("float16")

    def to_bf16(self) -> "Learner":
        """Train in bfloat16 from now on, with float32 weights; returns the learner."""
        return self._with_precision("bfloat16")

    def to_fp32(self) -> "Learner":
        """Train in float32 from now on; returns the learner."""
        return self._with_precision("float32")

    # ------------------------------------------------------------------ training

    @checked_keywords
    def fit(
        self,
        n_epoch: int,
        lr: Rate | None = None,
        wd: float | None = None,
        cbs: Callbacks = (),
        *,
        augment_views: int | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train at a constant learning rate.

        Args:
            n_epoch: number of epochs.
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
        cbs: Callbacks = (),
        *,
        augment_views: int | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train with the one-cycle schedule (Smith, 2018, arXiv:1803.09820).

        Args:
            n_epoch: number of epochs.
            lr_max: the peak learning rate.
            div: the first learning rate is the peak divided by this.
            div_final: the last learning rate is the peak divided by this.
            pct_start: fraction of steps in which the learning rate rises.
            moms: momentum at the start, the peak and the end; None for that of the learner.
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
        cbs: Callbacks = (),
    ) -> None:
        """Train at a constant learning rate that falls on a cosine at the end.

        Args:
            n_epoch: number of epochs.
            div_final: the last learning rate is the first one divided by this.
            pct_start: fraction of steps with a constant learning rate.
        """
        plan = self._plan(n_epoch, lr, wd, FlatCosine(div_final=div_final, pct_start=pct_start))
        self._fit([plan], cbs, None, resume=False)

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
        cbs: Callbacks = (),
        *,
        augment_views: int | None = None,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> None:
        """Train the head with a frozen backbone, then all layers at half the learning rate, the backbone at less.

        Args:
            epochs: number of epochs with all layers.
            base_lr: peak learning rate of the head while the backbone is frozen.
            freeze_epochs: number of epochs with a frozen backbone.
            lr_mult: in the epochs with all layers, the peak of the first group is that of the head divided by this.
            pct_start: fraction of steps in which the learning rate rises, in the epochs with all layers.
            div: the first learning rate is the peak divided by this, in the epochs with all layers.
        """
        plans = fine_tune_plans(
            len(self.run.param_groups),
            epochs,
            base_lr,
            freeze_epochs=freeze_epochs,
            lr_mult=lr_mult,
            pct_start=pct_start,
            div=div,
            moms=self.moms,
        )
        plans = [self._with_settings(plan, wd) for plan in plans]
        if augment_views is not None:
            if not freeze_epochs:
                raise InputError(
                    "`augment_views` caches the features of a frozen backbone, but `freeze_epochs=0` never freezes it"
                )
            plans[0] = replace(plans[0], augment_views=augment_views)
        self._fit(plans, cbs, checkpoint, resume=resume)

    @checked_keywords
    def fit_head(self, C: float | Sequence[float] | None = None, *, groups: Sequence[Any] | None = None) -> LinearHead:
        """Fit a linear head to the features of the frozen backbone; it replaces the head of the model.

        The features of each image are computed once, without augmentation and in float32. The head is the optimum of
        scikit-learn's objective (`eyebright.train.linear_head.fit.fit_linear_head`): logistic regression for labels,
        multinomial for classes, ridge regression for points and numbers. With few images it often is as good as
        fine-tuning, in a fraction of the time. A fit that follows starts from it; give the learner
        ``keep_statistics=True`` then, since other statistics of batch norms change the features.

        ``loss_func`` and ``options`` of the learner do not affect the fit, and a ``y_range`` is dropped: the outputs
        are unbounded. For points the features are pooled in a grid of 4 x 4, or of 2 x 2 for more than 5,000 images.

        Args:
            C: the inverse strength of the penalty; several values, or None for a grid, are chosen from by inner folds
                of the training images.
            groups: the group of each item of the data, such as a person; groups are not divided by inner folds.

        Returns:
            The head, with the chosen values of ``C`` and notes about labels.

        Raises:
            InputError: an image has no target, no target is known, or ``C`` or ``groups`` is invalid.
        """
        return self._fit_head(C, groups, self._observers(as_callbacks(self.observers)))

    @checked_keywords
    def lp_ft(
        self,
        epochs: int | None = None,
        lr: float = LP_FT_LR,
        lr_mult: float = LP_FT_LR_MULT,
        pct_start: float = 0.3,
        div: float = 5.0,
        wd: float | None = None,
        cbs: Callbacks = (),
        *,
        minutes: float | None = None,
        wise_ft: float | None = None,
        C: float | Sequence[float] | None = None,
        groups: Sequence[Any] | None = None,
        keep_better: bool = True,
        checkpoint: str | Path | None = None,
        resume: bool = False,
    ) -> FineTuned:
        """Fit a linear head to the frozen backbone, then train all layers from there; keep the better of both models.

        This is LP-FT, linear probing and then fine-tuning (Kumar et al., 2022, arXiv:2202.10054). From a random head
        the backbone first changes to suit that head, and loses part of what pretraining has learnt; from a fitted one
        training begins where the frozen model ends. Give the learner ``keep_statistics=True``, since other statistics
        of batch norms change the features that the head was fitted to.

        Args:
            epochs: number of epochs with all layers; None with ``minutes``.
            lr: peak learning rate of the head.
            lr_mult: the peak of the first group is that of the head divided by this.
            pct_start: fraction of steps in which the learning rate rises.
            div: the first learning rate is the peak divided by this.
            minutes: the time limit of the whole fit, including the frozen model: a few steps are measured, and as many
                epochs are planned as fit, shorter ones (``steps_per_epoch``) if whole ones would leave time unused. If
                there is no time for a step, the frozen model is the result. A resumed training run keeps the epochs of
                its checkpoint.
            wise_ft: share of the fine-tuned weights in the final ones, in (0, 1]; the rest is that of the frozen model
                (WiSE-FT; Wortsman et al., 2022, arXiv:2109.01903). None for the one of 1/3, 2/3 and 1 with the lowest
                loss on the validation images, or for 1 if batch norms do not keep their statistics. The scores after
                each epoch are those of the fine-tuned weights, not of the average.
            C: as in `fit_head`.
            groups: as in `fit_head`.
            keep_better: whether the weights of the frozen model are restored if the main metric of the
                target (mAP, accuracy, mean distance or error) on the validation images is not better after training.

        Returns:
            The head, and both models compared on the validation images.

        Raises:
            InputError: as in `fit_head`, ``wise_ft`` is out of range, not exactly one of ``epochs`` and ``minutes`` is
                given, or the main metric cannot be computed from the validation images. Invalid arguments are rejected
                before the head is replaced.
            TrainingError: as in the other fits. Where the loss is not finite, the learner has the frozen model then.
        """
        started, n_epochs = time.perf_counter(), epochs_or_minutes(epochs, minutes)
        keeps_statistics = self.trainer.keep_statistics or not has_batch_norms(self.model.body)
        shares = possible_shares(wise_ft, keeps_statistics=keeps_statistics)
        callbacks = [*self.observers, *as_callbacks(cbs)]
        plan = all_layers_plan(
            len(self.run.param_groups), n_epochs, lr, lr_mult=lr_mult, pct_start=pct_start, div=div, moms=self.moms
        )
        plan = self._with_options(self._with_settings(plan, wd), callbacks)
        if minutes is not None:
            check_no_steps_per_epoch(plan)
            if resume and checkpoint is not None:
                plan, minutes = resumed_plan(plan, checkpoint), None
        observers = self._observers(callbacks)
        self.trainer.check_fit_from_linear_head(plan, C=C, groups=groups, checkpoint=checkpoint, resume=resume)
        head = self._fit_head(C, groups, observers)
        evaluation = self.evaluate()
        if keep_better:
            check_is_comparable(evaluation)
        frozen = ModelCopy.of(self.model, evaluation, self._last_scores())
        frozen_seconds = time.perf_counter() - started
        if minutes is not None:
            end = started + 60 * minutes
            plan = self._planned(plan, observers, end, len(shares) + 1, checkpoint=checkpoint is not None)
            if plan is None:
                return FineTuned(head, frozen.scores, None, 0.0, keeps_frozen=True, seconds=0.0, plan=None)
        try:
            self._train([plan], observers, checkpoint, resume=resume)
        except LossNotFiniteError:  # keep the frozen model
            self._restore(frozen)
            raise
        share, comparison, keeps_frozen = self._keep(frozen, shares, keep_better=keep_better)
        seconds = math.fsum(row["seconds"] for row in self.run.history)
        doublings = None if minutes is None else math.log2((time.perf_counter() - started) / frozen_seconds)
        return FineTuned(head, frozen.scores, comparison, share, keeps_frozen, seconds, plan, doublings)

    @checked_keywords
    def out_of_fold(
        self, n_folds: int = FOLDS, *, C: float | Sequence[float] | None = None, groups: Sequence[Any] | None = None
    ) -> Evaluation:
        """An evaluation of all labelled images, each by a linear head that was not fitted to it.

        The training and the validation images are divided into folds, with the labels' shares in each. For each fold a
        head is fitted as in `fit_head` to the images of the others, on the features of the backbone as it is. The heads
        are others than that of the model. Only training images use their sample weights; validation images have the
        weight 1.

        Args:
            n_folds: the number of folds, from 2 to the number of images or groups.
            C: as in `fit_head`; it is chosen for each fold without the images of the fold.
            groups: as in `fit_head`; no group is in two folds.

        Raises:
            InputError: as in `fit_head`; or ``n_folds`` is out of range, or the backbone was trained on these images,
                so that its features have seen all of them.
        """
        outputs = self.trainer.out_of_fold(n_folds, C=C, groups=groups, progress=self.progress)
        return build_evaluation(self.dls.datasets.joined(), outputs, self.decision, part="out_of_fold")

    @checked_keywords
    def lr_find(
        self,
        start_lr: float = 1e-7,
        end_lr: float = 10.0,
        num_it: int = 100,
        *,
        stop_div: bool = True,
        show_plot: bool = True,
        suggest_funcs: SuggestFunction | Sequence[SuggestFunction] | None = None,
    ) -> LRFind:
        """The losses at increasing learning rates, with suggestions; model and generators are restored.

        The result unpacks into the two suggestions of fastai, ``lr_min, lr_steep = learn.lr_find()``.

        Args:
            start_lr: the first learning rate.
            end_lr: the learning rate that would follow the last step.
            num_it: number of steps, at least 8.
            stop_div: stop when the smoothed loss is four times its lowest value.
            show_plot: plot the losses.
            suggest_funcs: ``valley``, ``slide``, ``minimum`` or ``steep``, or several of them: what the result unpacks
                into, in this order; it always has all four as attributes.

        Raises:
            InputError: not 0 < start_lr < end_lr, fewer than 8 steps, another function, or options that are invalid for
                the target.
            TrainingError: the loss diverged too early for a suggestion, or there was no batch.
            MissingExtraError: Matplotlib is not installed, and ``show_plot`` is True.
        """
        names = None if suggest_funcs is None else suggestion_names(suggest_funcs)
        plan = self._with_options(self._plan(1, end_lr, None, Constant()), self.observers)
        found = self.trainer.lr_find(start_lr, end_lr, num_it, stop_div=stop_div, plan=plan, progress=self.progress)
        if show_plot:
            found.plot()
        return found if names is None else replace(found, unpacked=names)

    # ------------------------------------------------------------------ evaluation and prediction

    @checked_keywords
    def validate(
        self, ds_idx: int | Loader = 1, dl: Loader | None = None, *, metrics: Sequence[AnyMetric] | None = None
    ) -> list[float]:
        """The loss and the metrics, computed on the whole dataset, not averaged over batches.

        Args:
            ds_idx: 1 for the validation set, 0 for the training set without augmentation; or a loader, as in
                Microsoft's computer-vision recipes.
            dl: another loader.
            metrics: the metrics; None for those of the learner.

        Raises:
            InputError: the dataset has no targets, or no image can be read.
        """
        chosen = self.metrics if metrics is None else [as_metric(metric) for metric in metrics]
        return list(self.trainer.validate(self._loader(ds_idx, dl), chosen, self.decision).values())

    @checked_keywords
    def get_preds(
        self,
        ds_idx: int = 1,
        dl: Loader | Pairs | None = None,
        *,
        with_input: bool = False,
        with_decoded: bool = False,
        with_loss: bool = False,
        act: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Any, ...]:
        """Predictions and targets of a dataset, in its order; predictions are probabilities, points or numbers.

        The result is a tuple (inputs, predictions, targets, decoded, losses) of which only the requested ones are
        returned. Targets are None if the dataset has none.

        Args:
            ds_idx: 1 for the validation set, 0 for the training set without augmentation.
            dl: another loader, or batches as tensors: ``[(x, y)]``.
            with_input: also return the images.
            with_decoded: also return the predicted labels, points or numbers.
            with_loss: also return the loss of each image.
            act: a function from raw outputs to probabilities or values; None for the activation of the target block.

        Raises:
            InputError: no image can be read, or there is no loss because the dataset has no targets.
        """
        return predict_dataset(
            self.trainer,
            self._loader(ds_idx, dl) if dl is None or isinstance(dl, Loader) else dl,
            self.decision,
            with_input=with_input,
            with_decoded=with_decoded,
            with_loss=with_loss,
            act=act,
        )

    @checked_keywords
    def tta(
        self,
        ds_idx: int = 1,
        dl: Loader | None = None,
        n: int = 4,
        item_tfms: Any = None,
        batch_tfms: Any = None,
        beta: float | None = 0.25,
        use_max: bool = False,  # noqa: FBT001 - fastai's signature
    ) -> tuple[Any, Tensor | None]:
        """(predictions, targets) of a dataset: ``beta`` times the plain predictions, the rest from augmented views.

        Args:
            ds_idx: 1 for the validation set, 0 for the training set.
            dl: another loader.
            n: number of augmented views of each image.
            item_tfms: transforms of the views; None, with ``batch_tfms``: those of training.
            batch_tfms: more transforms of the views.
            beta: share of the plain predictions; None returns (augmented, plain) instead of one tensor.
            use_max: the greatest score of all views instead of a mean.

        Raises:
            InputError: the targets are points, ``n`` or ``beta`` is out of range, or no image can be read.
        """
        pipeline = self.dls.pipeline
        if item_tfms is not None or batch_tfms is not None:
            pipeline = Pipeline.create(item_tfms, batch_tfms, self.dls.device)
        return predict_augmented(
            self.trainer, self._loader(ds_idx, dl), pipeline, self.decision, n=n, beta=beta, use_max=use_max
        )

    def evaluate(self, ds_idx: int = 1, dl: Loader | None = None, *, part: EvaluatedPart = "valid") -> Evaluation:
        """The model's outputs for a dataset, in float32 like the saved model, with targets, files and warps.

        Args:
            ds_idx: 1 for the validation set, 0 for the training set without augmentation.
            dl: another loader.
            part: the part of the data.

        Raises:
            InputError: the dataset has no targets, or no image can be read.
        """
        loader = self._loader(ds_idx, dl)
        outputs = self.trainer.outputs.of_loader(loader, exact=True)
        weights = model_hash(self.model.description, self.model.state_dict())
        return replace(build_evaluation(loader.dataset, outputs, self.decision, part=part), weights=weights)

    def fit_out_of_distribution(self) -> OutOfDistribution | None:
        """The out-of-distribution detector, fitted to the features of training images, for `save_model`.

        Returns:
            None for fewer than 10 training or validation images.

        Raises:
            InputError: no image can be read.
        """
        return self.trainer.fit_out_of_distribution()

    def predict(self, item: Any) -> PredictionTuple:
        """The prediction for one image: a path, bytes, an array, a tensor or a Pillow image.

        Raises:
            ImageError: the image cannot be read.
            InputError: ``item`` is not an image.
        """
        return predict_one(self.predictor(), item)

    def predictor(self) -> Predictor:
        """A predictor with the current weights."""
        return Predictor(self.manifest(), self.model, device=self.run.device.torch_device)

    def tune_thresholds(self, metric: str = THRESHOLD_METRIC, *, per_class: bool = True) -> Thresholds:
        """Tune the thresholds on the validation set, and use them from now on.

        Args:
            metric: the metric to optimise, see `eyebright.evaluation.thresholds.tune_thresholds`.
            per_class: True for one threshold per class; False for one threshold for all.

        Raises:
            InputError: the targets are not multi-label, the metric is unknown, or no image has a label.
        """
        check_has_thresholds(self.decision)
        self.decision = fit_decision(self.evaluate(), metric=metric, per_class=per_class)
        return self.thresholds

    def interpret(self, ds_idx: int = 1, dl: Loader | None = None) -> ClassificationInterpretation:
        """What the model predicts for a dataset and confuses, with the loss of each image; arguments as in `evaluate`.

        Raises:
            InputError: the dataset has no targets, or no image can be read.
        """
        loader = self._loader(ds_idx, dl)
        evaluation = self.evaluate(dl=loader)
        given = self.trainer.outputs.of_loader(loader, exact=True)
        assert given.targets is not None  # otherwise there was no evaluation
        return ClassificationInterpretation(
            evaluation, image_losses(self.loss_func, given.outputs, given.targets), loader.dataset
        )

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
        """Show images with their targets and predictions.

        The title of an image is its target and below it the prediction, green if they agree and red if not. Points are
        drawn on two copies of the original image, one with the target and one with the prediction.

        Args:
            ds_idx: 1 for random images of the validation set, 0 for the training set.
            dl: another loader, whose first images are shown.
            max_n: maximum number of images.
            nrows: number of rows.
            ncols: number of columns; for points, of pairs.
            rows: number of both rows and columns, as in Microsoft's computer-vision recipes.
            figsize: width and height of the figure in inches; None for 3 inches per image.
            seed: seed of the random choice.

        Raises:
            InputError: no image can be read.
            MissingExtraError: Matplotlib is not installed.
        """
        if rows is not None:
            max_n, nrows, ncols = rows * rows, rows, rows
        loader = self.dls.random_batch_loader(ds_idx, max_n, seed=seed) if dl is None else dl  # an empty one is falsy
        with closing(loader.batches()) as batches:
            batch = next(batches)
        outputs = self.dls.target.to_user_units(self.trainer.outputs.of_batch(batch), batch.warps)
        decoded = self.decision.decode_batch(self.decision.activate(outputs)[:max_n])
        show_predictions(loader.dataset, batch, decoded, grid=(nrows, ncols), figsize=figsize)

    def summary(self) -> TrainingSummary:
        """The layers of the model with shapes and parameters, the optimizer, the loss and what is frozen."""
        return self.trainer.summary(self.wd)

    def manifest(self) -> Manifest:
        """The description of the model without its weights, as it is saved."""
        return manifest_of(self.trainer, self.decision, self._last_scores())

    def save_model(
        self,
        folder: str | Path,
        *,
        evaluation: Evaluation | None = None,
        held_out: Sequence[Evaluation] = (),
        out_of_fold: Evaluation | None = None,
        out_of_distribution: OutOfDistribution | None = None,
        report: Mapping[str, Any] | None = None,
        tuning: Mapping[str, Any] | None = None,
    ) -> Path:
        """Save the model as the folder that `load_predictor` reads: weights and a manifest, without code.

        Args:
            folder: the folder; it is created if missing.
            evaluation: an evaluation from `evaluate` to save with the model, from which thresholds and reports can be
                recomputed without the images; the names of some training images are saved with it.
            held_out: evaluations of images of the parts promise and test, to save with it.
            out_of_fold: an evaluation from `out_of_fold` to save with the model.
            out_of_distribution: the result of `fit_out_of_distribution`; with it predictions have an
                out-of-distribution score.
            report: more content of the report, as JSON (`ReportFacts.to_json`).
            tuning: the record of the fit of the decision, as JSON (`Manifest.tuning`).

        Raises:
            ArtifactError: the folder cannot be written, or the evaluation belongs to other weights or another target; a
                previous model in it is kept.
        """
        targets = dict(evaluation.training) if evaluation else {}
        manifest = replace(self.manifest(), targets=targets, report=dict(report or {}), tuning=dict(tuning or {}))
        state = self.model.state_dict()
        train = self.dls.train_ds
        images = None if evaluation is None else TrainingImages.of(train.paths(evenly_spread(train.indices)))
        self.run.device.on_main(
            lambda: save_model(
                folder,
                manifest,
                state,
                evaluation=evaluation,
                held_out=held_out,
                out_of_fold=out_of_fold,
                out_of_distribution=out_of_distribution,
                training_images=None if images is None else images.to_bytes(Path(folder)),
            )
        )
        return Path(folder)

    def save(self, file: str | Path) -> Path:
        """Save the weights as ``models/FILE.safetensors`` inside ``dls.path``; `load` loads them.

        The file has only the weights: every fit creates its own optimizer. To continue an interrupted training run, use
        ``checkpoint`` and ``resume`` of the fits; for prediction use `save_model`.

        Raises:
            InputError: the name is that of a pickle.
            ArtifactError: the file cannot be written.
        """
        path = weights_path(self.dls.path, file)
        about = {
            "data": self.dls.datasets.fingerprint(),
            "scores": self._last_scores(),
            "backbone_was_trained": self.model.backbone_was_trained,
        }
        target = block_to_json(self.dls.target)
        self.run.device.on_main(lambda: save_weights(path, self.model, target=target, about=about))
        return path

    def load(self, file: str | Path) -> "Learner":
        """Load the weights that `save` saved; returns the learner.

        Raises:
            InputError: the name is that of a pickle.
            ArtifactError: the file does not exist, is damaged, or belongs to another model or target; the weights are
                unchanged.
        """
        about = load_weights(weights_path(self.dls.path, file), self.model, target=block_to_json(self.dls.target))
        self.model.backbone_was_trained = about.get("backbone_was_trained", True)
        same_data = about.get("data") == self.dls.datasets.fingerprint()
        self._loaded_scores = dict(about.get("scores", {})) if same_data else {}
        return self

    def start_from(self, folder: str | Path) -> "Learner":
        """Take over the weights of a saved model, to train further; returns the learner.

        The backbone, the normalisation and the head are those of the saved model. Labels, points and numbers that both
        have keep their outputs and their thresholds; new ones get new outputs, and others are dropped. The backbone is
        frozen. The saved calibration is dropped: it was fitted to the outputs of the saved model.

        Images that the saved model was trained on must not be validation images here: give the data the same split.

        Args:
            folder: a model folder, as `save_model` writes it; the learner needs the same architecture.

        Raises:
            ArtifactError: the folder contains no model, or a damaged one; the learner is unchanged.
            InputError: the saved model has another architecture, image size or kind of target.
        """
        start = saved_start(folder, self.dls.target)
        saved, own = start.model.description.arch, self.model.description.arch
        if saved != own:
            raise InputError(
                f"the model in '{folder}' is a {saved}, but this learner has a {own}: create it with '{saved}'"
            )
        self.trainer.start_from(start.model, start.rows, start.record)
        self.decision = Decision(self.dls.target)
        if start.thresholds is not None:
            self.thresholds = start.thresholds
        self._loaded_scores = {}
        return self

    def export(self, fname: str | Path = "export") -> Path:
        """Save the model as the folder that `load_learner` reads, inside ``dls.path``; see `save_model`.

        Args:
            fname: the name of the folder.

        Raises:
            InputError: the name is that of a pickle.
            ArtifactError: the folder cannot be written.
        """
        check_no_pickle(fname, instead="a model is saved as a folder: use export('{stem}')")
        return self.save_model(self.dls.path / fname)

    # ------------------------------------------------------------------ private

    def _facts(self) -> dict[str, str]:
        last = ", ".join(f"{name} {value:.4f}" for name, value in self._last_scores().items())
        metrics = ", ".join(metric.name for metric in self.metrics) or "none"
        return {**self.trainer.facts(), "metrics": metrics, "scores": last or self._no_scores()}

    def _no_scores(self) -> str:
        is_new = self._loaded_scores is None and not self.run.history
        return "nothing has been trained yet" if is_new else "none of these weights for these data yet"

    def _last_scores(self) -> dict[str, float]:
        """The scores of the current weights: of the last epoch, or of weights that were loaded since."""
        if self._loaded_scores is not None:
            return self._loaded_scores
        return dict(history_rows(self.run.history)[-1].scores) if self.run.history else {}

    def _plan(
        self, epochs: int, lr: Rate | None, wd: float | None, schedule: Schedule, augment_views: int | None = None
    ) -> Plan:
        return Plan(
            epochs,
            lr_groups(self.lr if lr is None else lr, len(self.run.param_groups)),
            schedule,
            weight_decay=self.wd if wd is None else wd,
            train_bn=self.trainer.train_bn,
            frozen_to=self.trainer.frozen_to,
            augment_views=augment_views,
            options=self.options,
        )

    def _fit(self, plans: Sequence[Plan], cbs: Callbacks, checkpoint: str | Path | None, *, resume: bool) -> None:
        callbacks = [*self.observers, *as_callbacks(cbs)]
        plans = [self._with_options(plan, callbacks) for plan in plans]
        self._train(plans, self._observers(callbacks), checkpoint, resume=resume)

    def _train(
        self, plans: Sequence[Plan], observers: Sequence[Observer], checkpoint: str | Path | None, *, resume: bool
    ) -> None:
        self._loaded_scores = None
        try:
            self.trainer.fit(
                plans,
                observers,
                self._validate,
                checkpoint=checkpoint,
                resume=resume,
                progress=self.progress,
            )
        except BaseException:
            self._loaded_scores = {}  # the weights are those of the middle of an epoch, or were before any epoch
            raise

    def _fit_head(
        self, C: float | Sequence[float] | None, groups: Sequence[Any] | None, observers: Sequence[Observer]
    ) -> LinearHead:
        started = time.perf_counter()
        fitted, self._loaded_scores = self.trainer.fit_head(
            C=C, groups=groups, progress=self.progress, metrics=self.metrics, decision=self.decision
        )
        self._show(HeadFitted(self._loaded_scores, time.perf_counter() - started), observers)
        return fitted

    def _keep(self, frozen: ModelCopy, shares: Sequence[float], *, keep_better: bool) -> tuple[float, Comparison, bool]:
        """(share of the fine-tuned weights, comparison, whether the frozen model is kept), of what has been trained.

        The model has the weights that are kept.
        """
        share = use_best_share(self.model, frozen.weights, shares, lambda: self._exact_scores(())["valid_loss"])
        comparison = compare(frozen.evaluation, self.evaluate(), frozen.metric)
        keeps_frozen = keep_better and not comparison.second_is_better
        if keeps_frozen:
            self._restore(frozen)
        elif share < 1:  # the scores of the last epoch belong to other weights
            self._loaded_scores = self._exact_scores(self.metrics)
        return share, comparison, keeps_frozen

    def _restore(self, frozen: ModelCopy) -> None:
        frozen.restore(self.model)
        self._loaded_scores = dict(frozen.scores)

    def _show(self, event: Event, observers: Sequence[Observer]) -> None:
        """Shows an event from outside the training loop, and passes it to the observers."""
        with show_progress(self.progress if self.run.device.is_main else "quiet") as shown:
            for observer in (shown, *observers):
                observer(event)

    def _planned(
        self, plan: Plan, observers: list[Observer], end: float, n_validations: int, *, checkpoint: bool
    ) -> Plan | None:
        """The plan with the epochs that fit into the time; None if no step fits."""
        planned, event = planned_epochs(
            self.trainer, plan, self._validate, end=end, n_validations=n_validations, checkpoint=checkpoint
        )
        self._show(event, observers)
        if planned is not None:
            observers.append(StopAfter(self.run, event.seconds + _MAX_OVERRUN * (end - time.perf_counter())))
        return planned

    def _validate(self, cache: FeatureCache | None) -> Scores:
        return self.trainer.validate(self.dls.valid, self.metrics, self.decision, cache=cache)

    def _observers(self, callbacks: Sequence[AnyCallback]) -> list[Observer]:
        return observers_of(callbacks, Fit(self.run, self.dls, self.metrics, self.save, self.load))

    def _with_settings(self, plan: Plan, wd: float | None) -> Plan:
        """The plan with the settings of the learner."""
        decay = self.wd if wd is None else wd
        return replace(plan, weight_decay=decay, train_bn=self.trainer.train_bn, options=self.options)

    def _with_options(self, plan: Plan, callbacks: Sequence[AnyCallback]) -> Plan:
        """The plan with the options that the callbacks represent."""
        return replace(plan, options=replace(plan.options, **options_of(callbacks, self.dls)))

    def _with_precision(self, precision: str) -> "Learner":
        self.trainer.use_precision(precision)
        return self

    def _exact_scores(self, metrics: Sequence[Metric]) -> dict[str, float]:
        return self.trainer.validate(self.dls.valid, metrics, self.decision, exact=True)

    def _loader(self, ds_idx: int | Loader, dl: Loader | None) -> Loader:
        if isinstance(ds_idx, Loader):
            ds_idx, dl = 1, ds_idx
        # not `dl or`: a loader without images is falsy, and answers on other images would come back
        loader = self.dls.evaluation_loader(ds_idx) if dl is None else dl
        # The training loader shuffles, augments and can omit images; predictions are for all of them, in order.
        return self.dls.evaluation_loader(0) if loader is self.dls.train else loader
