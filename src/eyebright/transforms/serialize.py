"""The validation preprocessing as data: what a saved model needs to see new images as it saw the validation ones.

Only what changes a validation image is kept: augmentation is gone by then. What cannot be written down as data
(a function of the user's) is refused when a model is saved, not found out when it is used.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from eyebright.errors import InputError, did_you_mean, listing
from eyebright.transforms.draw import Draw, Transform
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from eyebright.types import Size

SAVED: dict[str, Callable[..., Transform]] = {kind.__name__: kind for kind in (Resize, RandomResizedCrop)}

_UNLIKE = (Size(300, 400), Size(401, 299), Size(32, 32))


def preprocessing_to_json(transforms: Sequence[Transform]) -> list[dict[str, Any]]:
    """The transforms that change a validation image, as data.

    Raises:
        InputError: one of them cannot be written down.
    """
    kept = [transform for transform in transforms if any(_changes(transform, size) for size in _UNLIKE)]
    wrong = next((transform for transform in kept if type(transform).__name__ not in SAVED), None)
    if wrong is not None:
        raise InputError(f"{wrong!r} changes validation images and cannot be saved; saved are {listing(SAVED)}")
    return [{"kind": type(transform).__name__, **asdict(transform)} for transform in kept]  # type: ignore[call-overload]


def preprocessing_from_json(data: Sequence[dict[str, Any]]) -> tuple[Transform, ...]:
    """The transforms that `preprocessing_to_json` described.

    Raises:
        InputError: a kind or a field is unknown to this version.
    """
    return tuple(_from_json(dict(one)) for one in data)


def _changes(transform: Transform, size: Size) -> bool:
    draw = transform.draw(size, None)
    return bool(draw.pixel_functions) or not draw.lighting.is_identity or not _is_identity(draw)


def _is_identity(draw: Draw) -> bool:
    return draw.warp.size == draw.warp.source and np.array_equal(draw.warp.matrix, np.eye(3))


def _from_json(data: dict[str, Any]) -> Transform:
    kind = str(data.pop("kind", None))
    if kind not in SAVED:
        raise InputError(f"unknown transform '{kind}'.{did_you_mean(kind, SAVED)} Known: {listing(SAVED)}")
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    try:
        return SAVED[kind](**fields)
    except TypeError as error:
        raise InputError(f"the transform {kind} cannot be made from {data}: {error}") from None
