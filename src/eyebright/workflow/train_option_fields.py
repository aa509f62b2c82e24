"""`TrainOptionFields`: the declarations of the training options; see `eyebright.workflow.option`.

Importing this module loads no torch, so that ``--help`` is fast.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from eyebright import _defaults
from eyebright._choices import (
    Balance,
    BatchCount,
    CalibrationChoice,
    Decay,
    GradientNorm,
    HeadName,
    MixAlpha,
    OptimizerName,
    ProgressMode,
    Range,
    Sampling,
    Smoothing,
    ThresholdMetric,
    TrainingPrecision,
)
from eyebright.train.options import FitOptions
from eyebright.workflow.goal import checked_goal
from eyebright.workflow.option import Option, option_fields
from eyebright.workflow.shared_options import DATA, DEVICE, IMAGES, MACHINE, MAX_SEED, TRAINING, image_size, point_pair

_SIZES = f"{min(_defaults.IMAGE_SIZES)} to {max(_defaults.IMAGE_SIZES)}"
_WISE_FT = f"{', '.join(f'{part}/{whole}' for part, whole in _defaults.WISE_FT[1:])} or 1"


@dataclass(frozen=True)
class TrainOptionFields:
    """The training options, without the checks of `eyebright.workflow.options.TrainOptions`."""

    valid_pct: Annotated[
        float,
        Range(at_least=0.01, at_most=0.9),
        Option("Share of the images for validation, if the data contain no split.", DATA),
    ] = _defaults.VALID_PCT
    skip_bad: Annotated[bool, Option("Skip unreadable images and list them.", DATA)] = False
    check: Annotated[
        bool,
        Option(
            "Check images and labels first, as eyebright check does, and keep duplicates in one part of the split.",
            DATA,
        ),
    ] = True
    sampling: Annotated[
        Sampling,
        Option(
            "Images of an epoch: each once, or drawn so that rare labels occur more often.",
            DATA,
            needs="has_vocab",
        ),
    ] = "uniform"

    size: Annotated[
        int | tuple[int, int] | None,
        Option(
            "Input size of the model in pixels: 224, or HEIGHTxWIDTH such as 192x256.",
            IMAGES,
            convert=image_size,
            metavar="SIZE",
            unset=f"{_defaults.IMAGE_SIZE}; with `minutes` the largest of {_SIZES} that fits",
        ),
    ] = None
    whole: Annotated[
        bool | None,
        Option(
            "Pad images instead of cropping them: for objects near the edge.",
            IMAGES,
            unset="on for points and numbers, off for labels",
        ),
    ] = None
    augment: Annotated[
        bool, Option("Augment training images at random: geometry, brightness, contrast.", IMAGES, needs_epochs=True)
    ] = True
    flip: Annotated[
        bool | None,
        Option(
            "Mirror training images at random.",
            IMAGES,
            unset="on, unless mirroring changes the target in an unknown way (numbers; points without mirror pairs)",
            needs_epochs=True,
        ),
    ] = None

    start_from: Annotated[
        Path | None,
        Option(
            "Model folder to start from: its backbone, its size and its outputs for shared labels are taken over. Its "
            "validation images stay validation images, and its training images stay training images.",
            TRAINING,
            typed="from",
            unset="the pretrained backbone",
        ),
    ] = None
    arch: Annotated[
        str | None,
        Option(
            "Backbone: any timm name, or resnet18, resnet34, resnet50.",
            TRAINING,
            unset=f"{_defaults.ARCH}, or the backbone of `start_from`",
        ),
    ] = None
    epochs: Annotated[
        int | None,
        Range(at_least=0),
        Option(
            "Epochs in which all layers are trained; 0 only fits a linear head to the frozen backbone.",
            TRAINING,
            unset=f"{_defaults.EPOCHS}; with `minutes` as many as fit",
        ),
    ] = None
    minutes: Annotated[
        float | None,
        Range(above=0),
        Option(
            "Time limit for the whole run, including the start and the report: a few steps are measured, then the "
            "image size and the epochs are planned.",
            TRAINING,
            unset="no limit",
            needs_epochs=True,
            head="linear",
        ),
    ] = None
    steps_per_epoch: Annotated[
        BatchCount | None,
        Option(
            "Batches in an epoch, for datasets so large that validation should not wait for all images; each epoch "
            "uses other images.",
            TRAINING,
            unset="all",
            needs_epochs=True,
        ),
    ] = FitOptions.steps_per_epoch
    head: Annotated[
        HeadName | None,
        Option(
            "Initial head. linear: one layer, fitted to the features of the frozen backbone; then all layers are "
            "trained, and the better of both models is kept (LP-FT). book: fastai's two layers with random weights, "
            "which are first trained with a frozen backbone for `freeze_epochs`.",
            TRAINING,
            unset="linear, or book with an option that is only for book",
            needs_epochs=True,
        ),
    ] = None
    freeze_epochs: Annotated[
        int | None,
        Range(at_least=0),
        Option(
            "Epochs with a frozen backbone, before those of `epochs`.",
            TRAINING,
            unset=f"{_defaults.FREEZE_EPOCHS}",
            needs_epochs=True,
            head="book",
        ),
    ] = None
    augment_views: Annotated[
        int | None,
        Range(at_least=1),
        Option(
            "Cache the features of this many augmented views of each image in the first frozen epochs; later frozen "
            "epochs reuse them and are fast.",
            TRAINING,
            unset="a new view in each epoch",
            needs_epochs=True,
            head="book",
        ),
    ] = None
    lr: Annotated[
        float | None,
        Range(above=0),
        Option(
            "Peak learning rate of the head.",
            TRAINING,
            aliases=("base_lr",),
            unset=f"{_defaults.LP_FT_LR:g}, or {_defaults.BASE_LR:g} for the book's head",
            needs_epochs=True,
        ),
    ] = None
    lr_mult: Annotated[
        float | None,
        Range(at_least=1),
        Option(
            "Learning rate of the head divided by that of the first layers.",
            TRAINING,
            unset=f"{_defaults.LP_FT_LR_MULT:g}, or {_defaults.LR_MULT:g} for the book's head",
            needs_epochs=True,
        ),
    ] = None
    dropout: Annotated[
        float | None,
        Range(at_least=0, at_most=0.9),
        Option(
            "Dropout of the head.",
            TRAINING,
            aliases=("ps",),
            unset=f"{_defaults.DROPOUT:g}",
            needs_epochs=True,
            head="book",
        ),
    ] = None
    wise_ft: Annotated[
        float | None,
        Range(above=0, at_most=1),
        Option(
            "Weight of the fine-tuned model in the average with the weights of the frozen model (WiSE-FT).",
            TRAINING,
            unset=f"{_WISE_FT}, by the validation loss; 1 without `keep_statistics`",
            needs_epochs=True,
            head="linear",
        ),
    ] = None
    bs: Annotated[
        int | None,
        Range(at_least=1),
        Option("Images in a batch.", TRAINING, unset=f"{_defaults.BATCH_SIZE}, or fewer for small sets"),
    ] = None
    until: Annotated[
        str | None,
        Option(
            "Stop as soon as the confidence interval of a metric of the validation images reaches a value, such as "
            "'mAP >= 0.8'; the interval is widened because it is checked repeatedly, before the first epoch and after "
            "each.",
            TRAINING,
            convert=checked_goal,
            metavar="METRIC>=VALUE",
            unset="all epochs",
            needs_epochs=True,
        ),
    ] = None
    folds: Annotated[
        int | None,
        Range(at_least=2),
        Option(
            "Also write out_of_fold.parquet: out-of-fold predictions for every labelled image, by linear heads in this "
            "many folds.",
            TRAINING,
            unset="none",
        ),
    ] = None
    keep_statistics: Annotated[
        bool, Option("Keep the pretrained batch-norm statistics of the backbone.", TRAINING, needs_epochs=True)
    ] = True
    optimizer: Annotated[OptimizerName, Option("Optimizer.", TRAINING, needs_epochs=True)] = FitOptions.optimizer
    clip: Annotated[
        GradientNorm | None,
        Option(
            "Largest norm of the gradient; a larger one is scaled down.",
            TRAINING,
            unset="none",
            needs_epochs=True,
        ),
    ] = FitOptions.clip
    accumulate: Annotated[
        BatchCount, Option("Batches of accumulated gradients per update.", TRAINING, needs_epochs=True)
    ] = FitOptions.accumulate
    ema: Annotated[
        Decay | None,
        Option(
            "Decay of an exponential moving average of the weights, such as 0.999; the average becomes the model.",
            TRAINING,
            unset="none",
            needs_epochs=True,
        ),
    ] = FitOptions.ema
    mixup: Annotated[
        MixAlpha,
        Option(
            "Alpha of mixup, such as 0.2: images and their labels are blended in pairs.",
            TRAINING,
            needs="can_mix",
            needs_epochs=True,
        ),
    ] = FitOptions.mixup
    cutmix: Annotated[
        MixAlpha,
        Option(
            "Alpha of CutMix, such as 1: a box of each image is pasted from another one.",
            TRAINING,
            needs="can_mix",
            needs_epochs=True,
        ),
    ] = FitOptions.cutmix
    label_smoothing: Annotated[
        Smoothing,
        Option(
            "Label smoothing: the share of each label that is spread over the others.",
            TRAINING,
            needs="has_vocab",
            needs_epochs=True,
        ),
    ] = FitOptions.label_smoothing
    balance: Annotated[
        Balance,
        Option(
            "Weight of rare labels in the loss: by their frequency, or by their effective number of images.",
            TRAINING,
            needs="has_vocab",
            needs_epochs=True,
        ),
    ] = FitOptions.balance
    threshold_metric: Annotated[
        ThresholdMetric,
        Option("Metric that the thresholds are tuned for.", TRAINING, needs="has_thresholds"),
    ] = _defaults.THRESHOLD_METRIC
    calibrate: Annotated[
        CalibrationChoice,
        Option(
            "Calibration of the probabilities, fitted at the end to the validation images, or with `folds` and "
            "`epochs` 0 to the out-of-fold predictions; auto keeps one only if it helps.",
            TRAINING,
            needs="can_calibrate",
        ),
    ] = "none"
    normalize_by: Annotated[
        tuple[str, str] | None,
        Option(
            "Two points; the report divides the errors of points by their distance in each image.",
            TRAINING,
            convert=point_pair,
            metavar="POINT,POINT",
            unset="the image's diagonal",
            needs="is_geometric",
        ),
    ] = None
    seed: Annotated[
        int, Range(at_least=0, at_most=MAX_SEED), Option("Seed of the split and of training.", TRAINING)
    ] = 0

    precision: Annotated[
        TrainingPrecision,
        Option(
            "Precision (autocast); auto measures which is faster.",
            MACHINE,
            needs_epochs=True,
        ),
    ] = _defaults.TRAINING_PRECISION
    device: Annotated[str | None, DEVICE] = None
    workers: Annotated[
        int | None,
        Range(at_least=0),
        Option(
            "Workers that read images; 0 reads in the training thread.",
            MACHINE,
            unset=f"one per CPU, at most {_defaults.MAX_WORKERS}",
            aliases=("num_workers",),
        ),
    ] = None
    cache: Annotated[
        str | None,
        Option(
            "Keep decoded images for later epochs, and features of the frozen backbone; a folder also serves later "
            "training runs.",
            MACHINE,
            metavar="memory|FOLDER",
            unset="none",
        ),
    ] = None
    profile: Annotated[bool, Option("Print how long each step of training took.", MACHINE, needs_epochs=True)] = False
    progress: Annotated[
        ProgressMode,
        Option(
            "Display of progress.",
            MACHINE,
            python_only=True,
        ),
    ] = _defaults.PROGRESS

    @property
    def trains_epochs(self) -> bool:
        """Whether epochs are trained, and not only a head."""
        return self.epochs != 0

    @property
    def has_book_head(self) -> bool:
        """Whether training begins with the head of the fastai book; otherwise with a linear head that is fitted."""
        return self.head == "book" or (self.head is None and bool(self.given_for_head("book")))

    def given_for_head(self, head: str) -> list[str]:
        """The given options that are only for this head."""
        fields = option_fields(type(self))
        return [field.name for field in fields if field.option.head == head and getattr(self, field.name) is not None]
