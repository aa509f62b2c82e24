"""What one fit is to do, as data: a checkpoint can hold it, two of them compare, ``replace`` makes variants.

A run trains one plan after another: ``fine_tune`` is two plans, the first with the body frozen.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from eyebright.errors import InputError
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
    """One fit.

    Args:
        epochs: how often the training set is gone through.
        lr: the peak learning rate of each parameter group, body first, head last.
        schedule: how learning rate and momentum move.
        optimizer: ``"adamw"`` (the book's Adam) or ``"sgd"``.
        weight_decay: decoupled from the gradient; norm layers and biases have none.
        clip: the longest that the gradient may be (2-norm over all parameters); None for no limit.
        accumulate: how many batches make one update; the gradient is that of their images together.
        ema: the decay of the running average of the weights, for example 0.999; None for no average. With one,
            validation looks at the averaged weights, and they are the model's when the plan is done.
        train_bn: whether the norm layers of frozen groups learn, as in the book.
        frozen_to: the groups before this one are frozen; 0 for none.
        augment_views: how many augmented views each image has in all, of which the features are kept: epochs after
            as many cost the head alone. Only while all of the body is really frozen. None: another view in each epoch.
    """

    epochs: int
    lr: tuple[float, ...]
    schedule: Schedule = field(default_factory=OneCycle)
    optimizer: Literal["adamw", "sgd"] = "adamw"
    weight_decay: float = 0.01
    clip: float | None = None
    accumulate: int = 1
    ema: float | None = None
    train_bn: bool = True
    frozen_to: int = 0
    augment_views: int | None = None

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.epochs % 1:
            raise InputError(f"training takes a whole number of epochs, at least 1 epoch, got {self.epochs}")
        if self.accumulate < 1:
            raise InputError(f"an update takes at least 1 batch, got accumulate={self.accumulate}")
        if self.clip is not None and self.clip <= 0:
            raise InputError(f"clip is the longest gradient, a positive number or None, got {self.clip}")
        if self.ema is not None and not 0 < self.ema < 1:
            raise InputError(f"ema is a decay between 0 and 1 or None, got {self.ema}")
        if self.optimizer not in ("adamw", "sgd"):
            raise InputError(f"unknown optimizer '{self.optimizer}'; the known: 'adamw', 'sgd'")
        if not 0 <= self.frozen_to < len(self.lr):
            raise InputError(f"cannot freeze up to group {self.frozen_to}: there are {len(self.lr)} groups")
        if self.augment_views is not None:
            self._refuse_views(self.augment_views)

    @property
    def is_fully_frozen(self) -> bool:
        """Whether nothing before the last group learns, norm layers included."""
        return 0 < self.frozen_to == len(self.lr) - 1 and not self.train_bn

    def _refuse_views(self, views: int) -> None:
        if views < 1 or views % 1:
            raise InputError(f"an image is looked at in a whole number of views, at least 1, got augment_views={views}")
        if self.is_fully_frozen:
            return
        all_before = 0 < self.frozen_to == len(self.lr) - 1
        learns = (
            "its norm layers learn: train with train_bn=False" if all_before else "the body learns: freeze it first"
        )
        raise InputError(f"augment_views={views} keeps the features of a frozen body, but {learns}, or leave it out")

    def to_json(self) -> dict[str, Any]:
        """The plan as JSON."""
        fields = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return {**fields, "lr": list(self.lr), "schedule": schedule_to_json(self.schedule)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> "Plan":
        """The plan that ``to_json`` wrote."""
        fields = dict(value)
        return Plan(lr=tuple(fields.pop("lr")), schedule=schedule_from_json(fields.pop("schedule")), **fields)


def fine_tune_plans(  # the book's own signature
    groups: int,
    epochs: int,
    base_lr: float = 2e-3,
    *,
    freeze_epochs: int = 1,
    lr_mult: float = 100.0,
    pct_start: float = 0.3,
    div: float = 5.0,
    moms: Momenta = BOOK_MOMENTA,
) -> tuple[Plan, ...]:
    """The plans of the book's ``fine_tune``: the head alone, then everything at half the rate and less in the body.

    Args:
        groups: the number of parameter groups.
        epochs: with everything.
        base_lr: the head's peak in the frozen plan.
        freeze_epochs: with the body frozen; 0 leaves that plan out.
        lr_mult: the first group's peak is the head's divided by this.
        pct_start: the share of the batches that goes up, when everything learns.
        div: the first learning rate is the peak divided by this, when everything learns.
        moms: momentum at the start, at the peak and at the end, in both.

    Raises:
        InputError: the rate or the factor is not a positive number.
    """
    if not (base_lr > 0 and math.isfinite(base_lr)):
        raise InputError(f"a learning rate is a positive number, got {base_lr}")
    if not (lr_mult > 0 and math.isfinite(lr_mult)):
        raise InputError(f"lr_mult says how much smaller the first layers' rate is, a positive number, got {lr_mult}")
    last = base_lr / 2
    rates = lr_groups(slice(last / lr_mult, last), groups)
    everything = Plan(epochs, rates, OneCycle(div=div, pct_start=pct_start, moms=moms))
    if freeze_epochs == 0:
        return (everything,)
    schedule = OneCycle(pct_start=0.99, moms=moms)
    return Plan(freeze_epochs, lr_groups(slice(base_lr), groups), schedule, frozen_to=groups - 1), everything
