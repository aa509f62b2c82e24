"""The choice of precision: it measures, says what it measured, and changes nothing."""

import json
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from eyebright.train import precision
from eyebright.train.device import Device
from eyebright.train.precision import choose_precision
from support.training import squared_error, tiny_images, tiny_model

CAPABLE = any(torch.cpu.get_capabilities().get(name) for name in ("amx_bf16", "avx512_bf16"))


@pytest.fixture(autouse=True)
def nothing_is_known_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYEBRIGHT_HOME", str(tmp_path))


@pytest.fixture
def on_a_capable_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"amx_bf16": True})


@pytest.mark.parametrize(
    ("slow", "fast", "name", "sentence"),
    [
        (2.4, 1.0, "bfloat16", "2.4 times faster than float32 here for this model"),
        (1.0, 1.2, "float32", "bfloat16 would take 1.2 times as long here for this model"),
        (1.1, 1.0, "float32", "bfloat16 is only 1.1 times faster here for this model"),
    ],
)
def test_the_faster_precision_is_chosen_and_the_reason_has_the_measurement(
    slow: float, fast: float, name: str, sentence: str, on_a_capable_processor: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {torch.float32: slow, torch.bfloat16: fast}
    monkeypatch.setattr(precision, "_seconds", lambda model, batch, loss, dtype: times[dtype])
    choice = choose_precision(tiny_model(), tiny_images(), squared_error, Device("cpu"))
    assert choice == (name, sentence)


def test_without_fast_bfloat16_float32_is_chosen_without_a_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx2": True})
    choice = choose_precision(tiny_model(), tiny_images(), squared_error, Device("cpu"))
    assert choice == ("float32", "this cpu has no fast bfloat16")


@pytest.mark.skipif(not CAPABLE, reason="this processor has no fast bfloat16, so nothing would be timed")
def test_measuring_does_not_change_the_model_its_gradients_or_the_generators() -> None:
    model = tiny_model().eval()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    choose_precision(model, tiny_images(), squared_error, Device("cpu"))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(p.grad is not None and bool((p.grad == 1).all()) for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not model.training


def test_measuring_is_limited_in_time_and_images(on_a_capable_processor: None) -> None:
    class Slow(nn.Linear):
        def forward(self, input: torch.Tensor) -> torch.Tensor:  # noqa: A002
            sizes.append(len(input))
            time.sleep(0.05)
            return super().forward(input)

    sizes: list[int] = []
    model = Slow(2, 1)
    choose_precision(model, (torch.ones(40, 2), torch.ones(40, 1)), squared_error, Device("cpu"))
    assert sizes == [8] * 6


def choices(monkeypatch: pytest.MonkeyPatch, *times: tuple[float, float], model: nn.Module | None = None) -> list[str]:
    """What is said of the same question, asked again and again, while the machine takes these seconds."""
    said: list[str] = []
    for slow, fast in times:
        seconds = {torch.float32: slow, torch.bfloat16: fast}
        monkeypatch.setattr(precision, "_seconds", lambda model, batch, loss, dtype, s=seconds: s[dtype])
        said.append(" ".join(choose_precision(model or tiny_model(), tiny_images(), squared_error, Device("cpu"))))
    return said


def test_a_cached_measurement_is_used(on_a_capable_processor: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = choices(monkeypatch, (2.0, 1.0), (1.0, 2.0))
    assert first == "bfloat16 2.0 times faster than float32 here for this model"
    assert second == "bfloat16 2.0 times faster than float32 here for this model, as measured before"


def test_another_model_or_other_frozen_layers_are_measured_again(
    on_a_capable_processor: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices(monkeypatch, (2.0, 1.0))
    frozen = tiny_model()
    next(frozen.parameters()).requires_grad_(False)
    for other in (frozen, tiny_model().eval(), nn.Sequential(tiny_model(), nn.Identity())):
        [said] = choices(monkeypatch, (1.0, 2.0), model=other)
        assert said == "float32 bfloat16 would take 2.0 times as long here for this model"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', pytest.param("[" * 100_000, id="deep")])
def test_a_damaged_cache_is_ignored(
    content: str, tmp_path: Path, on_a_capable_processor: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "measured.json").write_text(content)
    first, second = choices(monkeypatch, (2.0, 1.0), (1.0, 2.0))
    assert "before" not in first
    assert "before" in second


@pytest.mark.parametrize("fact", ["x", [1], [0, 1], None, {"a": 1}, [float("nan"), 1], [float("inf"), 1], [10**400, 1]])
def test_an_invalid_cached_value_is_measured_again(
    fact: object, tmp_path: Path, on_a_capable_processor: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices(monkeypatch, (2.0, 1.0))
    [key] = json.loads((tmp_path / "measured.json").read_text())
    (tmp_path / "measured.json").write_text(json.dumps({key: fact}))
    assert choices(monkeypatch, (1.0, 2.0)) == ["float32 bfloat16 would take 2.0 times as long here for this model"]


def test_an_unwritable_cache_is_ignored(
    tmp_path: Path, on_a_capable_processor: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EYEBRIGHT_HOME", str(tmp_path / "file"))
    first, second = choices(monkeypatch, (2.0, 1.0), (1.0, 2.0))
    assert first.startswith("bfloat16")
    assert second.startswith("float32")


def test_without_a_home_folder_nothing_is_cached(on_a_capable_processor: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EYEBRIGHT_HOME", "~nobody-of-this-name/measured")
    first, second = choices(monkeypatch, (2.0, 1.0), (1.0, 2.0))
    assert first.startswith("bfloat16")
    assert second.startswith("float32")
