"""Devices, precisions and processes."""

import json
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from eyebright.errors import InputError
from eyebright.train.device import Device
from eyebright.train.optimizer import GroupedOptimizer
from support.training import in_another_process, tiny_model


def test_an_unknown_precision_is_an_error_that_suggests_the_nearest_one() -> None:
    with pytest.raises(InputError, match="unknown `precision` 'bfloat'. Did you mean 'bfloat16'\\? Known: 'auto'"):
        Device("cpu", "bfloat")


def test_float16_on_a_cpu_becomes_bfloat16_with_a_reason() -> None:
    device = Device("cpu", "float16")
    assert (device.precision, device.scaler) == ("bfloat16", None)
    assert (
        device.precision_reason
        == "bfloat16: float16 was requested, but its gradients need a GPU's loss scaling, not 'cpu'"
    )


def test_auto_is_float32_until_a_precision_is_set_once() -> None:
    device = Device("cpu")
    assert (device.precision, device.precision_is_set) == ("float32", False)
    device.set_precision("bfloat16", "2.4 times faster")
    assert (device.precision, device.precision_reason) == ("bfloat16", "bfloat16: 2.4 times faster")
    device.set_precision("float32", "another opinion")
    assert device.precision == "bfloat16"


@pytest.mark.parametrize(
    ("precision", "expected"), [("float32", torch.float32), ("bfloat16", torch.bfloat16), ("auto", torch.float32)]
)
def test_autocast_computes_in_the_chosen_precision(precision: str, expected: torch.dtype) -> None:
    with Device("cpu", precision).autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == expected


def test_models_are_in_channels_last_order() -> None:
    device = Device("cpu")
    model = device.to_device(tiny_model())
    assert next(model.parameters()).is_contiguous(memory_format=torch.channels_last)


def test_random_numbers_depend_on_the_seed_and_the_step_and_the_global_generator_is_restored() -> None:
    device = Device("cpu")

    def draw(seed: int, step: int) -> list[float]:
        with device.fork_rng(seed, step):
            return torch.rand(3).tolist()

    before = torch.get_rng_state()
    draws = [draw(0, 0), draw(0, 1), draw(1, 0), draw(0, 1 << 40)]
    assert draw(0, 1) == draws[1]
    assert len({tuple(each) for each in draws}) == 4
    assert torch.equal(torch.get_rng_state(), before)


def test_one_process_gathers_its_own_rows() -> None:
    device = Device("cpu")
    rows = torch.arange(6).reshape(3, 2)
    assert (device.world_size, device.rank, device.is_main) == (1, 0, True)
    assert device.gather(rows) is rows


@pytest.mark.slow
def test_two_processes_train_like_one_and_gather_every_row_once(tmp_path: Path) -> None:
    program = tmp_path / "two.py"
    program.write_text(f"""
import json
import os
from pathlib import Path
import torch
from torch import nn
from eyebright.train.device import Device
from eyebright.train.plan import Plan
from eyebright.train.run import Run
from eyebright.train.schedule import Constant
from support.training import train_all

device = Device("cpu", "float32")
rows = torch.arange(5)[device.rank :: device.world_size]   # three rows in one process, two in the other
gathered = device.gather(rows).tolist()
images = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
mine = images[device.rank :: device.world_size]
model = nn.Linear(3, 1)
nn.init.constant_(model.weight, 0.1)
nn.init.zeros_(model.bias)
run = Run(model, nn.MSELoss(), [list(model.parameters())], device)
run.begin(Plan(2, (0.1,), Constant()))
list(train_all(run, lambda epoch: [(mine, mine.sum(1, keepdim=True))], steps=1))
result = [device.world_size, gathered, model.weight.tolist(), [row["train_loss"] for row in run.history]]
Path({str(tmp_path)!r}, f"{{device.world_size}}-{{device.rank}}.json").write_text(json.dumps(result))
device.on_main(lambda: None)
os._exit(0)  # torch sometimes crashes while it ends its threads, which is not what is tested
""")
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for arguments in ([], launch):
        done = in_another_process(*arguments, str(program))
        assert done.returncode == 0, done.stderr
    alone, first, second = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("1-0", "2-0", "2-1"))
    assert first == second
    assert first[0] == 2
    assert sorted(first[1]) == alone[1] == [0, 1, 2, 3, 4]
    torch.testing.assert_close(torch.tensor(first[2]), torch.tensor(alone[2]))
    assert first[3] == pytest.approx(alone[3])


@pytest.mark.parametrize("clip", [None, 0.1])
@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_loss_scaling_does_not_change_training_and_skips_steps_that_overflow(
    kind: Literal["adamw", "sgd"], clip: float | None
) -> None:
    def learn(scaler: torch.amp.GradScaler | None) -> Tensor:
        device = Device("cpu", "float32")
        device.scaler = scaler
        weight = nn.Parameter(torch.tensor([[1.0, -2.0]]))
        optimizer = GroupedOptimizer([[weight]], kind=kind, weight_decay=0.1)
        optimizer.set([0.1], 0.9)
        for factor in (1.0, 1e38, 1.0) if scaler else (1.0, 1.0):  # 1e38 overflows when it is scaled up
            device.backward((weight * torch.tensor([[3.0, 4.0]])).sum() * factor)
            device.update(optimizer, clip)
            assert weight.grad is None
        return weight.detach()

    torch.testing.assert_close(learn(torch.amp.GradScaler("cpu")), learn(None))
