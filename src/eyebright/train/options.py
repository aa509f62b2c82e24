"""`TrainingOptions`; importing this module does not load torch, so that ``--help`` can show the defaults quickly."""

import dataclasses
import math
from dataclasses import dataclass
from typing import get_args

from eyebright._choices import Balance, OptimizerName
from eyebright.errors import InputError, check_not_tiny, did_you_mean, listing


@dataclass(frozen=True, kw_only=True)
class TrainingOptions:
    """Options of a training step, besides learning rates and weight decay; the defaults are those of fastai.

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
        balance: how rare classes are weighted in the training loss: ``"none"``; ``"pos_weight"``, by their frequency;
            ``"effective_number"``, by the effective number of their images (`eyebright.losses.class_weights`,
            `eyebright.losses.pos_weights`); labels and classes only.
        steps_per_epoch: the number of batches after which an epoch ends, with its validation and its checkpoint; the
            next one draws a new order of all images. None for all batches.

    Raises:
        InputError: the value of an option is invalid.
    """

    optimizer: OptimizerName = "adamw"
    clip: float | None = None
    accumulate: int = 1
    ema: float | None = None
    mixup: float = 0.0
    cutmix: float = 0.0
    label_smoothing: float = 0.0
    balance: Balance = "none"
    steps_per_epoch: int | None = None

    def __post_init__(self) -> None:
        for name, known in (("optimizer", get_args(OptimizerName)), ("balance", get_args(Balance))):
            value = getattr(self, name)
            if value not in known:
                raise InputError(f"unknown `{name}` '{value}'.{did_you_mean(value, known)} Known: {listing(known)}")
        self._check_batches()
        if self.clip is not None and not self.clip > 0:
            raise InputError(
                f"`clip`, the largest norm of the gradient, must be a positive number or None, got {self.clip}"
            )
        if self.ema is not None and not 0 < self.ema < 1:
            raise InputError(f"`ema` must be a decay between 0 and 1 or None, got {self.ema}")
        for name in ("mixup", "cutmix"):
            alpha = getattr(self, name)
            if not (alpha >= 0 and math.isfinite(alpha)):
                raise InputError(f"`{name}` must be the alpha of a beta distribution, 0 or more, got {alpha}")
        if not 0 <= self.label_smoothing < 1:
            raise InputError(f"`label_smoothing` must be a share in [0, 1), got {self.label_smoothing}")
        for name in ("clip", "ema", "mixup", "cutmix", "label_smoothing"):
            check_not_tiny(name, getattr(self, name) or 0.0)

    def _check_batches(self) -> None:
        for name in ("accumulate", "steps_per_epoch"):
            n = getattr(self, name)
            if n is not None and (n < 1 or n % 1):
                raise InputError(f"`{name}` must be a whole number of batches, at least 1, got {n}")

    @property
    def mixes(self) -> bool:
        """Whether mixup or CutMix is used."""
        return self.mixup > 0 or self.cutmix > 0

    @property
    def changes_loss(self) -> bool:
        """Whether the training loss differs from the default of the target block."""
        return self.label_smoothing > 0 or self.balance != "none"

    @staticmethod
    def of(options: object) -> "TrainingOptions":
        """The options copied from the attributes of the same names, for example of `eyebright.Options`."""
        return TrainingOptions(
            **{field.name: getattr(options, field.name) for field in dataclasses.fields(TrainingOptions)}
        )
