"""`FitOptions`; importing this module does not load torch, so that ``--help`` is fast."""

import dataclasses
from dataclasses import dataclass

from eyebright._choices import Balance, BatchCount, Decay, GradientNorm, MixAlpha, OptimizerName, Smoothing
from eyebright._value_type import value_types


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """Options of `Learner.fit` other than learning rates and weight decay; the defaults are those of fastai.

    Args:
        optimizer: ``"adamw"`` (fastai's Adam) or ``"sgd"``.
        clip: the largest norm of the gradient (2-norm over all parameters); larger gradients are scaled down. None for
            no clipping.
        accumulate: number of batches per update of the weights; the gradient is that of all their images together.
        ema: the decay of an exponential moving average of the weights, for example 0.999. Validation uses the averaged
            weights, and the model has them at the end of a phase. None for no average.
        mixup: alpha of mixup, for example 0.2: each image is blended with another one, and so are their targets (Zhang
            et al., 2018, arXiv:1710.09412). 0 for no mixup.
        cutmix: alpha of CutMix, for example 1.0: a box of each image is pasted from another one, and targets are
            blended by area (Yun et al., 2019, arXiv:1905.04899). With both, each batch gets one of them at random.
            Labels and classes only. 0 for no CutMix.
        label_smoothing: the fraction of each target that is spread evenly over the classes (one label per image) or
            over yes and no (multi-label); labels and classes only. Validation uses the plain loss.
        balance: the weighting of rare classes in the training loss: ``"none"``; ``"pos_weight"``, by their frequency;
            ``"effective_number"``, by the effective number of their images (`eyebright.losses.class_weights`,
            `eyebright.losses.pos_weights`); labels and classes only.
        steps_per_epoch: the number of batches after which an epoch ends, with its validation and its checkpoint; the
            next one draws a new order of all images. None for all batches.

    Raises:
        InputError: the value of an option is invalid.
    """

    optimizer: OptimizerName = "adamw"
    clip: GradientNorm | None = None
    accumulate: BatchCount = 1
    ema: Decay | None = None
    mixup: MixAlpha = 0.0
    cutmix: MixAlpha = 0.0
    label_smoothing: Smoothing = 0.0
    balance: Balance = "none"
    steps_per_epoch: BatchCount | None = None

    def __post_init__(self) -> None:
        for name, value_type in value_types(FitOptions).items():
            object.__setattr__(self, name, value_type.checked(name, getattr(self, name)))

    @property
    def mixes(self) -> bool:
        """Whether mixup or CutMix is used."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def changes_loss(self) -> bool:
        """Whether the training loss differs from the default of the target block."""
        return self.label_smoothing > 0 or self.balance != "none"

    @staticmethod
    def of(options: object) -> "FitOptions":
        """The options copied from the attributes of the same names, for example of `eyebright.TrainOptions`."""
        return FitOptions(**{field.name: getattr(options, field.name) for field in dataclasses.fields(FitOptions)})
