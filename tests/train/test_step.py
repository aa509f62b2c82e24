"""One step: accumulation is exact, clipping is right, and a loss that is not finite harms nothing."""

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from eyebright.errors import TrainingError
from eyebright.losses import CrossEntropyLossFlat
from eyebright.train.device import Device
from eyebright.train.options import FitOptions
from eyebright.train.plan import Plan
from eyebright.train.run import Run, StepResult, TrainBatch
from eyebright.train.schedule import Constant
from eyebright.train.step import LossNotFiniteError, step
from support.training import train_all

IMAGES = torch.randn(20, 3, generator=torch.Generator().manual_seed(0))
TARGETS = IMAGES.sum(1, keepdim=True)


def linear_run(*plans: Plan) -> Run:
    model = nn.Linear(3, 1)
    nn.init.constant_(model.weight, 0.1)
    nn.init.zeros_(model.bias)
    run = Run(model, nn.MSELoss(), [list(model.parameters())], Device("cpu", "float32"))
    run.begin(*plans)
    return run


def sgd(**fields: float | int) -> Plan:
    options = FitOptions(optimizer="sgd", **fields)  # type: ignore[arg-type]
    return Plan(1, (0.1,), Constant(mom=0.0), weight_decay=0.0, options=options)


def trained(plan: Plan, sizes: list[int]) -> Tensor:
    """The weight after one epoch over batches of these sizes."""
    run = linear_run(plan)
    batches = list(zip(IMAGES.split(sizes), TARGETS.split(sizes), strict=True))
    list(train_all(run, lambda epoch: batches, steps=len(batches)))
    return run.model.weight.detach()  # type: ignore[return-value]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("sizes", [[8, 8, 4], [4, 8, 8], [7, 13], [20]])
def test_accumulated_batches_train_like_one_large_batch(sizes: list[int], optimizer: str) -> None:
    def plan(accumulate: int) -> Plan:
        options = FitOptions(optimizer=optimizer, accumulate=accumulate)  # type: ignore[arg-type]
        return Plan(1, (0.1,), Constant(), options=options)

    torch.testing.assert_close(trained(plan(len(sizes)), sizes), trained(plan(1), [20]))


def test_the_last_accumulation_of_an_epoch_can_have_fewer_batches() -> None:
    torch.testing.assert_close(trained(sgd(accumulate=2), [4, 4, 4, 4, 4]), trained(sgd(), [8, 8, 4]))
    torch.testing.assert_close(trained(sgd(accumulate=8), [8, 8, 4]), trained(sgd(), [20]))


def test_the_norm_of_the_gradient_is_at_most_clip() -> None:
    start = torch.full((1, 3), 0.1)
    free, clipped = trained(sgd(), [20]) - start, trained(sgd(clip=0.5), [20]) - start
    run = linear_run(sgd())
    nn.functional.mse_loss(run.model(IMAGES), TARGETS).backward()
    length = torch.cat([p.grad.flatten() for p in run.model.parameters() if p.grad is not None]).norm()
    assert length > 0.5
    torch.testing.assert_close(clipped, free * 0.5 / length)


def test_a_gradient_with_a_smaller_norm_is_not_changed() -> None:
    torch.testing.assert_close(trained(sgd(clip=1e6), [20]), trained(sgd(), [20]))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_does_not_change_the_weights(value: float) -> None:
    def batches(epoch: int) -> Iterator[TrainBatch]:
        for number in range(4):
            yield IMAGES, TARGETS * value if (epoch, number) == (1, 2) else TARGETS

    run = linear_run(Plan(3, (0.01,)))
    weights: list[Tensor] = []

    def noting(run: Run, model: nn.Module, batch: TrainBatch) -> StepResult:
        weights.append(run.model.weight.detach().clone())  # type: ignore[union-attr, operator]
        return step(run, model, batch)

    with pytest.raises(
        LossNotFiniteError, match=rf"became {value} in epoch 1, step 2 \(step 6 in all\).*try a lower le"
    ):
        list(train_all(run, batches, steps=4, step=noting))
    assert torch.equal(run.model.weight, weights[-1])  # type: ignore[arg-type]
    assert all(parameter.grad is None for parameter in run.model.parameters())


def test_statistics_that_are_not_finite_are_reset() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    run = Run(model, nn.MSELoss(), [list(model.parameters())], Device("cpu", "float32"))
    run.begin(sgd())
    with pytest.raises(LossNotFiniteError):
        list(train_all(run, lambda epoch: [(IMAGES, TARGETS), (IMAGES / 0, TARGETS)], steps=2))
    assert model.eval()(IMAGES).isfinite().all()


def weighted_run(plan: Plan) -> Run:
    model = nn.Linear(3, 3)
    nn.init.constant_(model.weight, 0.1)
    nn.init.zeros_(model.bias)
    loss = CrossEntropyLossFlat(weight=[0.0, 1.0, 5.0])
    run = Run(model, loss, [list(model.parameters())], Device("cpu", "float32"))
    run.begin(plan)
    return run


@pytest.mark.parametrize("sizes", [[8, 8, 4], [1, 19], [19, 1], [20]])
def test_the_weighted_loss_of_accumulated_batches_is_that_of_all_images(sizes: list[int]) -> None:
    classes = torch.arange(20) % 3  # the first one counts nothing
    run, whole = weighted_run(sgd(accumulate=len(sizes))), weighted_run(sgd())
    loss = whole.loss(whole.model(IMAGES), classes)
    batches = list(zip(IMAGES.split(sizes), classes.split(sizes), strict=True))
    list(train_all(run, lambda epoch: batches, steps=len(sizes)))
    list(train_all(whole, lambda epoch: [(IMAGES, classes)], steps=1))
    torch.testing.assert_close(run.model.weight, whole.model.weight)
    assert run.history[0]["train_loss"] == pytest.approx(loss.item())


def test_the_advice_of_the_error_depends_on_the_options() -> None:
    run = linear_run(Plan(1, (0.1,), options=FitOptions(clip=1.0)))
    with pytest.raises(TrainingError, match="try a lower learning rate, and look for targets"):
        list(train_all(run, lambda epoch: [(IMAGES, TARGETS * float("nan"))], steps=1))


def test_a_custom_step_is_used() -> None:
    def doubled(run: Run, model: nn.Module, batch: TrainBatch) -> StepResult:
        return step(run, model, (batch[0], 2 * batch[1]))

    run, twice = linear_run(sgd()), linear_run(sgd())
    list(train_all(run, lambda epoch: [(IMAGES, 2 * TARGETS)], steps=1))
    list(train_all(twice, lambda epoch: [(IMAGES, TARGETS)], steps=1, step=doubled))
    assert torch.equal(run.model.weight, twice.model.weight)  # type: ignore[arg-type]
