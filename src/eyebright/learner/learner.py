"""`Learner`: a model and its data, with the methods of the fastai book. `eyebright.train` does the work."""

from collections.abc import Callable, Mapping, Sequence
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
from eyebright.errors import checked_keywords, not_copied
from eyebright.evaluation.decide import check_has_thresholds, fit_decision
from eyebright.evaluation.evaluation import Evaluation
from eyebright.inference.manifest import Manifest
from eyebright.inference.out_of_distribution import OutOfDistribution
from eyebright.inference.predictor import Predictor
from eyebright.inference.save_folder import save_model
from eyebright.inference.training_images import TrainingImages, evenly_spread
from eyebright.learner.augmented import predict_augmented
from eyebright.learner.callbacks import AnyCallback, Callbacks, as_callbacks
from eyebright.learner.fine_tuned import FineTuned
from eyebright.learner.interpretation import ClassificationInterpretation
from eyebright.learner.lp_ft import LpFt, lp_ft
from eyebright.learner.manifest import manifest_of
from eyebright.learner.plans import FitSettings, Rate
from eyebright.learner.predictions import Pairs, predict_dataset
from eyebright.learner.saved_learner import PredictionTuple, predict_one
from eyebright.learner.saved_weights import check_no_pickle
from eyebright.learner.show_results import show_first_batch
from eyebright.learner.time_budget import epochs_or_minutes
from eyebright.learner.training import AnyMetric, Training, as_metrics
from eyebright.metrics.meter import Metric
from eyebright.models.build import ImageModel
from eyebright.tasks.decision import Decision
from eyebright.train.evaluate import build_evaluation
from eyebright.train.linear_head.fit import LinearHead
from eyebright.train.lr_find import LRFind, SuggestFunction, suggestion_names
from eyebright.train.optimizer import GroupedOptimizer
from eyebright.train.options import FitOptions
from eyebright.train.plan import Plan
from eyebright.train.recorder import Recorder
from eyebright.train.run import Run
from eyebright.train.schedule import BOOK_MOMENTA, Constant, FlatCosine, Momenta, OneCycle
from eyebright.train.summary import TrainingSummary
from eyebright.train.trainer import Loss, Trainer
from eyebright.transforms.pipeline import Pipeline
from eyebright.types import Thresholds


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
        trainer = Trainer(
            dls,
            model,
            loss=loss_func,
            precision=precision,
            seed=seed,
            train_bn=train_bn,
            keep_statistics=keep_statistics,
        )
        self._training = Training(trainer, as_metrics(metrics), Decision(dls.target), progress)
        self.recorder = Recorder(self.run)

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
    def trainer(self) -> Trainer:
        """Trains the model on the data."""
        return self._training.trainer

    @property
    def decision(self) -> Decision:
        """Converts outputs to predictions; it is saved with the model."""
        return self._training.decision

    @decision.setter
    def decision(self, decision: Decision) -> None:
        self._training.decision = decision

    @property
    def progress(self) -> str:
        """The progress display, see the arguments of the class."""
        return self._training.progress

    @progress.setter
    def progress(self, progress: str) -> None:
        self._training.progress = progress

    @property
    def thresholds(self) -> Thresholds:
        """The thresholds of ``decision``: from probabilities to predicted labels."""
        return self.decision.thresholds

    @thresholds.setter
    def thresholds(self, thresholds: Thresholds) -> None:
        self.decision = self.decision.with_thresholds(thresholds)

    @property
    def metrics(self) -> list[Metric]:
        """The metrics of validation, other than the loss."""
        return self._training.metrics

    @metrics.setter
    def metrics(self, metrics: AnyMetric | Sequence[AnyMetric] | None) -> None:
        self._training.metrics = as_metrics(metrics)

    @property
    def dls(self) -> DataLoaders:
        """The training and the validation loader; others can be set, for example with larger images.

        Raises, when it is set:
            InputError: the target, the normalisation, the size or the device does not match the model.
        """
        return self.trainer.dls

    @dls.setter
    def dls(self, dls: DataLoaders) -> None:
        self.trainer.use_data(dls)
        self._training.forget_scores()  # they belong to other images

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
    def loss_func(self, loss: Loss) -> None:
        self.trainer.loss = loss

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
        self.trainer.use_precision("float16")
        return self

    def to_bf16(self) -> "Learner":
        """Train in bfloat16 from now on, with float32 weights; returns the learner."""
        self.trainer.use_precision("bfloat16")
        return self

    def to_fp32(self) -> "Learner":
        """Train in float32 from now on; returns the learner."""
        self.trainer.use_precision("float32")
        return self

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
        plan = self._settings(wd).one_phase(n_epoch, lr, Constant(), augment_views)
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
        plan = self._settings(wd).one_phase(n_epoch, lr_max, schedule, augment_views)
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
        plan = self._settings(wd).one_phase(n_epoch, lr, FlatCosine(div_final=div_final, pct_start=pct_start))
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
        plans = self._settings(wd).fine_tune(
            epochs,
            base_lr,
            freeze_epochs=freeze_epochs,
            lr_mult=lr_mult,
            pct_start=pct_start,
            div=div,
            augment_views=augment_views,
        )
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
        return self._training.fit_head(C, groups, self._training.observers(self._callbacks()))

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
            TrainingError: as in the other fits. If the loss is not finite, the learner then has the frozen model.
        """
        plan = self._settings(wd).all_layers(
            epochs_or_minutes(epochs, minutes), lr, lr_mult=lr_mult, pct_start=pct_start, div=div
        )
        settings = LpFt(plan, minutes, wise_ft, keep_better, checkpoint, resume)
        return lp_ft(self._training, settings, self._callbacks(cbs), C=C, groups=groups)

    @checked_keywords
    def out_of_fold(
        self, n_folds: int = FOLDS, *, C: float | Sequence[float] | None = None, groups: Sequence[Any] | None = None
    ) -> Evaluation:
        """An evaluation of all labelled images, each by a linear head that was not fitted to it.

        The training and the validation images are divided into folds, with the labels' shares in each. For each fold a
        head is fitted as in `fit_head` to the images of the others, on the features of the backbone as it is. None of
        these heads is that of the model. Only training images use their sample weights; validation images have the
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
        plan = self._training.plan_with_callbacks(self._settings().one_phase(1, end_lr, Constant()), self._callbacks())
        suggestions = self.trainer.lr_find(
            start_lr, end_lr, num_it, stop_div=stop_div, plan=plan, progress=self.progress
        )
        if show_plot:
            suggestions.plot()
        return suggestions if names is None else replace(suggestions, unpacked=names)

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
        chosen = self.metrics if metrics is None else as_metrics(metrics)
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
        """Predictions and targets of a dataset of n images, in its order.

        The result is a tuple (inputs, predictions, targets, decoded, losses) of which only the requested ones are
        returned. All tensors are on the CPU.

        - inputs: float, (n, c, h, w), images as the loader gives them to the model.
        - predictions: float32. Probabilities (n, k) of labels or classes; points (n, p, 2) in [-1, 1] over the image
          that the model sees; numbers (n, k), standardised as for the loss.
        - targets: encoded as for the loss, in the same units; NaN, or -1 for a class, where unknown. None if the
          dataset has none.
        - decoded: a list of n labels, label sets, points in pixels of the original image, or numbers in their own unit.
        - losses: (n,).

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

        Shapes and units are those of `get_preds`.

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
        return self._training.evaluate(self._loader(ds_idx, dl), part)

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
        return self._training.interpret(self._loader(ds_idx, dl))

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
        show_first_batch(self.trainer, loader, self.decision, max_n, grid=(nrows, ncols), figsize=figsize)

    def summary(self) -> TrainingSummary:
        """The layers of the model with shapes and parameters, the optimizer, the loss and what is frozen."""
        return self.trainer.summary(self.wd)

    def manifest(self) -> Manifest:
        """The description of the model without its weights, as it is saved."""
        return manifest_of(self.trainer, self.decision, self._training.scores)

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
        return self._training.save(file)

    def load(self, file: str | Path) -> "Learner":
        """Load the weights that `save` saved; returns the learner.

        Raises:
            InputError: the name is that of a pickle.
            ArtifactError: the file does not exist, is damaged, or belongs to another model or target; the weights are
                unchanged.
        """
        self._training.load(file)
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
        self._training.start_from(folder)
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
        metrics = ", ".join(metric.name for metric in self.metrics) or "none"
        return {**self.trainer.facts(), "metrics": metrics, "scores": self._training.scores_text}

    def _settings(self, wd: float | None = None) -> FitSettings:
        return FitSettings(self.trainer, self.lr, self.wd if wd is None else wd, self.moms, self.options)

    def _callbacks(self, cbs: Callbacks = ()) -> list[AnyCallback]:
        """The callbacks of a fit: those of the learner, and its own."""
        return [*as_callbacks(self.observers), *as_callbacks(cbs)]

    def _fit(self, plans: Sequence[Plan], cbs: Callbacks, checkpoint: str | Path | None, *, resume: bool) -> None:
        callbacks = self._callbacks(cbs)
        plans = [self._training.plan_with_callbacks(plan, callbacks) for plan in plans]
        self._training.fit(plans, self._training.observers(callbacks), checkpoint, resume=resume)

    def _loader(self, ds_idx: int | Loader, dl: Loader | None) -> Loader:
        if isinstance(ds_idx, Loader):
            ds_idx, dl = 1, ds_idx
        # not `dl or`: a loader without images is falsy, and answers on other images would come back
        loader = self.dls.evaluation_loader(ds_idx) if dl is None else dl
        # The training loader shuffles, augments and can omit images; predictions are for all of them, in order.
        return self.dls.evaluation_loader(0) if loader is self.dls.train else loader
