"""Composition of draws to one warp and one lighting."""

import numpy as np
import pytest
import torch

from eyebright.image.warp import Warp
from eyebright.transforms.draw import Lighting, Transform, TransformParams, draw_all, output_size
from eyebright.transforms.lighting import Brightness, Contrast
from eyebright.transforms.normalize import Normalize
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Dihedral, Flip, RandomResizedCrop, Resize, Rotate
from eyebright.types import Size

SIZE = Size(60, 90)


def test_the_warp_of_several_transforms_equals_the_chained_warps() -> None:
    chain = [Resize(64), Flip(1), Rotate(10, p=1)]
    composed = draw_all(chain, SIZE, np.random.default_rng(5))
    generator, step_by_step = np.random.default_rng(5), Warp.identity(SIZE)
    for transform in chain:
        step_by_step = step_by_step.then(transform.draw(step_by_step.output_size, generator).warp)
    assert np.allclose(composed.warp.matrix, step_by_step.matrix, rtol=1e-12)
    assert (composed.warp.input_size, composed.warp.output_size) == (SIZE, Size(64, 64))


def test_a_draw_from_no_transforms_is_the_identity() -> None:
    draw = draw_all([], SIZE, np.random.default_rng(0))
    assert np.array_equal(draw.warp.matrix, np.eye(3))
    assert draw.lighting.is_identity
    assert (draw.pixel_functions, draw.pad_mode, draw.interpolation) == ((), None, None)


def test_the_first_specified_padding_and_interpolation_win() -> None:
    warp = Warp.identity(SIZE)
    draw = TransformParams(warp, pad_mode="zeros").then(
        TransformParams(warp, pad_mode="border", interpolation="bicubic")
    )
    assert (draw.pad_mode, draw.interpolation) == ("zeros", "bicubic")
    assert TransformParams(warp).then(draw).pad_mode == "zeros"


def test_lightings_and_pixel_functions_are_composed_in_order() -> None:
    warp = Warp.identity(SIZE)
    first = TransformParams(warp, Lighting(offset=0.5), pixel_functions=(torch.clone,))
    second = TransformParams(warp, Lighting(gain=2.0), pixel_functions=(torch.neg,))
    composed = first.then(second)
    assert composed.lighting == Lighting(gain=2.0, offset=1.0)
    assert composed.pixel_functions == (torch.clone, torch.neg)


def test_a_custom_transform_needs_only_a_draw_method() -> None:
    class UpsideDown(Transform):
        def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
            return TransformParams(Warp.dihedral(size, 2))

    image = np.arange(SIZE.height * SIZE.width * 3, dtype=np.uint8).reshape(*SIZE, 3)
    draw = draw_all([UpsideDown(), UpsideDown(), UpsideDown()], SIZE, None)
    assert np.array_equal(draw.warp.pixels(image), image[::-1])


@pytest.mark.parametrize("seed", range(3))
def test_draws_depend_on_the_given_generator_alone(seed: int) -> None:
    transforms = [Resize(64), *aug_transforms(size=32, min_scale=0.5, flip_vert=True)]
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    first = draw_all(transforms, SIZE, np.random.default_rng(seed))
    np.random.default_rng(1).random(10)
    second = draw_all(transforms, SIZE, np.random.default_rng(seed))
    assert np.array_equal(first.warp.matrix, second.warp.matrix)
    assert first.lighting == second.lighting
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("transforms", "size"),
    [
        ([], None),
        ([Flip(), Rotate()], None),
        ([Resize(64)], Size(64, 64)),
        ([Resize((24, 40)), *aug_transforms()], Size(24, 40)),
        ([Resize((24, 40)), *aug_transforms(flip_vert=True)], Size(24, 40)),
        ([Resize((24, 40)), Dihedral()], None),
        ([Resize(64), Dihedral()], Size(64, 64)),
        ([Dihedral(), RandomResizedCrop((24, 40))], Size(24, 40)),
        ([Resize(460), *aug_transforms(size=224, min_scale=0.75)], Size(224, 224)),
        ([Resize(64), Brightness(), Contrast(), Normalize((0.5,), (0.5,))], Size(64, 64)),
    ],
    ids=str,
)
def test_output_size_is_the_common_size_or_none(transforms: list[Transform], size: Size | None) -> None:
    assert output_size(transforms) == size
