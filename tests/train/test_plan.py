"""Plans are data: they compare, go through JSON, and refuse what cannot be."""

import json
from typing import Any

import pytest

from eyebright.errors import InputError
from eyebright.train.options import FitOptions
from eyebright.train.plan import Plan, fine_tune_plans
from eyebright.train.schedule import Constant, FlatCosine, OneCycle, lr_groups

OPTIONS = FitOptions(
    optimizer="sgd",
    clip=1.0,
    accumulate=4,
    ema=0.99,
    mixup=0.2,
    cutmix=1.0,
    label_smoothing=0.1,
    balance="effective_number",
)
PLANS = [
    Plan(3, (1e-3,)),
    Plan(1, (1e-4, 1e-3), FlatCosine(), weight_decay=0.1, options=OPTIONS),
    Plan(2, (1e-5, 1e-4, 1e-3), Constant(0.8), train_bn=False, frozen_to=2),
]


@pytest.mark.parametrize("plan", PLANS)
def test_a_plan_survives_a_round_trip_through_json(plan: Plan) -> None:
    assert Plan.from_json(json.loads(json.dumps(plan.to_json()))) == plan


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "at least 1 epoch, got 0"),
        ({"epochs": 1.5}, "`epochs` must be a whole number.*got 1.5"),
        ({"epochs": True}, "`epochs` must be a whole number.*got True"),
        ({"epochs": "2"}, "`epochs` must be a whole number.*got '2'"),
        ({"weight_decay": "0.1"}, "`wd` is the weight decay, a number of at least 0, got '0.1'"),
        ({"weight_decay": True}, "`wd` is the weight decay.*got True"),
        ({"weight_decay": -0.1}, "`wd` is the weight decay.*got -0.1"),
        ({"weight_decay": float("nan")}, "`wd` is the weight decay.*got nan"),
        ({"frozen_to": 1}, "cannot freeze up to group 1: there are 1 groups"),
    ],
)
def test_an_invalid_plan_is_an_error(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Plan(**{"epochs": 1, "lr": (1e-3,), **fields})


def test_cached_features_with_mixed_images_are_an_error() -> None:
    with pytest.raises(
        InputError, match="`augment_views=2` caches features of single images, but `mixup` and `cutmix` mix"
    ):
        Plan(4, (1e-3,) * 3, train_bn=False, frozen_to=2, augment_views=2, options=FitOptions(mixup=0.2))


def test_cached_features_with_shorter_epochs_are_an_error() -> None:
    with pytest.raises(InputError, match="`steps_per_epoch=3` ends an epoch before all are used: leave one out"):
        Plan(4, (1e-3,) * 3, train_bn=False, frozen_to=2, augment_views=2, options=FitOptions(steps_per_epoch=3))


def test_a_plan_from_before_epochs_could_be_shorter_is_read() -> None:
    plan = Plan(2, (1e-3,), options=FitOptions(clip=1.0))
    old = {name: value for name, value in plan.to_json().items() if name != "steps_per_epoch"}
    assert Plan.from_json(old) == plan


@pytest.mark.parametrize("rate", [0, -1, float("nan"), float("inf")])
def test_an_invalid_learning_rate_of_fine_tuning_is_an_error(rate: float) -> None:
    with pytest.raises(InputError, match=f"a learning rate must be a positive number, got {rate}$"):
        fine_tune_plans(3, 1, rate)
    with pytest.raises(InputError, match=f"`lr_mult` must be a positive number, got {rate}$"):
        fine_tune_plans(3, 1, lr_mult=rate)


def test_fine_tuning_is_the_head_and_then_all_layers_at_half_the_rate() -> None:
    head, everything = fine_tune_plans(3, 5, 2e-3)
    assert (head.epochs, head.frozen_to, head.lr) == (1, 2, (2e-4, 2e-4, 2e-3))
    assert (everything.epochs, everything.frozen_to) == (5, 0)
    assert everything.lr == pytest.approx((1e-5, 1e-4, 1e-3))
    assert head.schedule == OneCycle(pct_start=0.99)
    assert everything.schedule == OneCycle(div=5.0, pct_start=0.3)


def test_fine_tuning_without_frozen_epochs_is_one_plan() -> None:
    assert fine_tune_plans(3, 5, freeze_epochs=0) == fine_tune_plans(3, 5)[1:]


def test_a_negative_number_of_frozen_epochs_is_an_error() -> None:
    with pytest.raises(InputError, match="at least 1 epoch, got -1"):
        fine_tune_plans(3, 5, freeze_epochs=-1)


@pytest.mark.parametrize("lr", [5e-324, slice(1e-40, 1e-3), [1e-3, 1e-39]])
def test_a_learning_rate_that_is_0_in_float32_is_an_error(lr: float | slice | list[float]) -> None:
    with pytest.raises(InputError, match="`lr` is .* which is 0 in float32; give at least 1.2e-38"):
        lr_groups(lr, 2)
    with pytest.raises(InputError, match="`base_lr` is .* which is 0 in float32"):
        fine_tune_plans(2, 1, 1e-38)
    with pytest.raises(InputError, match="`lr_mult=1e.300` leaves the first layers a learning rate of 0 in float32"):
        fine_tune_plans(2, 1, lr_mult=1e300)
