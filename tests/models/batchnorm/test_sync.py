"""Batch norms over several processes equal those of the joined batch; the processes are threads here."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from eyebright.errors import InputError
from eyebright.models.batchnorm.sync import AllReduce, sync_batch_norms

NORMS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.BatchNorm2d(5),
    "of vectors": lambda: nn.BatchNorm1d(5),
    "without parameters": lambda: nn.BatchNorm2d(5, affine=False),
    "a plain mean of all batches": lambda: nn.BatchNorm2d(5, momentum=None),
    "without running statistics": lambda: nn.BatchNorm2d(5, track_running_stats=False),
    "with an activation in place": lambda: BatchNormAct2d(5),
}


def in_parts(parts: int, work: Callable[[int, AllReduce], None]) -> None:
    """Calls ``work`` in several threads, with their number and a sum over all of them."""
    barrier, tensors = threading.Barrier(parts), [torch.empty(0)] * parts

    def run(number: int) -> None:
        def all_reduce(tensor: Tensor) -> Tensor:
            tensors[number] = tensor
            barrier.wait(timeout=30)
            summed = torch.stack(tensors).sum(0)
            barrier.wait(timeout=30)
            return summed

        work(number, all_reduce)

    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(run, range(parts)))


def network(make: Callable[[], nn.Module]) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 4), make())
        for parameter in net[1].parameters():
            nn.init.uniform_(parameter, 0.5, 2)
    return net


@pytest.mark.parametrize("sizes", [(4, 4), (5, 2, 1)])
@pytest.mark.parametrize("kind", NORMS)
def test_parts_have_the_outputs_gradients_and_statistics_of_the_whole_batch(kind: str, sizes: tuple[int, ...]) -> None:
    vectors = kind == "of vectors"
    random = torch.Generator().manual_seed(1)
    x = (
        torch.randn(sum(sizes), 5, *(() if vectors else (3, 4)), generator=random) * 3 + 50
    )  # a mean much larger than the deviation
    x = x.contiguous() if vectors else x.contiguous(memory_format=torch.channels_last)
    pull = torch.randn(x.shape, generator=random)
    plain = network(NORMS[kind])[1]
    whole = x.clone().requires_grad_()
    expected = plain(whole)
    (expected * pull).sum().backward()

    models = [network(NORMS[kind]) for _ in sizes]
    pieces = [piece.clone().requires_grad_() for piece in x.split(sizes)]
    outputs: list[Tensor] = [torch.empty(0)] * len(sizes)

    def work(number: int, all_reduce: AllReduce) -> None:
        outputs[number] = sync_batch_norms(models[number], all_reduce)[1](pieces[number])
        (outputs[number] * pull.split(sizes)[number]).sum().backward()

    in_parts(len(sizes), work)
    torch.testing.assert_close(torch.cat(outputs), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.cat([piece.grad for piece in pieces]), whole.grad, rtol=1e-4, atol=1e-4)
    for model in models:
        for own, one in zip(model[1].buffers(), plain.buffers(), strict=True):
            torch.testing.assert_close(own, one, rtol=1e-5, atol=1e-5)
    for *parts, one in zip(*(model[1].parameters() for model in models), plain.parameters(), strict=True):
        torch.testing.assert_close(sum(part.grad for part in parts), one.grad, rtol=1e-4, atol=1e-3)


def test_one_value_a_channel_in_all_processes_is_an_error_as_in_torch() -> None:
    x = torch.ones(1, 5)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        nn.BatchNorm1d(5)(x)
    model = sync_batch_norms(nn.Sequential(nn.BatchNorm1d(5)), lambda sums: sums)
    with pytest.raises(InputError, match="batch norm needs more than one value a channel to train, and got one"):
        model(x)


def test_norms_in_evaluation_mode_are_not_replaced_and_tensors_are_shared() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    model[0].eval()
    replaced = sync_batch_norms(model, lambda tensor: tensor)
    assert replaced[0] is model[0]
    assert replaced[1] is model[1]
    assert type(replaced[2]) is not nn.BatchNorm2d
    assert {id(p) for p in replaced.parameters()} == {id(p) for p in model.parameters()}
    assert sync_batch_norms(model.eval(), lambda tensor: tensor) is model


def test_an_unknown_kind_of_norm_is_refused() -> None:
    class OwnNorm(nn.BatchNorm2d):
        pass

    with pytest.raises(InputError, match="a OwnNorm cannot share its statistics between processes; train with one"):
        sync_batch_norms(nn.Sequential(OwnNorm(3)), lambda tensor: tensor)
