"""torchvision's pixel transforms with seeds: reproducible, thread-safe, and without using the global generator."""

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from eyebright.errors import InputError
from eyebright.transforms.draw import draw_all
from eyebright.transforms.spatial import Flip
from eyebright.transforms.torchvision import PixelTransform, as_transform
from eyebright.types import Size

SIZE = Size(24, 32)
IMAGE = torch.randint(20, 200, (3, *SIZE), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))

RANDOM = [
    v2.ColorJitter(0.4, 0.4, 0.4, 0.1),
    v2.GaussianBlur(5, (0.1, 3.0)),
    v2.GaussianNoise(sigma=0.2),
    v2.RandomGrayscale(0.5),
    v2.RandomPosterize(2),
    v2.RandomSolarize(100),
    v2.RandomInvert(),
    v2.RandomEqualize(),
    v2.RandomAutocontrast(),
    v2.RandomAdjustSharpness(3),
    v2.RandomErasing(0.8),
    v2.RandomChannelPermutation(),
    v2.RandomPhotometricDistort(),
    v2.RandomApply([v2.ColorJitter(0.5)], p=0.5),
    v2.RandomChoice([v2.ColorJitter(0.5), v2.GaussianBlur(5)]),
    v2.RandomOrder([v2.ColorJitter(0.5), v2.RandomInvert()]),
    v2.Compose([v2.ColorJitter(0.5), v2.GaussianNoise()]),
]


def apply(transform: PixelTransform, seed: int) -> Tensor:
    (change,) = transform.draw(SIZE, np.random.default_rng(seed)).pixel_functions
    return change(IMAGE)


@pytest.mark.parametrize("transform", RANDOM, ids=lambda t: type(t).__name__)
def test_the_seed_decides_and_the_global_generator_is_neither_used_nor_changed(transform: nn.Module) -> None:
    wrapped = PixelTransform(transform)
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = [apply(wrapped, seed) for seed in range(8)]
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    assert all(torch.equal(a, apply(wrapped, seed)) for seed, a in enumerate(first))
    assert any(not torch.equal(a, first[0]) for a in first)


def test_a_sampled_pixel_function_is_repeatable() -> None:
    (change,) = PixelTransform(v2.ColorJitter(0.5)).draw(SIZE, np.random.default_rng(0)).pixel_functions
    assert torch.equal(change(IMAGE), change(IMAGE))
    assert torch.equal(pickle.loads(pickle.dumps(change))(IMAGE), change(IMAGE))


def test_threads_do_not_influence_each_other_or_the_global_generator() -> None:
    wrapped = PixelTransform(v2.Compose([v2.ColorJitter(0.5), v2.GaussianNoise()]))
    alone = [apply(wrapped, seed) for seed in range(40)]
    torch.manual_seed(7)
    expected = [torch.rand(3) for _ in range(200)]
    torch.manual_seed(7)
    with ThreadPoolExecutor(8) as pool:
        results = pool.map(lambda seed: apply(wrapped, seed), range(40))
        drawn_meanwhile = [torch.rand(3) for _ in range(200)]
        assert all(torch.equal(a, b) for a, b in zip(alone, results, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(expected, drawn_meanwhile, strict=True))


def test_a_deterministic_transform_gives_torchvisions_result() -> None:
    grey = PixelTransform(v2.Grayscale(3), always=True)
    for generator in (None, np.random.default_rng(0)):
        (change,) = grey.draw(SIZE, generator).pixel_functions
        assert torch.equal(change(IMAGE), v2.functional.rgb_to_grayscale(IMAGE, 3))


def test_validation_images_are_not_changed() -> None:
    assert PixelTransform(v2.ColorJitter(0.5)).draw(SIZE, None).pixel_functions == ()


def test_torchvisions_transforms_can_be_combined_with_eyebrights() -> None:
    jitter, noise = PixelTransform(v2.ColorJitter(0.5)), PixelTransform(v2.GaussianNoise())
    draw = draw_all([jitter, Flip(1), noise], SIZE, np.random.default_rng(0))
    assert draw.warp.is_mirrored
    assert len(draw.pixel_functions) == 2


def test_a_custom_function_can_be_a_pixel_transform() -> None:
    def darker(image: Tensor) -> Tensor:
        return image // 2

    assert torch.equal(apply(PixelTransform(darker), 0), IMAGE // 2)


def geometric() -> Sequence[nn.Module]:
    square = v2.Resize(8)
    return [
        square,
        v2.CenterCrop(8),
        v2.Pad(2),
        v2.RandomCrop(8),
        v2.FiveCrop(8),
        v2.TenCrop(8),
        v2.RandomResizedCrop(8),
        v2.RandomIoUCrop(),
        v2.ScaleJitter((8, 8)),
        v2.RandomZoomOut(),
        v2.RandomResize(4, 8),
        v2.RandomShortestSize(8),
        v2.RandomHorizontalFlip(),
        v2.RandomVerticalFlip(),
        v2.RandomRotation(5),
        v2.RandomAffine(5),
        v2.RandomPerspective(),
        v2.ElasticTransform(),
        v2.AutoAugment(),
        v2.RandAugment(),
        v2.TrivialAugmentWide(),
        v2.AugMix(),
        v2.Compose([v2.ColorJitter(), square]),
        v2.RandomApply([v2.RandomChoice([square])]),
        nn.Sequential(v2.ColorJitter(), square),
    ]


@pytest.mark.parametrize("transform", geometric(), ids=lambda t: type(t).__name__)
def test_a_geometric_transform_is_refused_and_the_replacement_named(transform: nn.Module) -> None:
    with pytest.raises(InputError, match=r"torchvision's \w+ would transform the pixels .* use eyebright's \w+"):
        PixelTransform(transform)


def test_all_geometric_transforms_of_torchvision_are_tested() -> None:
    classes = [getattr(v2, name) for name in dir(v2)]
    names = {c.__name__ for c in classes if getattr(c, "__module__", "").endswith(("_geometry", "_auto_augment"))}
    assert names == {type(t).__name__ for t in geometric()} - {"Compose", "RandomApply", "Sequential"}


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (v2.Normalize([0.5], [0.5]), "the model normalises"),
        (v2.MixUp(num_classes=3), "needs a whole batch"),
        (v2.CutMix(num_classes=3), "needs a whole batch"),
    ],
)
def test_normalize_mixup_and_cutmix_are_refused(transform: nn.Module, reason: str) -> None:
    with pytest.raises(InputError, match=f"is not a pixel transform: .*{reason}"):
        PixelTransform(transform)


@pytest.mark.parametrize("change", [lambda image: image[:, 1:], lambda image: image.float()])
def test_a_change_of_shape_or_dtype_is_refused(change: object) -> None:
    with pytest.raises(InputError, match="a pixel transform must keep dtype and shape"):
        apply(PixelTransform(change), 0)


def test_as_transform_keeps_eyebrights_and_wraps_torchvisions_transforms() -> None:
    flip, jitter = Flip(), v2.ColorJitter(0.5)
    assert as_transform(flip) is flip
    assert as_transform(jitter) == PixelTransform(jitter)


@pytest.mark.parametrize("value", [3, "crop", len])
def test_as_transform_refuses_other_values(value: object) -> None:
    with pytest.raises(InputError, match="is not a transform: use a transform of eyebright or torchvision"):
        as_transform(value)
