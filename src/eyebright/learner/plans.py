"""`FitSettings`: the plans of a learner's fits, from its settings and the arguments of the fit."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from eyebright.errors import InputError
from eyebright.train.options import FitOptions
from eyebright.train.plan import Plan, all_layers_plan, fine_tune_plans
from eyebright.train.schedule import Momenta, Schedule, lr_groups
from eyebright.train.trainer import Trainer

Rate = float | slice
"""A learning rate, or ``slice(low, high)`` for the parameter groups."""


@dataclass(frozen=True)
class FitSettings:
    """The settings that the fits of a learner share.

    Args:
        trainer: the trainer, with the parameter groups and what is frozen.
        lr: the learning rate of fits without one.
        wd: the weight decay.
        moms: momentum at the start, the peak and the end of the one-cycle schedule.
        options: more options of training.
    """

    trainer: Trainer
    lr: float
    wd: float
    moms: Momenta
    options: FitOptions

    def one_phase(self, epochs: int, lr: Rate | None, schedule: Schedule, augment_views: int | None = None) -> Plan:
        """The plan of a fit that trains the groups that are not frozen.

        Args:
            epochs: number of epochs.
            lr: the peak learning rate; None for that of the settings.
            schedule: the schedule of learning rate and momentum.
            augment_views: number of augmented views whose features are cached, see `Plan`.

        Raises:
            InputError: the arguments contradict each other.
        """
        return Plan(
            epochs,
            lr_groups(self.lr if lr is None else lr, self._n_groups),
            schedule,
            weight_decay=self.wd,
            train_bn=self.trainer.train_bn,
            frozen_to=self.trainer.frozen_to,
            augment_views=augment_views,
            options=self.options,
        )

    def all_layers(self, epochs: int, lr: float, *, lr_mult: float, pct_start: float, div: float) -> Plan:
        """The plan of epochs with all layers; arguments as in `all_layers_plan`."""
        plan = all_layers_plan(
            self._n_groups, epochs, lr, lr_mult=lr_mult, pct_start=pct_start, div=div, moms=self.moms
        )
        return self._applied(plan)

    def fine_tune(
        self,
        epochs: int,
        base_lr: float,
        *,
        freeze_epochs: int,
        lr_mult: float,
        pct_start: float,
        div: float,
        augment_views: int | None,
    ) -> Sequence[Plan]:
        """The plans of fastai's ``fine_tune``; arguments as in `fine_tune_plans`, and ``augment_views`` of the first.

        Raises:
            InputError: the arguments contradict each other.
        """
        plans = fine_tune_plans(
            self._n_groups,
            epochs,
            base_lr,
            freeze_epochs=freeze_epochs,
            lr_mult=lr_mult,
            pct_start=pct_start,
            div=div,
            moms=self.moms,
        )
        plans = [self._applied(plan) for plan in plans]
        if augment_views is not None:
            if not freeze_epochs:
                raise InputError(
                    "`augment_views` caches the features of a frozen backbone, but `freeze_epochs=0` never freezes it"
                )
            plans[0] = replace(plans[0], augment_views=augment_views)
        return plans

    def _applied(self, plan: Plan) -> Plan:
        """The plan with these settings."""
        return replace(plan, weight_decay=self.wd, train_bn=self.trainer.train_bn, options=self.options)

    @property
    def _n_groups(self) -> int:
        return len(self.trainer.run.param_groups)
