"""The one rule for where to compute."""

from types import SimpleNamespace

import pytest
import torch

from eyebright._system.device import choose_device
from eyebright.errors import InputError
from eyebright.inference.runtimes.select import RuntimeOptions
from eyebright.train.device import Device


@pytest.mark.parametrize("name", ["cuda:99", "tpu", "kitchen", "CPU", "", "meta", 1.5])
def test_a_device_that_is_not_there_is_refused_in_one_line(name: object) -> None:
    with pytest.raises(InputError, match=rf"cannot use the device '{name}'; there is 'cpu'.* \(.+\)") as refused:
        choose_device(name)
    assert len(str(refused.value).splitlines()) == 1


def test_the_long_message_of_torch_about_a_device_is_cut_to_one_line() -> None:
    with pytest.raises(InputError, match="cannot use the device 'xla'") as refused:
        choose_device("xla")
    assert len(str(refused.value).splitlines()) == 1


def test_without_a_name_it_is_a_cuda_gpu_where_there_is_one_and_else_the_cpu() -> None:
    expected = torch.device("cuda", 0) if torch.cuda.is_available() else torch.device("cpu")
    assert choose_device() == choose_device(None) == expected


def test_a_process_of_torchrun_takes_the_gpu_of_its_local_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[torch.device] = []

    def zeros(_: int, *, device: torch.device) -> SimpleNamespace:
        asked.append(device)
        return SimpleNamespace(device=device, item=lambda: 0.0)

    monkeypatch.setattr(torch, "zeros", zeros)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert [choose_device(name) for name in (None, "cuda", "cuda:1", "cpu")] == asked
    assert asked == [torch.device("cuda", 3), torch.device("cuda", 3), torch.device("cuda", 1), torch.device("cpu")]


def test_training_and_prediction_ask_the_same_rule() -> None:
    assert Device().torch_device == RuntimeOptions().torch_device == choose_device()
    for device_of in (Device, lambda name: RuntimeOptions(device=name).torch_device):
        with pytest.raises(InputError, match="cannot use the device 'kitchen'; there is 'cpu'"):
            device_of("kitchen")
