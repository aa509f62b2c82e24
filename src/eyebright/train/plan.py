"""`Plan`: the settings of one phase of training, as an immutable value that checkpoints store.

A run trains one phase after another: ``fine_tune`` has two, the first with a frozen backbone.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from eyebright._defaults import BASE_LR, FREEZE_EPOCHS, LR_MULT
from eyebright.errors import SMALLEST_FLOAT32, InputError, check_not_tiny, is_number, is_whole
from eyebright.train.options import FitOptions
from eyebright.train.schedule import (
    BOOK_MOMENTA,
    Momenta,
    OneCycle,
    Schedule,
    lr_groups,
    schedule_from_json,
    schedule_to_json,
)


@dataclass(frozen=True)
class Plan:
    """The settings of one fit.

    Args:
        epochs: number of passes over the training set.
        lr: the peak learning rate of each parameter group, backbone first, head last.
        schedule: the schedule of learning rate and momentum.
        weight_decay: decoupled weight decay; norm layers and biases have none.
        train_bn: whether the norm layers of frozen groups are trained, as in fastai.
        frozen_to: the index of the first group that is not frozen; 0 freezes none.
        augment_views: number of augmented views of each image whose features are cached; after as many epochs, only the
            head is computed. Needs a fully frozen backbone. None for a new view in each epoch.
        options: more options of training.

    Raises:
        InputError: the fields contradict each other.
    """

    epochs: int
    lr: tuple[float, ...]
    schedule: Schedule = field(default_factory=OneCycle)
    weight_decay: float = 0.01
    train_bn: bool = True
    frozen_to: int = 0
    augment_views: int | None = None
    options: FitOptions = field(default_factory=FitOptions)

    def __post_init__(self) -> None:
        if not is_whole(self.epochs) or self.epochs < 1:
            raise InputError(f"`epochs` must be a whole number, at least 1 epoch, got {self.epochs!r}")
        if not is_number(self.weight_decay) or self.weight_decay < 0:
            raise InputError(f"`wd` is the weight decay, a number of at least 0, got {self.weight_decay!r}")
        if not 0 <= self.frozen_to < len(self.lr):
            raise InputError(f"cannot freeze up to group {self.frozen_to}: there are {len(self.lr)} groups")
        if self.augment_views is not None:
            self._check_views(self.augment_views)

    @property
    def is_fully_frozen(self) -> bool:
        """Whether all groups before the last are frozen, including their norm layers."""
        return 0 < self.frozen_to == len(self.lr) - 1 and not self.train_bn

    def _check_views(self, views: int) -> None:
        if views < 1 or views % 1:
            raise InputError(f"`augment_views` must be a whole number of views of each image, at least 1, got {views}")
        if self.options.mixes:
            raise InputError(
                f"`augment_views={views}` caches features of single images, but `mixup` and `cutmix` mix images anew "
                f"in each step: leave one of them out"
            )
        if self.options.steps_per_epoch is not None:
            raise InputError(
                f"`augment_views={views}` caches the features of all images in the first epochs, but "
                f"`steps_per_epoch={self.options.steps_per_epoch}` ends an epoch before all are used: leave one out"
            )
        if self.is_fully_frozen:
            return
        all_before = 0 < self.frozen_to == len(self.lr) - 1
        learns = "its norm layers learn: train with train_bn=False" if all_before else "it learns: freeze it first"
        raise InputError(
            f"`augment_views={views}` caches the features of a frozen backbone, but {learns}, or leave it out"
        )

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON, with its options on the same level as the other fields."""
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        options = dataclasses.asdict(fields.pop("options"))
        return {**fields, "lr": list(self.lr), "schedule": schedule_to_json(self.schedule), **options}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Plan":
        """The plan from the JSON of `to_json`."""
        fields = dict(value)
        options = {
            field.name: fields.pop(field.name) for field in dataclasses.fields(FitOptions) if field.name in fields
        }
        lr, schedule = tuple(fields.pop("lr")), schedule_from_json(fields.pop("schedule"))
        return Plan(lr=lr, schedule=schedule, options=FitOptions(**options), **fields)


def fine_tune_plans(  # fastai's own signature
    n_groups: int,
    epochs: int,
    base_lr: float = BASE_LR,
    *,
    freeze_epochs: int = FREEZE_EPOCHS,
    lr_mult: float = LR_MULT,
    pct_start: float = 0.3,
    div: float = 5.0,
    moms: Momenta = BOOK_MOMENTA,
) -> tuple[Plan, ...]:
    """The plans of fastai's ``fine_tune``: first the head, then all layers at half the learning rate or less.

    Args:
        n_groups: number of parameter groups.
        epochs: number of epochs of the second plan.
        base_lr: peak learning rate of the head in the first plan.
        freeze_epochs: number of epochs of the first plan, with a frozen backbone; 0 omits the plan.
        lr_mult: in the second plan, the peak learning rate of the first group is that of the head divided by this.
        pct_start: fraction of the steps of the second plan in which the learning rate rises.
        div: the first learning rate of the second plan is its peak divided by this.
        moms: momentum at the start, at the peak and at the end, in both plans.

    Raises:
        InputError: the learning rate or the factor is not a positive number.
    """
    _check_rate("base_lr", base_lr, share=0.5)
    everything = all_layers_plan(
        n_groups, epochs, base_lr / 2, lr_mult=lr_mult, pct_start=pct_start, div=div, moms=moms
    )
    if freeze_epochs == 0:
        return (everything,)
    schedule = OneCycle(pct_start=0.99, moms=moms)
    return Plan(freeze_epochs, lr_groups(slice(base_lr), n_groups), schedule, frozen_to=n_groups - 1), everything


def all_layers_plan(
    n_groups: int, epochs: int, lr: float, *, lr_mult: float, pct_start: float, div: float, moms: Momenta
) -> Plan:
    """The plan of epochs with all layers, whose learning rates rise from the first group to the head.

    Args:
        n_groups: number of parameter groups.
        epochs: number of epochs.
        lr: peak learning rate of the head.
        lr_mult: the peak learning rate of the first group is that of the head divided by this.
        pct_start: fraction of the steps in which the learning rate rises.
        div: the first learning rate is the peak divided by this.
        moms: momentum at the start, at the peak and at the end.

    Raises:
        InputError: the learning rate or the factor is not a positive number.
    """
    _check_rate("lr", lr)
    if not (lr_mult > 0 and math.isfinite(lr_mult)):
        raise InputError(f"`lr_mult` must be a positive number, got {lr_mult}")
    if lr / lr_mult < SMALLEST_FLOAT32:
        raise InputError(
            f"`lr_mult={lr_mult:g}` leaves the first layers a learning rate of 0 in float32; give a smaller one"
        )
    return Plan(
        epochs,
        lr_groups(slice(lr / lr_mult, lr), n_groups),
        OneCycle(div=div, pct_start=pct_start, moms=moms),
    )


def _check_rate(name: str, lr: float, *, share: float = 1.0) -> None:
    """Raises `InputError` unless a learning rate is a positive number, and a share of it is not 0 in float32."""
    if not is_number(lr) or lr <= 0:
        raise InputError(f"a learning rate must be a positive number, got {lr}")
    check_not_tiny(name, share * lr)
