"""The augmentation of the book in one call."""

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
    do_flip: bool = True,  # noqa: FBT001 - the book's own signature
    flip_vert: bool = False,  # noqa: FBT001
    max_rotate: float = 10.0,
    min_zoom: float = 1.0,
    max_zoom: float = 1.1,
    max_lighting: float = 0.2,
    max_warp: float = 0.2,
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
    """Flip, perspective, rotation, zoom, brightness and contrast, each drawn for each image: a list of transforms.

    They happen in that order, then the size; all of them together resample the pixels once, and together with the
    `Resize` before them too. Validation images see only the size, of the centre.

    Args:
        mult: multiplies ``max_rotate``, ``max_lighting`` and ``max_warp``.
        do_flip: exchange left and right half of the time.
        flip_vert: with ``do_flip``, draw from all 8 symmetries of the square instead.
        max_rotate: the largest angle in degrees.
        min_zoom: the smallest zoom.
        max_zoom: the largest zoom.
        max_lighting: how far brightness and contrast go.
        max_warp: the largest perspective tilt.
        p_affine: how often each of perspective, rotation and zoom happens.
        p_lighting: how often each of brightness and contrast happens.
        xtra_tfms: one more transform or several, after the others; torchvision's pixel transforms too.
        size: the size that comes out, one number or (height, width); None keeps the size.
        mode: how pixels are resampled, ``"bilinear"`` or ``"bicubic"``.
        pad_mode: what lies outside the image: ``"reflection"``, ``"border"`` or ``"zeros"``.
        align_corners: without meaning here: coordinates always are those of the pixels' edges.
        batch: only False: draws are always made for each image.
        min_scale: below 1, the size is filled by a random box of at least this share of the area.

    Raises:
        TypeError: an unknown keyword; the message names the nearest real one.
        InputError: ``min_scale`` without ``size``, or a value out of range.
    """
    if batch:
        raise InputError("batch=True makes one draw for a whole batch; here each image has its own: leave it out")
    if min_scale != 1 and size is None:
        raise InputError(f"min_scale={min_scale} takes a random box of the image; say with size= what it becomes")
    interpolation = None if mode == "bilinear" else mode
    chosen: list[Transform] = []
    if do_flip:
        chosen.append(Dihedral(keep_size=size is None) if flip_vert else Flip())
    if max_warp * mult:
        chosen.append(PerspectiveWarp(max_warp * mult, p_affine, pad_mode, interpolation))
    if max_rotate * mult:
        chosen.append(Rotate(max_rotate * mult, p_affine, pad_mode, interpolation))
    if min_zoom < 1 or max_zoom > 1:
        chosen.append(Zoom(min_zoom, max_zoom, p_affine, pad_mode, interpolation))
    if max_lighting * mult:
        chosen += [Brightness(max_lighting * mult, p=p_lighting), Contrast(max_lighting * mult, p=p_lighting)]
    return [*chosen, *_to_size(size, min_scale, interpolation), *_extra(xtra_tfms)]


def _to_size(
    size: int | Sequence[int] | None, min_scale: float, interpolation: Interpolation | None
) -> list[Transform]:
    if size is None:
        return []
    if min_scale == 1:
        return [Resize(size, interpolation=interpolation)]
    target = Size.of(size)
    shape = target.width / target.height  # the book has 1 here and squishes the box where the size is not square
    return [RandomResizedCrop(size, min_scale, ratio=(shape, shape), val_xtra=0, interpolation=interpolation)]


def _extra(xtra_tfms: object) -> list[Transform]:
    if xtra_tfms is None:
        return []
    return [as_transform(t) for t in (xtra_tfms if isinstance(xtra_tfms, Iterable) else [xtra_tfms])]
