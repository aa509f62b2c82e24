"""Geometry of pixels and points, lighting and normalisation, compared with values recorded from fastai (g06, g07)."""

import ast
from typing import Any

import numpy as np
import pytest
import torch

from eyebright.image.image import Image
from eyebright.image.warp import Warp, warp_batch
from eyebright.tasks.points import PointBlock
from eyebright.transforms.draw import Lighting, draw_all
from eyebright.transforms.normalize import Normalize
from eyebright.transforms.pipeline import to_images
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import RandomResizedCrop, Resize, tilt_warp
from eyebright.types import Points, Size
from support.gold import gold

GEOMETRY, AUGMENT = gold("g06_geometry"), gold("g07_augment")
SQUARE, OBLONG = Size(65, 65), Size(65, 97)

WARPS: dict[str, Warp] = {
    "Flip(p=1)": Warp.flip(SQUARE),
    **{f"Dihedral(draw={k}) square": Warp.dihedral(SQUARE, k) for k in range(8)},
    **{f"Dihedral(draw={k}) on 65x97 (h,w) image": Warp.dihedral(OBLONG, k) for k in (1, 4)},
    "Rotate(draw=90)": Warp.rotate(SQUARE, 90),
    "Rotate(draw=10)": Warp.rotate(SQUARE, 10),
    "Rotate(draw=10) on 65x97": Warp.rotate(OBLONG, 10),
    "Zoom(draw=1.1,center)": Warp.zoom(SQUARE, 1.1),
    "Warp(.2,0)": tilt_warp(SQUARE, x=0.2, y=0.0),
}


def warped_point(warp: Warp, x: float, y: float) -> np.ndarray:
    """The warped centre of a pixel, in pixel indices like the recorded values."""
    return warp.points(Points.of([[x + 0.5, y + 0.5]])).xy[0].numpy() - 0.5


def warped_pixel(warp: Warp, x: int, y: int) -> list[int]:
    """The (x, y) indices of the brightest pixel after warping an image with one bright pixel."""
    image = np.zeros((*warp.input_size, 3), dtype=np.float32)
    image[y, x] = 1
    row, column = divmod(int(warp.pixels(image)[..., 0].argmax()), warp.output_size.width)
    return [column, row]


@pytest.mark.parametrize("name", WARPS)
def test_pixels_and_points_are_moved_as_in_fastai(name: str) -> None:
    for position, expected in GEOMETRY[name].items():
        x, y = map(int, position.strip("()").split(","))
        point = warped_point(WARPS[name], x, y)
        assert np.abs(point - expected["point_says"]).max() < 0.2  # fastai's [-1, 1] ends half a pixel earlier
        pixel = np.array(warped_pixel(WARPS[name], x, y))
        assert np.abs(pixel - expected["pixel_lands"]).max() <= 1
        assert np.abs(pixel - point).max() <= 1


def test_a_quarter_turn_of_a_non_square_image_swaps_its_size_unlike_fastai() -> None:
    recorded = GEOMETRY["Dihedral(draw=3) on 65x97 (h,w) image"]["(10,20)"]
    assert recorded == {"pixel_lands": [0, 0], "point_says": [35.938, 69.805]}
    rotated = Warp.dihedral(OBLONG, 3)
    assert rotated.output_size == Size(97, 65)
    assert warped_point(rotated, 10, 20).round(6).tolist() == warped_pixel(rotated, 10, 20) == [20, 86]


def test_the_rotation_matrix_equals_fastais() -> None:
    half = SQUARE.width / 2
    to_pixels = np.array([[half, 0, half], [0, half, half], [0, 0, 1]])
    inverse = np.linalg.inv(to_pixels) @ np.linalg.inv(Warp.rotate(SQUARE, 10).matrix) @ to_pixels
    assert inverse == pytest.approx(np.array(AUGMENT["rotate_mat(draw=10)"]), abs=1e-6)


# ------------------------------------------------------------------ points


def test_decoded_points_equal_fastais() -> None:
    recorded = GEOMETRY["PointScaler 640x480"]
    block, warp = PointBlock(len(recorded["points"])), Warp.identity(Size(480, 640))
    assert block.decode(
        block.to_user_units(torch.tensor(recorded["scaled"])[None], [warp])[0]
    ).xy.numpy() == pytest.approx(np.array(GEOMETRY["PointScaler.decode"]), abs=1e-4)


def test_a_flipped_point_equals_fastais() -> None:
    block, size = PointBlock(2), Size(64, 96)
    points = block.decode(block.to_user_units(torch.tensor([[[-0.5, 0.25], [0.75, -1.0]]]), [Warp.identity(size)])[0])
    before = points.xy.clone()
    flipped = block.encode(points, Warp.flip(size))
    assert flipped.numpy() == pytest.approx(np.array(GEOMETRY["flip_lr point"]), abs=1e-6)
    assert GEOMETRY["TensorPoint.dihedral mutates its input"] is True
    assert torch.equal(points.xy, before), "here the input is not changed"


def test_points_are_flipped_correctly_unlike_fastai() -> None:
    wrong = GEOMETRY["item pipeline order: FlipItem(order 0) runs BEFORE PointScaler(order 1)"][1]
    assert wrong == [[-1.5, -0.5]]
    flipped = PointBlock(1).encode(Points.of([24.0, 16.0]), Warp.flip(Size(64, 96)))
    assert flipped[0, 0].item() == pytest.approx(GEOMETRY["expected scaled x after flip"])


def test_a_point_outside_the_crop_is_unknown_unlike_fastai() -> None:
    recorded = GEOMETRY["Resize(32) then points (train, random.seed(0))"][1]
    assert recorded == [[-1.09375, -0.5]]
    crop = Warp.crop(Size(64, 96), Size(64, 64), left=30, top=0).then(Warp.resize(Size(64, 64), Size(32, 32)))
    assert PointBlock(1).encode(Points.of([24.0, 16.0]), crop).isnan().all()


def test_pixels_and_points_have_the_same_image_edge_unlike_fastai() -> None:
    recorded = AUGMENT["align_corners=True image vs edge-convention points, 640->320"][-1]
    assert (recorded["point_decoded"], recorded["image_centroid"]) == (319.5, 319.0), "half a pixel apart in fastai"
    resized = Warp.resize(Size(8, 640), Size(4, 320))
    assert resized.points(Points.of([639.0, 0.0])).xy[0, 0].item() == recorded["point_decoded"]
    strip = np.zeros((8, 640, 1), dtype=np.float32)
    strip[:, 638:] = 1
    assert resized.pixels(strip)[0, -1, 0] == pytest.approx(1, abs=0.3)


# ------------------------------------------------------------------ images


def test_image_sizes_are_given_as_in_fastai() -> None:
    image = Image.create(np.zeros((64, 96, 3), dtype=np.uint8))
    assert list(image.shape) == GEOMETRY["PILImage.shape is (h,w)"]
    assert list(image.to_thumb(48).size) == GEOMETRY["to_thumb(48) on 96x64"]


def recorded_crops() -> list[str]:
    return [name for name in GEOMETRY["RandomResizedCrop"] if name.endswith("valid")]


@pytest.mark.parametrize("name", recorded_crops())
def test_validation_crops_keep_the_aspect_ratio_unlike_fastai(name: str) -> None:
    crop: dict[str, Any] = ast.literal_eval(name[name.index("({") + 1 : name.index("})") + 1])
    width, height = map(int, name.split()[0].split("x"))
    resized = GEOMETRY["RandomResizedCrop"][name]["resized_to_first"]
    warp = RandomResizedCrop(**crop).draw(Size(height, width), None).warp
    x, y = warp.scale()
    assert x == pytest.approx(y)
    assert x == pytest.approx(max(resized[0] / width, resized[1] / height)), "fastai uses both factors"


def test_uint8_and_float_images_are_converted_as_in_fastai() -> None:
    levels = torch.tensor([0, 51, 255], dtype=torch.uint8)
    assert (levels.float() / 255).tolist() == pytest.approx(AUGMENT["IntToFloatTensor"])
    decoded = to_images(torch.tensor([1.2, -0.1, 0.5]).reshape(1, 1, 1, 3)).flatten().tolist()
    assert AUGMENT["IntToFloat.decode([1.2,-.1,.5])"] == [255, 0, 127]
    assert decoded == [255, 0, 128], "rounded, not truncated"


def test_all_transforms_are_one_warp_where_fastai_resamples_several_times() -> None:
    recorded = AUGMENT["resamplings"]
    for dataset in ("train  <- book ch.5", "valid"):
        assert len(recorded[f"aug_transforms(size=224,min_scale=.75) {dataset}"]["grid_samples"]) == 2
    assert len(recorded["aug_transforms() valid (identity)"]["grid_samples"]) == 1
    transforms = [Resize(460), *aug_transforms(size=224, min_scale=0.75)]
    for generator in (np.random.default_rng(0), None):
        draw = draw_all(transforms, Size(375, 500), generator)
        assert (draw.warp.input_size, draw.warp.output_size) == (Size(375, 500), Size(224, 224))
    identity = draw_all(aug_transforms(), Size(460, 460), None)
    assert np.array_equal(identity.warp.matrix, np.eye(3))


@pytest.mark.wrong_shapes
def test_normalize_needs_mean_and_std_unlike_fastai() -> None:
    assert AUGMENT["Normalize() fitted on one batch arange(48).view(2,3,2,4)"]["mean"] == [15.5, 23.5, 31.5]
    with pytest.raises(TypeError, match="missing 2 required positional arguments: 'mean' and 'std'"):
        Normalize()  # type: ignore[call-arg]


def test_the_flip_probability_equals_fastais() -> None:
    generator = np.random.default_rng(0)
    flip = aug_transforms()[0]
    frequency = np.mean([flip.draw(Size(4, 4), generator).warp.is_mirrored for _ in range(4000)])
    assert frequency == pytest.approx(AUGMENT["statistics over draws"]["flip p=.5"], abs=0.03)


def test_brightness_and_contrast_use_fastais_formula() -> None:
    assert "sigmoid(logit(x)*change)" in AUGMENT["formula"]
    x = torch.linspace(0.1, 0.9, 9, dtype=torch.float64)
    for change in (0.8, 1.2):
        assert torch.allclose(Lighting(gain=change).apply(x), torch.sigmoid(torch.logit(x) * change))


@pytest.mark.parametrize("k", range(8))
def test_dihedral_transforms_are_numbered_as_in_fastai(k: int) -> None:
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    expected = GEOMETRY["image dihedral on [[0,1,2],[3,4,5]]"][str(k)]["pil"]
    warp = Warp.dihedral(Size(2, 3), k)
    assert warp.pixels(pixels)[:, :, 0].tolist() == expected
    batch = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    assert warp_batch(batch, [warp])[0, 0].round().tolist() == expected


@pytest.mark.parametrize("k", range(8))
def test_dihedral_transforms_move_points_as_in_fastai(k: int) -> None:
    square = Size(2, 2)  # fastai's points are in [-1, 1] relative to the centre, as in a 2 x 2 image
    moved = Warp.dihedral(square, k).points(Points.of(np.array([[-0.5, 0.25], [0.75, -1.0]]) + 1)).xy - 1
    assert moved.tolist() == GEOMETRY["TensorPoint.dihedral(k) on [[-.5,.25],[.75,-1]]"][str(k)]
