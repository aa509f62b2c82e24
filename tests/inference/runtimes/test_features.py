"""Features are the same from ONNX Runtime as from torch, and it is used only where it is faster."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from eyebright.inference.runtimes import features as runtimes
from eyebright.inference.runtimes.features import FasterExtractor
from eyebright.models.build import build_model, model_description
from eyebright.models.linear_head import pooled_features
from support.learners import TINY_ARCH


@pytest.fixture(scope="module")
def extractor() -> nn.Module:
    torch.manual_seed(0)
    return pooled_features(build_model(model_description(TINY_ARCH, 2, size=32), pretrained=False).eval())


def images(n: int) -> Tensor:
    """As batches are: channels_last."""
    pixels = torch.rand(n, 32, 32, 3, generator=torch.Generator().manual_seed(n))
    return pixels.permute(0, 3, 1, 2)


def measure_as(patch: pytest.MonkeyPatch, torch_seconds: float, onnx_seconds: float) -> list[str]:
    """From now on these are the times that are measured; returns a list of what is measured."""
    timed: list[str] = []

    def take_time(compute: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, float]:
        is_torch = isinstance(compute, nn.Module)
        timed.append("torch" if is_torch else "onnx")
        return compute(x), torch_seconds if is_torch else onnx_seconds

    patch.setattr(runtimes, "_timed", take_time)
    return timed


@torch.inference_mode()
def test_many_images_are_computed_by_onnx_runtime_if_it_is_faster(
    extractor: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure_as(monkeypatch, 1.0, 0.1)
    faster = FasterExtractor(extractor, 1000)
    for n in (8, 8, 3, 1):
        expected = extractor(images(n))
        torch.testing.assert_close(faster(images(n)), expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert faster.why == "ONNX Runtime: 25 ms per image, torch 250 ms"
    monkeypatch.setattr(extractor, "forward", None)
    faster(images(8))  # without torch


@torch.inference_mode()
@pytest.mark.parametrize(
    ("n_images", "times", "why", "timed"),
    [
        (199, (100.0, 0.1), "torch: there are few images", []),
        (1000, (0.03, 0.01), "torch: it needs less than 10 seconds", ["torch"]),
        (1000, (0.2, 0.3), "torch: ONNX Runtime is not faster", ["torch", "onnx", "onnx", "torch"]),
    ],
)
def test_few_images_and_a_slower_runtime_leave_the_features_of_torch(
    n_images: int,
    times: tuple[float, float],
    why: str,
    timed: list[str],
    extractor: nn.Module,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measured = measure_as(monkeypatch, *times)
    faster = FasterExtractor(extractor, n_images)
    assert torch.equal(faster(images(8)), extractor(images(8)))
    assert faster.why.startswith(why)
    assert measured == timed
    faster(images(8))
    assert measured == timed  # it is chosen once


@torch.inference_mode()
@pytest.mark.parametrize(("known", "times"), [(True, (0.1, 1.0)), (False, (100.0, 0.1))])
def test_what_was_measured_before_is_not_decided_again(
    known: bool, times: tuple[float, float], extractor: nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure_as(monkeypatch, *times)  # the opposite of what is known
    faster = FasterExtractor(extractor, 1000, known=known)
    faster(images(8))
    assert faster.why.startswith(
        "ONNX Runtime: " if known else "torch: ONNX Runtime was not faster, as measured before"
    )
    assert faster.measured is None
    for seconds, expected in ((times, times[1] < times[0]), ((0.01, 1.0), False)):
        measure_as(monkeypatch, *seconds)
        again = FasterExtractor(extractor, 1000)
        again(images(8))
        assert again.measured is expected


class BranchesOnValues(nn.Module):
    """Tracing takes one of its branches alone."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean((2, 3)) * (2 if x.sum() > 0 else 3)


class KnowsItsBatch(nn.Module):
    """Tracing takes the length of a batch as a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(int(x.shape[0]), 3 * 32 * 32)


class CannotBeExported(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.special.bessel_j0(x).mean((2, 3))


@torch.inference_mode()
@pytest.mark.parametrize(
    ("module", "why"),
    [
        (BranchesOnValues(), "torch: the features of ONNX Runtime differ by up to"),
        (CannotBeExported(), "torch: Exporting the operator"),
    ],
)
def test_an_extractor_that_cannot_be_exported_is_computed_by_torch(
    module: nn.Module, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure_as(monkeypatch, 1.0, 0.1)
    faster = FasterExtractor(module, 1000)
    assert torch.equal(faster(images(8)), module(images(8)))
    assert faster.why.startswith(why)


@torch.inference_mode()
def test_batches_of_every_length_have_the_right_features(monkeypatch: pytest.MonkeyPatch) -> None:
    measure_as(monkeypatch, 1.0, 0.1)
    faster = FasterExtractor(KnowsItsBatch(), 1000)
    for n in (4, 8, 2):
        torch.testing.assert_close(faster(images(n)), KnowsItsBatch()(images(n)), rtol=0, atol=1e-6)


@torch.inference_mode()
def test_without_onnx_runtime_torch_computes(extractor: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_package(_: str) -> Any:
        return None

    monkeypatch.setattr(runtimes, "find_spec", no_package)
    faster = FasterExtractor(extractor, 10**6)
    assert torch.equal(faster(images(8)), extractor(images(8)))
    assert faster.why == "torch: onnxruntime is not installed"


def test_images_on_another_device_are_computed_there(extractor: nn.Module) -> None:
    faster = FasterExtractor(nn.Flatten(), 10**6)
    assert faster(images(8).to("meta")).device.type == "meta"
    assert faster.why == "torch: the images are not on the CPU"


@torch.inference_mode()
@pytest.mark.parametrize("pooling", [nn.AdaptiveAvgPool2d(4), nn.AdaptiveMaxPool2d((4, None))])
def test_a_pooling_that_cannot_be_exported_prints_nothing_and_leaves_torch(
    pooling: nn.Module, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    measure_as(monkeypatch, 1.0, 0.1)
    uneven = nn.Sequential(nn.Conv2d(3, 4, 3, stride=5), pooling, nn.Flatten()).eval()  # 6x6 places
    faster = FasterExtractor(uneven, 1000)
    assert torch.equal(faster(images(8)), uneven(images(8)))
    assert faster.why.startswith("torch: ONNX has no pooling of 6x6 positions into 4x")
    assert capfd.readouterr().out == ""  # torch prints the whole graph where its exporter fails
    assert not pooling._forward_pre_hooks
