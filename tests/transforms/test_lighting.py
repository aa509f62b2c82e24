"""Lighting: values recorded from fastai, and the agreement of its three implementations."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from eyebright.errors import InputError
from eyebright.transforms.draw import Lighting
from eyebright.transforms.lighting import Brightness, Contrast, apply_lighting_batch
from eyebright.types import Size

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g07_augment.json").read_text())

SIZE = Size(30, 40)
DRAWS = 4000
LIGHTINGS = [Lighting(), Lighting(offset=0.4), Lighting(gain=0.7), Lighting(1.25, -0.4), Lighting(0.8, 1.1)]


def brightness(grey: float) -> Lighting:
    return Lighting(offset=math.log(grey / (1 - grey)))


@pytest.mark.parametrize(
    ("name", "lighting"),
    [
        ("brightness(draw=.6)", brightness(0.6)),
        ("brightness(draw=.4)", brightness(0.4)),
        ("contrast(draw=1.2)", Lighting(gain=1.2)),
        ("contrast(draw=.8)", Lighting(gain=0.8)),
        ("brightness then contrast composed (.6,1.2) == one sigmoid", brightness(0.6).then(Lighting(gain=1.2))),
        ("sequential", brightness(0.6).then(Lighting(gain=1.2))),
    ],
)
def test_lighting_gives_the_values_of_fastai(name: str, lighting: Lighting) -> None:
    out = lighting.apply(torch.tensor(GOLD["lighting input"]))
    assert torch.allclose(out, torch.tensor(GOLD[name]), rtol=2e-6, atol=1e-7)


@pytest.mark.parametrize("first", LIGHTINGS)
@pytest.mark.parametrize("second", LIGHTINGS)
def test_composed_lightings_equal_lightings_applied_in_turn(first: Lighting, second: Lighting) -> None:
    x = torch.linspace(0.02, 0.98, 50, dtype=torch.float64)
    assert torch.allclose(first.then(second).apply(x), second.apply(first.apply(x)), atol=1e-9)


@pytest.mark.parametrize("lighting", LIGHTINGS)
def test_the_lookup_table_agrees_with_apply_within_rounding(lighting: Lighting) -> None:
    table = lighting.table()
    assert table.dtype == np.uint8
    assert table.shape == (256,)
    exact = lighting.apply(torch.arange(256) / 255) * 255
    assert np.abs(table - exact.numpy()).max() <= 0.501


def test_the_default_lighting_is_the_identity() -> None:
    assert Lighting().table().tolist() == list(range(256))
    x = torch.rand(3, 4)
    assert Lighting().apply(x) is x
    assert Lighting().is_identity
    assert not Lighting(offset=0.1).is_identity
    assert not Lighting(gain=1.1).is_identity


@pytest.mark.parametrize("lighting", LIGHTINGS)
def test_lighting_is_monotonic_and_keeps_black_and_white(lighting: Lighting) -> None:
    table = lighting.table().astype(int)
    assert (np.diff(table) >= 0).all()
    assert (table[0], table[255]) == (0, 255)
    out = lighting.apply(torch.tensor([0.0, 1.0]))
    assert torch.isfinite(out).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_lighting_in_16_bits_is_finite_at_black_and_white(dtype: torch.dtype) -> None:
    x = torch.tensor([0.0, 0.5, 1.0], dtype=dtype)
    out = Lighting(2.0, -1.0).apply(x)
    assert out.dtype == dtype
    assert torch.allclose(out.float(), torch.tensor([0, torch.tensor(-1.0).sigmoid(), 1]), atol=0.01)


def test_a_batch_is_its_images_one_by_one() -> None:
    images = torch.rand(len(LIGHTINGS), 3, 4, 5, generator=torch.Generator().manual_seed(0))
    together = apply_lighting_batch(images, LIGHTINGS)
    for image, lighting, out in zip(images, LIGHTINGS, together, strict=True):
        assert torch.allclose(out, lighting.apply(image), atol=1e-6)


def test_a_float16_batch_stays_float16() -> None:
    images = torch.rand(2, 3, 4, 5).half()
    assert apply_lighting_batch(images, [Lighting(1.2), Lighting()]).dtype == torch.float16


def test_a_batch_without_lighting_is_returned_unchanged() -> None:
    images = torch.rand(2, 3, 4, 5)
    assert apply_lighting_batch(images, [Lighting(), Lighting()]) is images


def test_a_batch_needs_one_lighting_per_image() -> None:
    with pytest.raises(InputError, match="one lighting per image, got 1 for 2"):
        apply_lighting_batch(torch.rand(2, 3, 4, 5), [Lighting()])


def uniform_distance(values: np.ndarray, low: float, high: float) -> float:
    """The Kolmogorov-Smirnov distance of values from a uniform distribution."""
    expected = (np.arange(len(values)) + 0.5) / len(values)
    return float(np.abs((np.sort(values) - low) / (high - low) - expected).max())


def test_brightness_is_uniform_and_has_the_given_probability() -> None:
    generator = np.random.default_rng(0)
    offsets = np.array([Brightness(0.2, p=0.75).draw(SIZE, generator).lighting.offset for _ in range(DRAWS)])
    grey = 1 / (1 + np.exp(-offsets[offsets != 0]))
    assert len(grey) / DRAWS == pytest.approx(0.75, abs=0.03)
    assert uniform_distance(grey, 0.4, 0.6) < 1.95 / math.sqrt(len(grey))


def test_contrast_is_log_uniform_and_has_the_given_probability() -> None:
    generator = np.random.default_rng(0)
    gains = np.array([Contrast(0.2, p=0.75).draw(SIZE, generator).lighting.gain for _ in range(DRAWS)])
    logs = np.log(gains[gains != 1])
    assert len(logs) / DRAWS == pytest.approx(0.75, abs=0.03)
    assert uniform_distance(logs, math.log(0.8), -math.log(0.8)) < 1.95 / math.sqrt(len(logs))


@pytest.mark.parametrize("transform", [Brightness, Contrast])
def test_the_lighting_of_validation_images_is_the_identity(transform: type[Brightness] | type[Contrast]) -> None:
    draw = transform(p=1).draw(SIZE, None)
    assert draw.lighting.is_identity
    assert np.array_equal(draw.warp.matrix, np.eye(3))


@pytest.mark.parametrize("transform", [Brightness, Contrast])
def test_lighting_arguments_out_of_range_are_refused(transform: type[Brightness] | type[Contrast]) -> None:
    with pytest.raises(InputError, match=r"max_lighting must be in \[0, 1\), got 1"):
        transform(1)
    with pytest.raises(InputError, match=r"p must be a probability in \[0, 1\], got 3"):
        transform(0.2, p=3)
