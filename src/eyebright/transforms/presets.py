"""`aug_transforms`: fastai's standard augmentation in one call."""

from collections.abc import Iterable, Sequence

from eyebright.errors import InputError, checked_keywords
from eyebright.image.warp import Interpolation, PadMode
from eyebright.transforms.draw import Transform
from eyebright.transforms.lighting import Brightness, Contrast
from eyebright.transforms.spatial import (
    Dihedral,
    Flip,
    PerspectiveWarp,
    RandomResizedCrop,
    Resize,
    Rotate,
    Zoom,
)
from eyebright.transforms.torchvision import as_transform
from eyebright.types import Size


@checked_keywords
def aug_transforms(
    mult: float = 1.0,
    do_flip: bool = True,  # noqa: FBT001 - fastai's signature
    flip_vert: bool = False,  # noqa: FBT001
    max_rotate: float | None = 10.0,
    min_zoom: float = 1.0,
    max_zoom: float = 1.1,
    max_lighting: float | None = 0.2,
    max_warp: float | None = 0.2,
    p_affine: float = 0.75,
    p_lighting: float = 0.75,
    xtra_tfms: object = None,
    size: int | Sequence[int] | None = None,
    mode: Interpolation = "bilinear",
    pad_mode: PadMode = "reflection",
    align_corners: bool = True,  # noqa: FBT001
    batch: bool = False,  # noqa: FBT001
    min_scale: float = 1.0,
) -> list[Transform]:
    """Random transforms: flip, perspective, rotation, zoom, brightness and contrast, and a resize to ``size``.

    The parameters are sampled for each image. The transforms are applied in this order with a single resample, which
    also includes a `Resize` before them. Validation images are only resized to ``size`` and cropped at the centre.

    Args:
        mult: factor for ``max_rotate``, ``max_lighting`` and ``max_warp``.
        do_flip: flip horizontally with probability 0.5.
        flip_vert: with ``do_flip``, one of the 8 flips and quarter turns of a square instead, with probability 0.5.
        max_rotate: maximum angle in degrees; None or 0: no rotation.
        min_zoom: minimum zoom factor.
        max_zoom: maximum zoom factor.
        max_lighting: strength of brightness and contrast, see `Brightness` and `Contrast`; None or 0: no change.
        max_warp: strength of the perspective, see `PerspectiveWarp`; None or 0: none.
        p_affine: probability of each of perspective, rotation and zoom.
        p_lighting: probability of each of brightness and contrast.
        xtra_tfms: one or several transforms to append, including torchvision's pixel transforms.
        size: the output size, one number (square) or (height, width); None keeps the size.
        mode: ``"bilinear"`` or ``"bicubic"``.
        pad_mode: how to fill pixels outside of the image: ``"reflection"``, ``"border"`` or ``"zeros"``.
        align_corners: ignored; coordinates always refer to the corners of pixels.
        batch: must be False; parameters are always sampled for each image.
        min_scale: minimum area of a random crop that is resized to ``size``, as a fraction of the area of the image.

    Raises:
        TypeError: an unknown keyword argument; the message suggests the nearest known one.
        InputError: ``min_scale`` without ``size``, or a value out of its range.

    >>> [type(transform).__name__ for transform in aug_transforms(max_warp=0, max_lighting=0, size=224)]
    ['Flip', 'Rotate', 'Zoom', 'Resize']
    """
    if batch:
        raise InputError("batch=True is not supported: parameters are sampled for each image; leave batch out")
    if min_scale != 1 and size is None:
        raise InputError(f"min_scale={min_scale} crops a random part of the image; give its output size with size=")
    interpolation = None if mode == "bilinear" else mode
    warp, rotation, lighting = (mult * (strength or 0) for strength in (max_warp, max_rotate, max_lighting))
    transforms: list[Transform] = []
    if do_flip:
        transforms.append(Dihedral(keep_size=size is None) if flip_vert else Flip())
    if warp:
        transforms.append(PerspectiveWarp(warp, p_affine, pad_mode, interpolation))
    if rotation:
        transforms.append(Rotate(rotation, p_affine, pad_mode, interpolation))
    if min_zoom < 1 or max_zoom > 1:
        transforms.append(Zoom(min_zoom, max_zoom, p_affine, pad_mode, interpolation))
    if lighting:
        transforms += [Brightness(lighting, p=p_lighting), Contrast(lighting, p=p_lighting)]
    return [*transforms, *_to_size(size, min_scale, interpolation), *_extra(xtra_tfms)]


def _to_size(
    size: int | Sequence[int] | None, min_scale: float, interpolation: Interpolation | None
) -> list[Transform]:
    if size is None:
        return []
    if min_scale == 1:
        return [Resize(size, interpolation=interpolation)]
    target = Size.of(size)
    aspect_ratio = target.width / target.height  # fastai uses 1, which distorts the image if the size is not square
    ratio = (aspect_ratio, aspect_ratio)
    return [RandomResizedCrop(size, min_scale, ratio=ratio, val_xtra=0, interpolation=interpolation)]


def _extra(xtra_tfms: object) -> list[Transform]:
    if xtra_tfms is None:
        return []
    return [as_transform(t) for t in (xtra_tfms if isinstance(xtra_tfms, Iterable) else [xtra_tfms])]
