"""`aug_transforms`: its transforms, their order, and their output.

Compared with values recorded from fastai: the transforms for given arguments, their strengths and probabilities
(here); matrices, lighting and statistics of draws (test_spatial, test_lighting); normalised values (test_normalize).
Deliberately different from fastai and not compared: it resamples two to four times (Eyebright once), its coordinates
shift points by half a pixel against the pixels, it uses one crop for a whole batch, and it has `order` numbers.
`RandomErasing`, `saturation` and `hue` are not part of `aug_transforms`.
"""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
from torchvision.transforms import v2

from eyebright.errors import InputError
from eyebright.transforms.draw import draw_all
from eyebright.transforms.lighting import Brightness, Contrast
from eyebright.transforms.normalize import Normalize, imagenet_stats
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import (
    Dihedral,
    Flip,
    PerspectiveWarp,
    RandomResizedCrop,
    Resize,
    Rotate,
    Zoom,
)
from eyebright.transforms.torchvision import PixelTransform
from eyebright.types import Points, Size

GOLD = json.loads((Path(__file__).parents[1] / "gold" / "g07_augment.json").read_text())


def test_the_signature_of_aug_transforms_is_fastais() -> None:
    expected = (
        "mult=1.0, do_flip=True, flip_vert=False, max_rotate=10.0, min_zoom=1.0, max_zoom=1.1, max_lighting=0.2, "
        "max_warp=0.2, p_affine=0.75, p_lighting=0.75, xtra_tfms=None, size=None, mode='bilinear', "
        "pad_mode='reflection', align_corners=True, batch=False, min_scale=1.0"
    )
    parameters = inspect.signature(aug_transforms).parameters.values()
    assert ", ".join(f"{p.name}={p.default!r}" for p in parameters) == expected


def test_the_default_transforms_are_fastais() -> None:
    inside = GOLD["inside the composed affine"]
    assert aug_transforms() == [
        Flip(p=0.5),
        PerspectiveWarp(0.2, p=0.75, pad_mode="reflection"),
        Rotate(10.0, p=0.75, pad_mode="reflection"),
        Zoom(1.0, 1.1, p=0.75, pad_mode="reflection"),
        Brightness(0.2, p=0.75),
        Contrast(0.2, p=0.75),
    ]
    assert [name.split("{")[0] for name in inside["aff"]] == ["flip_mat", "rotate_mat", "zoom_mat"]
    assert "'max_deg': np.float64(10.0), 'p': 0.75" in inside["aff"][1]
    assert "'min_zoom': 1.0, 'max_zoom': 1.1, 'p': 0.75" in inside["aff"][2]
    assert inside["light"] == ["_BrightnessLogit", "_ContrastLogit"]


def test_mult_scales_rotation_perspective_and_lighting_only() -> None:
    strong = aug_transforms(mult=2, flip_vert=True)
    assert strong[0] == Dihedral(p=0.5, keep_size=True)
    assert [t.magnitude for t in strong if isinstance(t, PerspectiveWarp)] == [0.4]
    assert [t.max_deg for t in strong if isinstance(t, Rotate)] == [20]
    assert [(t.min_zoom, t.max_zoom) for t in strong if isinstance(t, Zoom)] == [(1.0, 1.1)]
    assert [t.max_lighting for t in strong if isinstance(t, Brightness | Contrast)] == [0.4, 0.4]
    assert "'max_lighting': np.float64(0.4)" in GOLD["aug_transforms(flip_vert=True,mult=2)"][1]


def test_transforms_with_zero_strength_are_omitted() -> None:
    assert [type(t) for t in aug_transforms(do_flip=False, max_warp=0, max_lighting=0)] == [Rotate, Zoom]
    assert [type(t) for t in aug_transforms(do_flip=False, flip_vert=True, mult=0, max_zoom=1)] == []
    assert [type(t) for t in aug_transforms(mult=0, min_zoom=0.9, max_zoom=1)] == [Flip, Zoom]


def test_size_adds_a_resize() -> None:
    assert aug_transforms(size=(240, 320))[-1] == Resize((240, 320))
    draw = draw_all(aug_transforms(size=(240, 320)), Size(480, 640), None)
    assert np.allclose(draw.warp.matrix, np.diag([0.5, 0.5, 1]))  # the same aspect ratio, as in fastai


def test_min_scale_adds_a_random_crop_without_distortion() -> None:
    square = aug_transforms(size=224, min_scale=0.75)[-1]
    assert square == RandomResizedCrop(224, 0.75, ratio=(1, 1), val_xtra=0)
    wide = aug_transforms(size=(240, 320), min_scale=0.75)
    for seed in range(20):
        draw = wide[-1].draw(Size(500, 700), np.random.default_rng(seed))
        x, y = draw.warp.scale()
        assert x == pytest.approx(y)  # fastai's ratio (1, 1) distorts if the size is not square


def test_the_transforms_of_chapter_5_are_one_warp_in_training_and_a_centre_crop_in_validation() -> None:
    chain = [Resize(460), *aug_transforms(size=224, min_scale=0.75)]
    training = draw_all(chain, Size(333, 500), np.random.default_rng(0))
    assert (training.warp.input_size, training.warp.output_size) == (Size(333, 500), Size(224, 224))
    assert training.pad_mode == "reflection"
    validation = draw_all(chain, Size(333, 500), None)
    visible = validation.warp.inverse().points(Points.of([[0, 0], [224, 224]])).xy
    assert visible.numpy() == pytest.approx(np.array([[83, 0], [416, 333]]))  # the largest centred square
    assert validation.lighting.is_identity


@pytest.mark.parametrize("source", [Size(333, 500), Size(500, 333), Size(400, 400)])
def test_validation_keeps_the_aspect_ratio(source: Size) -> None:
    for chain in (aug_transforms(size=224), aug_transforms(size=224, min_scale=0.5, flip_vert=True)):
        x, y = draw_all(chain, source, None).warp.scale()
        assert x == pytest.approx(y)


def test_flip_vert_keeps_the_output_size() -> None:
    with_size = aug_transforms(flip_vert=True, size=(24, 40))
    without = aug_transforms(flip_vert=True)
    for seed in range(20):
        assert draw_all(with_size, Size(50, 60), np.random.default_rng(seed)).warp.output_size == Size(24, 40)
        assert draw_all(without, Size(50, 60), np.random.default_rng(seed)).warp.output_size == Size(50, 60)


def test_aug_transforms_can_be_combined_with_normalize() -> None:
    chain = [*aug_transforms(size=(240, 320)), Normalize.from_stats(*imagenet_stats)]
    assert draw_all(chain, Size(480, 640), np.random.default_rng(0)).warp.output_size == Size(240, 320)


def test_mode_and_pad_mode_are_part_of_the_draw() -> None:
    draw = draw_all(aug_transforms(size=32, mode="bicubic", pad_mode="zeros"), Size(40, 50), None)
    assert (draw.interpolation, draw.pad_mode) == ("bicubic", "zeros")
    assert draw_all(aug_transforms(size=32), Size(40, 50), None).interpolation is None  # the default of the model
    for chain in (aug_transforms(size=32, min_scale=0.5, mode="bicubic"), aug_transforms(mode="bicubic")):
        assert draw_all(chain, Size(40, 50), None).interpolation == "bicubic"


@pytest.mark.parametrize("several", [False, True])
def test_extra_transforms_are_appended(several: bool) -> None:
    jitter = v2.ColorJitter(hue=0.1)
    extra = [Zoom(1.2, 1.3), jitter] if several else jitter
    assert aug_transforms(xtra_tfms=extra)[-1] == PixelTransform(jitter)
    if several:
        assert aug_transforms(xtra_tfms=extra)[-2] == Zoom(1.2, 1.3)


def test_an_unknown_keyword_suggests_the_nearest_known_one() -> None:
    with pytest.raises(TypeError, match="aug_transforms has no keyword 'max_rotat'. Did you mean 'max_rotate'"):
        aug_transforms(max_rotat=5)  # pyright: ignore[reportCallIssue]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_scale": 0.75}, "give its output size with size="),
        ({"batch": True}, "parameters are sampled for each image"),
        ({"mode": "nearest"}, "unknown interpolation 'nearest'"),
        ({"pad_mode": "reflect"}, "unknown `pad_mode` 'reflect'. Did you mean 'reflection'"),
        ({"size": 32, "min_scale": 1.5}, "scales must satisfy 0 < min_scale <= max_scale <= 1"),
        ({"max_lighting": 0.6, "mult": 2}, r"max_lighting must be in \[0, 1\), got 1.2"),
        ({"xtra_tfms": [3]}, "3 is not a transform"),
    ],
)
def test_invalid_arguments_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        aug_transforms(**arguments)


@pytest.mark.parametrize("name", ["max_lighting", "max_rotate", "max_warp"])
def test_none_leaves_a_kind_of_change_out_as_0_does(name: str) -> None:
    assert aug_transforms(**{name: None}) == aug_transforms(**{name: 0.0})
    assert len(aug_transforms(**{name: None})) < len(aug_transforms())
