"""Schedules against traces of the book's library."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from eyebright.errors import InputError, TrainingError
from eyebright.train.device import Device
from eyebright.train.events import PhaseStarted, StepDone
from eyebright.train.plan import Plan, fine_tune_plans
from eyebright.train.run import Run
from eyebright.train.schedule import (
    Constant,
    FlatCosine,
    OneCycle,
    combine_scheds,
    combined_cos,
    even_mults,
    lr_groups,
    sched_cos,
    sched_exp,
    schedule_from_json,
    schedule_to_json,
)
from support.training import train_all

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g01_schedules.json").read_text())
TENTHS = [i / 10 for i in range(11)]

FITS: dict[str, tuple[Plan, ...]] = {
    "fit_one_cycle(3, lr_max=1e-2)": (Plan(3, lr_groups(1e-2, 3)),),
    "fit_one_cycle(3, lr_max=slice(1e-6,1e-4))": (Plan(3, lr_groups(slice(1e-6, 1e-4), 3)),),
    "fit_one_cycle(2, lr_max=slice(1e-2))": (Plan(2, lr_groups(slice(1e-2), 3)),),
    "fit_one_cycle(1)  # default lr": (Plan(1, lr_groups(1e-3, 3)),),
    "fine_tune(3, base_lr=3e-3, freeze_epochs=4)": fine_tune_plans(3, 3, 3e-3, freeze_epochs=4),
    "fine_tune(2, base_lr=1e-2)": fine_tune_plans(3, 2, 1e-2),
    "fine_tune(6, freeze_epochs=1)": fine_tune_plans(3, 6, freeze_epochs=1),
    "fit(1, 1e-4)": (Plan(1, lr_groups(1e-4, 3), Constant()),),
    "fit_flat_cos(2, 1e-3)": (Plan(2, lr_groups(1e-3, 3), FlatCosine()),),
}


@pytest.mark.parametrize("name", FITS)
def test_learning_rates_and_momentum_of_each_step_equal_the_book(name: str) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 1))
    run = Run(model, nn.MSELoss(), [list(layer.parameters()) for layer in model], Device("cpu", "float32"))
    batch = torch.ones(4, 3), torch.ones(4, 1)
    run.begin(*FITS[name])
    ours: list[Any] = []
    for event in train_all(run, lambda epoch: [batch] * 7, steps=7):
        match event:
            case PhaseStarted():
                ours.append("fit")
            case StepDone(lrs=lrs):
                groups = run.current_optimizer.param_groups
                assert [group["lr"] for group in groups] == list(lrs)
                ours.append([list(lrs), [g["mom"] for g in groups], [g["weight_decay"] for g in groups]])
                ours[-1].append(run.plan.frozen_to)
            case _:
                pass
    theirs = GOLD[name]
    assert len(ours) == len(theirs)
    for mine, book in zip(ours, theirs, strict=True):
        if book == "fit":
            assert mine == "fit"
        else:
            assert mine[3] == book[4]
            for values, expected in zip(mine[:3], book[1:4], strict=True):
                assert values == pytest.approx(expected, rel=1e-6, abs=0)


@pytest.mark.parametrize(("name", "schedule"), [("cos", sched_cos), ("exp", sched_exp)])
def test_a_schedule_function_equals_that_of_the_book(name: str, schedule: Any) -> None:
    assert [schedule(2.0, 1.0, pos) for pos in TENTHS] == pytest.approx(GOLD[f"sched_{name}(2,1)"], rel=1e-12)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("combined_cos(0.25,lr/25,lr,lr/1e5) lr=1e-3, pos=i/20", (0.25, 1e-3 / 25, 1e-3, 1e-3 / 1e5)),
        ("combined_cos(0.25,.95,.85,.95) pos=i/20", (0.25, 0.95, 0.85, 0.95)),
    ],
)
def test_combined_cosines_equal_those_of_the_book(name: str, arguments: tuple[float, float, float, float]) -> None:
    curve = combined_cos(*arguments)
    assert [curve(i / 20) for i in range(21)] == pytest.approx(GOLD[name], rel=1e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_learning_rates_of_a_slice_equal_the_book(n: int) -> None:
    expected = GOLD["slice"][f"n={n}"]
    assert lr_groups(slice(1e-6, 1e-4), n) == pytest.approx(expected["slice(1e-6,1e-4)"], rel=1e-12)
    assert lr_groups(slice(1e-2), n) == pytest.approx(expected["slice(1e-2)"], rel=1e-12)
    assert lr_groups(1e-2, n) == pytest.approx(expected["1e-2"], rel=1e-12)


def test_even_mults_equal_those_of_the_book() -> None:
    for arguments, expected in GOLD["even_mults"].items():
        start, stop, n = json.loads(arguments.replace("(", "[").replace(")", "]"))
        assert even_mults(start, stop, n) == pytest.approx(expected, rel=1e-12)


def test_one_learning_rate_per_group_is_accepted() -> None:
    assert lr_groups([1e-4, 1e-3], 2) == (1e-4, 1e-3)


@pytest.mark.parametrize(
    ("lr", "message"),
    [
        (slice(1e-3, None), r"written slice\(last\) or slice\(first, last\)"),
        (slice(0.0, 1e-3), "a learning rate must be a positive number"),
        (-1e-3, "a learning rate must be a positive number"),
        ("1e-3", "a learning rate must be a positive number, got '1e-3'"),
        (True, "a learning rate must be a positive number, got True"),
        (float("nan"), "a learning rate must be a positive number"),
        ([1e-3, 1e-3], "3 parameter groups need one learning rate or 3, got 2"),
    ],
)
def test_invalid_learning_rates_are_an_error(lr: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        lr_groups(lr, 3)


@pytest.mark.parametrize("shares", [[0.5, 0.4], [1.5, -0.5], [1.0]])
def test_fractions_that_do_not_add_up_to_one_are_an_error(shares: list[float]) -> None:
    with pytest.raises(InputError, match="shares that add up to 1"):
        combine_scheds(shares, [lambda pos: pos, lambda pos: pos])


@pytest.mark.parametrize("kind", [OneCycle, FlatCosine])
def test_a_fraction_outside_zero_and_one_is_an_error(kind: Any) -> None:
    with pytest.raises(InputError, match="pct_start is a share of the batches between 0 and 1, got 1"):
        kind(pct_start=1.0)


@pytest.mark.parametrize("schedule", [OneCycle(div=5.0, moms=(0.9, 0.8, 0.9)), FlatCosine(mom=0.8), Constant()])
def test_a_schedule_survives_a_round_trip_through_json(schedule: Any) -> None:
    assert schedule_from_json(json.loads(json.dumps(schedule_to_json(schedule)))) == schedule


def test_an_unknown_schedule_is_an_error() -> None:
    with pytest.raises(TrainingError, match="unknown schedule 'Polynomial'; the known: 'OneCycle'"):
        schedule_from_json({"name": "Polynomial"})


@pytest.mark.parametrize("value", [0, -5.0, float("nan"), float("inf")])
def test_a_divisor_of_the_learning_rate_that_is_no_positive_number_is_an_error(value: float) -> None:
    for make in (lambda: OneCycle(div=value), lambda: fine_tune_plans(3, 1, div=value)):
        with pytest.raises(InputError, match=f"`div` divides .*: it must be a positive number, got {value}"):
            make()
    for kind in (OneCycle, FlatCosine):
        with pytest.raises(InputError, match=f"`div_final` divides .*: it must be a positive number, got {value}"):
            kind(div_final=value)
