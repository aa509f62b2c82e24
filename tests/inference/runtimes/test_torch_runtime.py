"""torch as a runtime: the model's own numbers."""

import pytest
import torch

from eyebright.inference.runtimes.torch_runtime import folded_runtime, runner
from support.models import pixels, small_model

CPU = torch.device("cpu")


def test_the_folded_model_gives_the_numbers_of_the_model() -> None:
    model = small_model()
    expected = runner(model, CPU)(pixels(5))
    with torch.no_grad():
        by_hand = model(torch.from_numpy(pixels(5)).permute(0, 3, 1, 2).float() / 255)
    torch.testing.assert_close(expected, by_hand)
    torch.testing.assert_close(folded_runtime(model, CPU).run(pixels(5)), by_hand, rtol=1e-4, atol=1e-5)


def test_bfloat16_answers_nearly_the_same_in_float32() -> None:
    model = small_model()
    expected = runner(model, CPU)(pixels(5))
    given = folded_runtime(model, CPU, precision="bfloat16").run(pixels(5))
    assert given.dtype == torch.float32
    assert not torch.equal(given, expected)
    torch.testing.assert_close(given, expected, rtol=0.05, atol=0.05 * expected.abs().max().item())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_number_of_threads_holds_for_an_answer_only(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    model = small_model()
    runtime = folded_runtime(model, CPU, threads=torch.get_num_threads() + 1)
    forward = torch.nn.Sequential.forward
    monkeypatch.setattr(
        torch.nn.Sequential, "forward", lambda *given: (seen.append(torch.get_num_threads()), forward(*given))[1]
    )
    before = torch.get_num_threads()
    runtime.run(pixels(1))
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before
