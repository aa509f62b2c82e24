"""The loop: what it says, in which order, and in which state it leaves things."""

import random
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from eyebright.errors import TrainingError
from eyebright.train.events import EpochDone, EpochStarted, Event, Finished, StepDone, ValidationStarted
from eyebright.train.loop import train, watch
from eyebright.train.options import FitOptions
from eyebright.train.plan import Plan
from eyebright.train.run import Accumulation, PhaseSetup, Run, TrainBatch
from eyebright.train.schedule import Constant
from support.training import (
    STEPS,
    setup_of,
    squared_error,
    tiny_batches,
    tiny_images,
    tiny_model,
    tiny_plans,
    tiny_run,
    train_all,
)


def scores_of(model: nn.Module) -> dict[str, float]:
    model.eval()
    images, targets = tiny_images()
    with torch.no_grad():
        return {"valid_loss": float(squared_error(model(images), targets))}


def weights(run: Run) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in run.model.state_dict().items()}


def assert_same(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> None:
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def test_the_events_of_fine_tuning_are_in_order() -> None:
    run = tiny_run()
    run.begin(*tiny_plans())
    events = list(train_all(run, validate=lambda: scores_of(run.model)))
    epoch = ["EpochStarted", *["StepDone"] * STEPS, "ValidationStarted", "EpochDone"]
    phase = ["PhaseStarted", *epoch, *epoch]
    assert [type(event).__name__ for event in events] == [*phase, *phase, "Finished"]
    assert [event.epoch for event in events if isinstance(event, EpochDone)] == [0, 1, 0, 1]
    assert [event.step for event in events if isinstance(event, StepDone)] == [1, 2, 3] * 4
    assert events[-1] == Finished("done")
    assert (run.epoch, run.step, run.finished) == (4, 12, True)
    assert [row["epoch"] for row in run.history] == [0, 1, 2, 3]
    assert list(run.history[0]) == ["epoch", "train_loss", "valid_loss", "seconds"]


def test_training_lowers_the_loss() -> None:
    run = tiny_run(tiny_model(dropout=0.0))
    run.begin(Plan(30, (1e-2, 1e-2, 1e-2)))
    list(train_all(run))
    assert run.history[-1]["train_loss"] < 0.1 * run.history[0]["train_loss"]


def test_the_train_loss_is_the_exact_mean_over_the_images_of_the_epoch() -> None:
    run = tiny_run(tiny_model(dropout=0.0))
    nn.init.zeros_(run.model[2][2].weight)  # type: ignore[index]
    nn.init.zeros_(run.model[2][2].bias)  # type: ignore[index]
    run.begin(Plan(1, (1e-30,) * 3, Constant()))
    list(train_all(run))
    assert run.history[0]["train_loss"] == pytest.approx(float(tiny_images()[1].square().mean()), rel=1e-6)
    weighted = sum(loss * images for loss, images in zip(run.losses, (8, 8, 4), strict=True)) / 20
    assert run.history[0]["train_loss"] == pytest.approx(weighted, rel=1e-12)


def test_a_frozen_plan_does_not_change_the_backbone() -> None:
    run = tiny_run()
    run.begin(tiny_plans()[0])
    before = weights(run)
    list(train_all(run))
    after = weights(run)
    moved = {name for name, tensor in after.items() if not torch.equal(tensor, before[name]) and "running" not in name}
    assert {name.split(".")[0] for name in moved if "num_batches" not in name} == {"2"}


def test_batches_get_the_number_of_the_epoch_over_all_plans() -> None:
    asked: list[int] = []

    def batches(epoch: int) -> Iterator[TrainBatch]:
        asked.append(epoch)
        return tiny_batches(epoch)

    run = tiny_run()
    for _ in range(2):
        run.begin(*tiny_plans())
        list(train_all(run, batches))
    assert asked == list(range(8))


def test_each_epoch_sets_training_mode_except_for_eval_modules() -> None:
    run = tiny_run()
    run.begin(*tiny_plans())
    run.model.eval()
    while not run.finished:
        frozen = list(run.model[0].modules())  # type: ignore[index]
        setup = PhaseSetup(run.model, tiny_batches, STEPS, lambda: scores_of(run.model), eval_modules=frozen)
        for event in train(run, setup):
            if isinstance(event, (EpochStarted, ValidationStarted)):
                assert all(module.training != (module in frozen) for module in run.model.modules())
            if isinstance(event, EpochDone):
                assert not run.model.training


def test_train_runs_one_plan_and_only_the_last_finishes_the_run() -> None:
    run = tiny_run()
    run.begin(*tiny_plans())
    first = list(train(run, setup_of(run)))
    assert (type(first[-1]), run.phase, run.finished) == (EpochDone, 1, False)
    assert list(train(run, setup_of(run)))[-1] == Finished("done")
    with pytest.raises(TrainingError, match="no plan to train: give it one with begin"):
        list(train(run, setup_of(run)))


def test_a_step_gets_the_model_of_the_setup() -> None:
    run = tiny_run()
    run.begin(Plan(1, (1e-2,) * 3))
    other = nn.Sequential(nn.Identity(), run.model)
    calls: list[int] = []
    hook = other[0].register_forward_hook(lambda *_: calls.append(1))
    list(train(run, PhaseSetup(other, tiny_batches, STEPS)))
    hook.remove()
    assert len(calls) == STEPS
    same = tiny_run()
    same.begin(Plan(1, (1e-2,) * 3))
    list(train(same, setup_of(same)))
    assert_same(weights(run), weights(same))


def test_global_generators_are_not_changed() -> None:
    run = tiny_run()
    run.begin(*tiny_plans())
    before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state()  # noqa: NPY002
    list(train_all(run))
    assert random.getstate() == before[0]
    assert np.random.get_state()[1].tolist() == before[1]  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[2])


def test_the_weights_depend_on_the_seed_and_not_on_global_generators() -> None:
    runs = [tiny_run(seed=3), tiny_run(seed=3), tiny_run(seed=4)]
    for number, run in enumerate(runs):
        torch.manual_seed(number)
        run.begin(*tiny_plans())
        for _ in train_all(run):
            torch.rand(number + 1)
    assert_same(weights(runs[0]), weights(runs[1]))
    assert not torch.equal(weights(runs[0])["2.2.weight"], weights(runs[2])["2.2.weight"])


def test_a_run_can_be_stopped_after_any_step() -> None:
    run = tiny_run()
    run.begin(*tiny_plans())
    seen: list[Event] = []

    def stop_early(event: Event) -> None:
        seen.append(event)
        if isinstance(event, StepDone) and run.step == 2:
            run.stop("enough")

    watch(train_all(run, validate=lambda: scores_of(run.model)), [stop_early])
    assert [type(event).__name__ for event in seen[-3:]] == ["ValidationStarted", "EpochDone", "Finished"]
    assert seen[-1] == Finished("enough")
    assert (run.step, len(run.history), run.finished) == (2, 1, True)


def test_training_continues_after_a_break_between_epochs() -> None:
    whole, parts = tiny_run(), tiny_run()
    for run in (whole, parts):
        run.begin(*tiny_plans())
    list(train_all(whole))
    while not parts.finished:
        for event in train_all(parts):
            if isinstance(event, EpochDone):
                break
    assert_same(weights(whole), weights(parts))
    assert whole.losses == parts.losses


@pytest.mark.parametrize("where", [StepDone, ValidationStarted])
def test_an_interrupted_step_leaves_no_gradients(where: type[Event]) -> None:
    run = tiny_run()
    run.begin(Plan(2, (1e-2,) * 3, options=FitOptions(accumulate=2, ema=0.9)))

    def interrupt(event: Event) -> None:
        if isinstance(event, where):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(train_all(run), [interrupt])
    assert all(parameter.grad is None for parameter in run.model.parameters())
    assert (run.phase_epoch, run.history, run.accumulation) == (0, [], Accumulation())


def test_an_interrupted_validation_restores_the_weights() -> None:
    run = tiny_run()
    run.begin(Plan(2, (1e-2,) * 3, options=FitOptions(ema=0.9)))
    own: list[Tensor] = []

    def validate() -> dict[str, float]:
        raise KeyboardInterrupt

    def observe(event: Event) -> None:
        if isinstance(event, ValidationStarted):
            own.append(run.model.state_dict()["2.2.weight"].clone())

    with pytest.raises(KeyboardInterrupt):
        watch(train_all(run, validate=validate), [observe])
    assert torch.equal(run.model.state_dict()["2.2.weight"], own[0])


def test_validation_and_the_finished_model_have_the_averaged_weights() -> None:
    run = tiny_run()
    run.begin(Plan(2, (1e-2,) * 3, options=FitOptions(ema=0.9)))
    averages: list[Tensor] = []
    validated: list[Tensor] = []
    events = train_all(
        run,
        validate=lambda: {"valid_loss": float(not validated.append(run.model.state_dict()["2.2.weight"].clone()))},
    )
    for event in events:
        if isinstance(event, EpochDone):
            assert run.ema is not None
            averages.append(run.ema.weights["2.2.weight"].clone())
    assert all(torch.equal(*pair) for pair in zip(averages, validated, strict=True))
    assert torch.equal(run.model.state_dict()["2.2.weight"], averages[-1])


def test_an_epoch_without_batches_is_an_error() -> None:
    run = tiny_run()
    run.begin(*tiny_plans())
    with pytest.raises(TrainingError, match="no batch to learn from: are there fewer training images than the batch"):
        list(train_all(run, lambda epoch: [], steps=0))


def test_a_run_without_a_plan_is_an_error() -> None:
    with pytest.raises(TrainingError, match="a run needs at least one plan, got none"):
        tiny_run().begin()
    with pytest.raises(TrainingError, match="no plan to train: give it one with begin"):
        _ = tiny_run().plan
    with pytest.raises(TrainingError, match="no plan to train: give it one with begin"):
        _ = tiny_run().current_optimizer
