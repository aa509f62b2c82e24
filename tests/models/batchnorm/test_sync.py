"""Batch norms over several processes: threads stand for the processes here, the law is the norm of the joined batch."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from timm.layers.norm_act import BatchNormAct2d
from torch import Tensor, nn

from eyebright.errors import InputError
from eyebright.models.batchnorm.sync import Total, synced

NORMS: dict[str, Callable[[], nn.Module]] = {
    "plain": lambda: nn.BatchNorm2d(5),
    "of vectors": lambda: nn.BatchNorm1d(5),
    "without parameters": lambda: nn.BatchNorm2d(5, affine=False),
    "a plain mean of all batches": lambda: nn.BatchNorm2d(5, momentum=None),
    "without running statistics": lambda: nn.BatchNorm2d(5, track_running_stats=False),
    "with an activation in place": lambda: BatchNormAct2d(5),
}


def in_parts(parts: int, work: Callable[[int, Total], None]) -> None:
    """Does the work as so many processes would, which meet to add up."""
    meeting, given = threading.Barrier(parts), [torch.empty(0)] * parts

    def one(number: int) -> None:
        def total(tensor: Tensor) -> Tensor:
            given[number] = tensor
            meeting.wait(timeout=30)
            added = torch.stack(given).sum(0)
            meeting.wait(timeout=30)
            return added

        work(number, total)

    with ThreadPoolExecutor(parts) as pool:
        list(pool.map(one, range(parts)))


def network(make: Callable[[], nn.Module]) -> nn.Sequential:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Linear(4, 4), make())
        for parameter in net[1].parameters():
            nn.init.uniform_(parameter, 0.5, 2)
    return net


@pytest.mark.parametrize("sizes", [(4, 4), (5, 2, 1)])
@pytest.mark.parametrize("kind", NORMS)
def test_parts_are_normed_and_learn_as_the_whole_batch(kind: str, sizes: tuple[int, ...]) -> None:
    vectors = kind == "of vectors"
    random = torch.Generator().manual_seed(1)
    x = torch.randn(sum(sizes), 5, *(() if vectors else (3, 4)), generator=random) * 3 + 50  # a mean beside the spread
    x = x.contiguous() if vectors else x.contiguous(memory_format=torch.channels_last)
    pull = torch.randn(x.shape, generator=random)
    plain = network(NORMS[kind])[1]
    whole = x.clone().requires_grad_()
    expected = plain(whole)
    (expected * pull).sum().backward()

    models = [network(NORMS[kind]) for _ in sizes]
    pieces = [piece.clone().requires_grad_() for piece in x.split(sizes)]
    outputs: list[Tensor] = [torch.empty(0)] * len(sizes)

    def work(number: int, total: Total) -> None:
        outputs[number] = synced(models[number], total)[1](pieces[number])
        (outputs[number] * pull.split(sizes)[number]).sum().backward()

    in_parts(len(sizes), work)
    torch.testing.assert_close(torch.cat(outputs), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.cat([piece.grad for piece in pieces]), whole.grad, rtol=1e-4, atol=1e-4)
    for model in models:
        for own, one in zip(model[1].buffers(), plain.buffers(), strict=True):
            torch.testing.assert_close(own, one, rtol=1e-5, atol=1e-5)
    for *parts, one in zip(*(model[1].parameters() for model in models), plain.parameters(), strict=True):
        torch.testing.assert_close(sum(part.grad for part in parts), one.grad, rtol=1e-4, atol=1e-3)


def test_norms_that_keep_their_statistics_stay_and_tensors_are_shared() -> None:
    model = nn.Sequential(nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3))
    model[0].eval()
    view = synced(model, lambda tensor: tensor)
    assert view[0] is model[0]
    assert view[1] is model[1]
    assert type(view[2]) is not nn.BatchNorm2d
    assert {id(p) for p in view.parameters()} == {id(p) for p in model.parameters()}
    assert synced(model.eval(), lambda tensor: tensor) is model


def test_a_norm_nobody_knows_is_refused() -> None:
    class OwnNorm(nn.BatchNorm2d):
        pass

    with pytest.raises(InputError, match="a OwnNorm cannot share its statistics between processes; train with one"):
        synced(nn.Sequential(OwnNorm(3)), lambda tensor: tensor)
