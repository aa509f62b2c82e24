"""The learning-rate finder: the book's suggestions, and nothing else changed."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from eyebright.errors import InputError, TrainingError
from eyebright.train.lr_find import lr_find, minimum, slide, steep, suggest, suggestion_names, valley
from eyebright.train.options import FitOptions
from eyebright.train.plan import Plan
from eyebright.train.run import Run, StepResult, TrainBatch
from eyebright.train.step import step
from support.training import setup_of, tiny_images, tiny_model, tiny_plans, tiny_run, train_all

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g04_lrfind.json").read_text())
LRS = np.array([1e-7 * 1e8 ** (i / 100) for i in range(100)])
FALL = 2 - 1.5 / (1 + np.exp(-2.5 * (np.log10(LRS) + 3)))
CURVES = {
    "sigmoid drop then blow-up": FALL + np.exp(3.5 * np.log10(LRS)),
    "noisy": FALL + np.exp(3.5 * np.log10(LRS)) + 0.05 * np.sin(1.7 * np.arange(100)),
    "monotone down": FALL,
    "flat": np.ones(100),
}


@pytest.mark.parametrize("rule", ["valley", "slide", "minimum", "steep"])
@pytest.mark.parametrize("curve", CURVES)
def test_the_suggestions_are_those_of_the_book(curve: str, rule: str) -> None:
    expected = GOLD["suggestions (on [10:-5] of 100 points)"][curve][rule][0]
    assert getattr(suggest(LRS.tolist(), CURVES[curve].tolist()), rule) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("function", [valley, slide, minimum, steep])
@pytest.mark.parametrize("curve", CURVES)
def test_each_suggestion_is_a_function_of_its_own_as_in_the_book(curve: str, function) -> None:
    expected = GOLD["suggestions (on [10:-5] of 100 points)"][curve][function.__name__][0]
    given = (LRS.tolist()[10:-5], CURVES[curve].tolist()[10:-5], 100)
    assert function(*given) == pytest.approx(expected, rel=1e-6)


def test_suggestions_are_named_in_the_order_that_is_asked_for() -> None:
    assert suggestion_names((minimum, steep, valley, slide)) == ("minimum", "steep", "valley", "slide")
    assert suggestion_names(slide) == ("slide",)

    def valey(lrs: list[float], losses: list[float], num_it: int) -> float:
        return lrs[0]

    with pytest.raises(InputError, match=r"unknown suggestion 'valey'\. Did you mean 'valley'\?"):
        suggestion_names([valey])


def test_a_loss_that_hardly_falls_gives_a_warning() -> None:
    warning = "the loss fell by only 0, so these learning rates are unreliable"
    assert suggest(LRS.tolist(), [1.0] * 100).warning == warning
    assert suggest(LRS.tolist(), CURVES["noisy"].tolist()).warning is None


def snapshot(run: Run) -> dict[str, object]:
    return {
        **{name: tensor.clone() for name, tensor in run.model.state_dict().items()},
        **{f"grad {name}": p.grad for name, p in run.model.named_parameters()},
        **{f"mode {name}": module.training for name, module in run.model.named_modules()},
        "generator": torch.get_rng_state(),
        "counters": torch.tensor([run.step, run.epoch, run.phase_epoch, run.phase, len(run.losses), len(run.history)]),
    }


def assert_unchanged(before: dict[str, object], run: Run) -> None:
    for name, value in snapshot(run).items():
        expected = before[name]
        same = torch.equal(value, expected) if isinstance(value, torch.Tensor) else value is expected
        assert same, name


def run_in_an_odd_state() -> Run:
    run = tiny_run()
    run.begin(*tiny_plans())
    list(train_all(run))
    run.model[0].eval()  # type: ignore[index]
    for parameter in run.model.parameters():
        parameter.grad = torch.ones_like(parameter)
    return run


def test_the_search_restores_the_run() -> None:
    assert GOLD["RNG state restored"] == {"python": True, "torch": False}, "which is not so in the book"
    run = run_in_an_odd_state()
    before = snapshot(run)
    found = lr_find(run, setup_of(run))
    assert len(found.lrs) == len(found.losses) > 50
    assert found.lrs == pytest.approx(LRS[: len(found.lrs)].tolist())
    assert 1e-7 <= found.valley <= 10
    assert_unchanged(before, run)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_the_search_restores_the_run_after_an_error(error: type[BaseException]) -> None:
    def breaking(run: Run, model: nn.Module, batch: TrainBatch) -> StepResult:
        if len(steps) == 20:
            raise error("broken off")
        steps.append(1)
        return step(run, model, batch)

    assert GOLD["weights restored after KeyboardInterrupt"] is False, "in the book"
    steps: list[int] = []
    run = run_in_an_odd_state()
    before = snapshot(run)
    with pytest.raises(error, match="broken off"):
        lr_find(run, setup_of(run), step=breaking)
    assert_unchanged(before, run)


def test_the_search_does_not_change_a_later_training() -> None:
    plain, after = tiny_run(), tiny_run()
    lr_find(after, setup_of(after))
    for run in (plain, after):
        run.begin(*tiny_plans())
        list(train_all(run))
    assert plain.losses == after.losses


def test_the_result_unpacks_into_two_values_as_in_the_book() -> None:
    found = suggest(LRS.tolist(), CURVES["noisy"].tolist())
    lr_min, lr_steep = found
    assert (lr_min, lr_steep) == (found.minimum, found.steep)


def test_the_search_stops_when_the_loss_diverges() -> None:
    run = tiny_run(tiny_model(dropout=0.0))
    found = lr_find(run, setup_of(run), end_lr=1e5, num_it=200)
    assert len(found.lrs) < 200
    assert found.losses[-1] > 4 * min(found.losses)
    assert np.isfinite(found.losses).all()


def test_a_loss_that_becomes_infinite_ends_the_search_without_an_error() -> None:
    def batches(epoch: int) -> Iterator[TrainBatch]:
        images, targets = tiny_images()
        yield images, targets * (float("inf") if epoch == 40 else 1.0)

    run = tiny_run()
    found = lr_find(run, setup_of(run, batches), stop_div=False)
    assert len(found.lrs) == 40


@pytest.mark.parametrize("steps", [3, 14])
def test_a_loss_that_diverges_early_is_an_error(steps: int) -> None:
    with pytest.raises(TrainingError, match=f"the loss diverged after {steps} of 100 steps, too early to suggest"):
        suggest(LRS[:steps].tolist(), [1.0] * steps)


def test_no_batch_and_impossible_rates_are_errors() -> None:
    run = tiny_run()
    with pytest.raises(TrainingError, match="no batch to learn from"):
        lr_find(run, setup_of(run, lambda epoch: []))
    with pytest.raises(InputError, match="expected 0 < start_lr < end_lr, got start_lr=1.0 and end_lr=0.1"):
        lr_find(run, setup_of(run), start_lr=1.0, end_lr=0.1)


def test_eight_steps_are_enough_for_a_suggestion_and_seven_are_an_error() -> None:
    run = tiny_run()
    assert len(lr_find(run, setup_of(run), num_it=8, end_lr=1e-3).lrs) == 8
    with pytest.raises(InputError, match="needs num_it of at least 8 steps, got 7"):
        lr_find(run, setup_of(run), num_it=7)


def test_the_search_uses_the_optimizer_of_the_plan() -> None:
    run = tiny_run(nn.Sequential(*tiny_model()))
    curves = [
        lr_find(run, setup_of(run), plan=Plan(1, (1e-3,) * 3, options=FitOptions(optimizer=kind)), num_it=30).losses
        for kind in ("adamw", "sgd")
    ]
    assert curves[0] != curves[1]


def test_the_time_of_the_search_does_not_count_as_training() -> None:
    run = tiny_run()
    lr_find(run, setup_of(run), num_it=10)
    assert run.timer.seconds == {}
