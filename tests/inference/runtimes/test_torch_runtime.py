"""Prediction with torch: the outputs of the model."""

import pytest
import torch

from eyebright.image.canonical import CANONICAL, LIBRARY_PIXELS, PixelsVersion
from eyebright.inference.runtimes.torch_runtime import runner, torch_runtime
from support.models import pixels, small_model

CPU = torch.device("cpu")


@pytest.mark.parametrize("version", [CANONICAL, LIBRARY_PIXELS])
def test_the_model_with_fused_batch_norms_has_the_outputs_of_the_model(version: PixelsVersion) -> None:
    model = small_model()
    expected = runner(model, CPU)(pixels(5, version))
    with torch.no_grad():
        by_hand = model(torch.from_numpy(pixels(5, LIBRARY_PIXELS)).permute(0, 3, 1, 2).float() / 255)
    torch.testing.assert_close(expected, by_hand)
    torch.testing.assert_close(torch_runtime(model, CPU).run(pixels(5, version)), by_hand, rtol=1e-4, atol=1e-5)


def test_bfloat16_outputs_are_close_and_float32() -> None:
    model = small_model()
    expected = runner(model, CPU)(pixels(5))
    given = torch_runtime(model, CPU, precision="bfloat16").run(pixels(5))
    assert given.dtype == torch.float32
    assert not torch.equal(given, expected)
    torch.testing.assert_close(given, expected, rtol=0.05, atol=0.05 * expected.abs().max().item())
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_the_number_of_threads_is_restored_after_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    model = small_model()
    runtime = torch_runtime(model, CPU, threads=torch.get_num_threads() + 1)
    forward = torch.nn.Sequential.forward
    monkeypatch.setattr(
        torch.nn.Sequential, "forward", lambda *given: (seen.append(torch.get_num_threads()), forward(*given))[1]
    )
    before = torch.get_num_threads()
    runtime.run(pixels(1))
    assert set(seen) == {before + 1}
    assert torch.get_num_threads() == before
