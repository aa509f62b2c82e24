"""The book's `aug_transforms`: what it holds, in which order, and what comes out.

Compared with the recorded numbers: which transforms it makes of which arguments, with which strengths and rates (here),
the matrices, the lighting and the statistics of the draws (test_spatial, test_lighting), the normalised values
(test_normalize). Not compared, on purpose: how often the book resamples (two to four times; we once), its corners'
convention that parts points from pixels by half a pixel, its one box for a whole batch, its rectangles of
`RandomErasing`, `saturation` and `hue` (not in `aug_transforms`), the `order` numbers.
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


def test_the_parameters_are_the_books() -> None:
    book = (
        "mult=1.0, do_flip=True, flip_vert=False, max_rotate=10.0, min_zoom=1.0, max_zoom=1.1, max_lighting=0.2, "
        "max_warp=0.2, p_affine=0.75, p_lighting=0.75, xtra_tfms=None, size=None, mode='bilinear', "
        "pad_mode='reflection', align_corners=True, batch=False, min_scale=1.0"
    )
    parameters = inspect.signature(aug_transforms).parameters.values()
    assert ", ".join(f"{p.name}={p.default!r}" for p in parameters) == book


def test_the_default_is_the_books() -> None:
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


def test_mult_strengthens_turns_tilts_and_light_only() -> None:
    strong = aug_transforms(mult=2, flip_vert=True)
    assert strong[0] == Dihedral(p=0.5, keep_size=True)
    assert [t.magnitude for t in strong if isinstance(t, PerspectiveWarp)] == [0.4]
    assert [t.max_deg for t in strong if isinstance(t, Rotate)] == [20]
    assert [(t.min_zoom, t.max_zoom) for t in strong if isinstance(t, Zoom)] == [(1.0, 1.1)]
    assert [t.max_lighting for t in strong if isinstance(t, Brightness | Contrast)] == [0.4, 0.4]
    assert "'max_lighting': np.float64(0.4)" in GOLD["aug_transforms(flip_vert=True,mult=2)"][1]


def test_what_is_switched_off_is_not_there() -> None:
    assert [type(t) for t in aug_transforms(do_flip=False, max_warp=0, max_lighting=0)] == [Rotate, Zoom]
    assert [type(t) for t in aug_transforms(do_flip=False, flip_vert=True, mult=0, max_zoom=1)] == []
    assert [type(t) for t in aug_transforms(mult=0, min_zoom=0.9, max_zoom=1)] == [Flip, Zoom]


def test_a_size_resizes_by_the_rule_of_resize() -> None:
    assert aug_transforms(size=(240, 320))[-1] == Resize((240, 320))
    draw = draw_all(aug_transforms(size=(240, 320)), Size(480, 640), None)
    assert np.allclose(draw.warp.matrix, np.diag([0.5, 0.5, 1]))  # the same aspect: the book's result


def test_a_least_scale_makes_a_random_box_of_the_sizes_shape() -> None:
    square = aug_transforms(size=224, min_scale=0.75)[-1]
    assert square == RandomResizedCrop(224, 0.75, ratio=(1, 1), val_xtra=0)
    wide = aug_transforms(size=(240, 320), min_scale=0.75)
    for seed in range(20):
        draw = wide[-1].draw(Size(500, 700), np.random.default_rng(seed))
        x, y = draw.warp.scale()
        assert x == pytest.approx(y)  # the book's ratio (1, 1) squishes where the size is not square


def test_the_book_chapter_five_is_one_warp_for_training_and_the_whole_middle_for_validation() -> None:
    chain = [Resize(460), *aug_transforms(size=224, min_scale=0.75)]
    training = draw_all(chain, Size(333, 500), np.random.default_rng(0))
    assert (training.warp.source, training.warp.size) == (Size(333, 500), Size(224, 224))
    assert training.pad == "reflection"
    validation = draw_all(chain, Size(333, 500), None)
    shown = validation.warp.inverse().points(Points.of([[0, 0], [224, 224]])).xy
    assert shown.numpy() == pytest.approx(np.array([[83, 0], [416, 333]]))  # the largest square in the middle
    assert validation.lighting.is_identity


@pytest.mark.parametrize("source", [Size(333, 500), Size(500, 333), Size(400, 400)])
def test_validation_never_squishes(source: Size) -> None:
    for chain in (aug_transforms(size=224), aug_transforms(size=224, min_scale=0.5, flip_vert=True)):
        x, y = draw_all(chain, source, None).warp.scale()
        assert x == pytest.approx(y)


def test_turned_images_come_out_at_the_size_too() -> None:
    with_size = aug_transforms(flip_vert=True, size=(24, 40))
    without = aug_transforms(flip_vert=True)
    for seed in range(20):
        assert draw_all(with_size, Size(50, 60), np.random.default_rng(seed)).warp.size == Size(24, 40)
        assert draw_all(without, Size(50, 60), np.random.default_rng(seed)).warp.size == Size(50, 60)


def test_the_books_list_with_normalize_draws() -> None:
    chain = [*aug_transforms(size=(240, 320)), Normalize.from_stats(*imagenet_stats)]
    assert draw_all(chain, Size(480, 640), np.random.default_rng(0)).warp.size == Size(240, 320)


def test_interpolation_and_padding_are_passed_on() -> None:
    draw = draw_all(aug_transforms(size=32, mode="bicubic", pad_mode="zeros"), Size(40, 50), None)
    assert (draw.interpolation, draw.pad) == ("bicubic", "zeros")
    assert draw_all(aug_transforms(size=32), Size(40, 50), None).interpolation is None  # the model's own
    for chain in (aug_transforms(size=32, min_scale=0.5, mode="bicubic"), aug_transforms(mode="bicubic")):
        assert draw_all(chain, Size(40, 50), None).interpolation == "bicubic"


@pytest.mark.parametrize("several", [False, True])
def test_extra_transforms_come_last(several: bool) -> None:
    jitter = v2.ColorJitter(hue=0.1)
    extra = [Zoom(1.2, 1.3), jitter] if several else jitter
    assert aug_transforms(xtra_tfms=extra)[-1] == PixelTransform(jitter)
    if several:
        assert aug_transforms(xtra_tfms=extra)[-2] == Zoom(1.2, 1.3)


def test_an_unknown_keyword_names_the_nearest_one() -> None:
    with pytest.raises(TypeError, match="aug_transforms has no keyword 'max_rotat'. Did you mean 'max_rotate'"):
        aug_transforms(max_rotat=5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_scale": 0.75}, "say with size= what it becomes"),
        ({"batch": True}, "here each image has its own"),
        ({"mode": "nearest"}, "unknown interpolation 'nearest'"),
        ({"pad_mode": "reflect"}, "unknown pad_mode 'reflect'. Did you mean 'reflection'"),
        ({"size": 32, "min_scale": 1.5}, "scales are 0 < min <= max <= 1"),
        ({"max_lighting": 0.6, "mult": 2}, r"max_lighting lies in \[0, 1\), got 1.2"),
        ({"xtra_tfms": [3]}, "3 is not a transform"),
    ],
)
def test_values_that_cannot_work_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        aug_transforms(**arguments)
