"""Preprocessing to and from JSON, so that a saved model preprocesses new images as it did the validation images.

Only transforms that change validation images are saved; augmentation is not. A transform that cannot be saved, such as
a function of the user, raises an error when the model is saved.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from eyebright.errors import InputError, check_choice, listing
from eyebright.transforms.draw import Transform, TransformParams
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from eyebright.types import Size

SERIALIZABLE: dict[str, Callable[..., Transform]] = {kind.__name__: kind for kind in (Resize, RandomResizedCrop)}

_SAMPLE_SIZES = (Size(300, 400), Size(401, 299), Size(32, 32))


def preprocessing_to_json(transforms: Sequence[Transform]) -> list[dict[str, Any]]:
    """The transforms that change validation images, as JSON data: a list of ``{"kind": ..., argument: value}``.

    Raises:
        InputError: a transform that changes validation images cannot be saved.
    """
    used = [transform for transform in transforms if any(_changes_images(transform, size) for size in _SAMPLE_SIZES)]
    unsupported = next((transform for transform in used if type(transform).__name__ not in SERIALIZABLE), None)
    if unsupported is not None:
        raise InputError(
            f"{unsupported!r} changes validation images and cannot be saved; supported are {listing(SERIALIZABLE)}"
        )
    return [{"kind": type(transform).__name__, **asdict(transform)} for transform in used]  # type: ignore[call-overload]


def preprocessing_from_json(data: Sequence[dict[str, Any]]) -> tuple[Transform, ...]:
    """The transforms from the data of `preprocessing_to_json`.

    Raises:
        InputError: a kind or an argument is unknown to this version.
    """
    return tuple(_from_json(dict(entry)) for entry in data)


def _changes_images(transform: Transform, size: Size) -> bool:
    params = transform.draw(size, None)
    return bool(params.pixel_functions) or not params.lighting.is_identity or not _is_identity(params)


def _is_identity(params: TransformParams) -> bool:
    return params.warp.output_size == params.warp.input_size and np.array_equal(params.warp.matrix, np.eye(3))


def _from_json(data: dict[str, Any]) -> Transform:
    kind = str(data.pop("kind", None))
    check_choice("transform", kind, SERIALIZABLE)
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in data.items()}
    try:
        return SERIALIZABLE[kind](**fields)
    except TypeError as error:
        raise InputError(f"cannot create the transform {kind} from {data}: {error}") from None
