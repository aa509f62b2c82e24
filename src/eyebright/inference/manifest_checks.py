"""Checks a manifest before anything is built from it: types, finite numbers, and bounds on all that has a length.

A manifest can be damaged, or written by somebody else. Whatever it says, loading ends quickly and in one sentence.
"""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from eyebright.errors import ArtifactError, InputError, short_repr
from eyebright.image.canonical import CANONICAL, PixelsVersion
from eyebright.models.build import MAX_OUTPUTS, ModelDescription
from eyebright.tasks.decision import Decision
from eyebright.transforms.draw import Transform, evaluation_pixels_version

MAX_TRANSFORMS = 16
"""How many transforms a saved model's preprocessing may have."""
MAX_NAME = 1000
"""How many characters the name of a class, a point or a number may have."""
MAX_BYTES = 32 * 2**20
"""How large the text of a manifest may be."""

MAX_LISTS = 200_000
"""How many lists and objects it may have: parsing takes its time for them, not for numbers and names."""


def check_json(data: Mapping[str, Any]) -> None:
    """Raises `ArtifactError` unless the fields of a manifest have the right types and bounded lengths.

    Args:
        data: the parsed JSON, of the current schema.

    Raises:
        ArtifactError: the message names the field.
        KeyError: a field is missing.
    """
    for name, (text, is_valid) in _FIELDS.items():
        if not is_valid(data[name]):
            raise ArtifactError(f"'{name}' must be {text}, got {short_repr(data[name])}")
    for name, value in data["target"].items():
        text, is_valid = _TARGET_FIELDS.get(name, _SIMPLE)
        if not is_valid(value):
            raise ArtifactError(f"'target.{name}' must be {text}, got {short_repr(value)}")
    thresholds = data["decision"].get("thresholds")
    if not isinstance(thresholds, dict) or not _is_thresholds(thresholds.get("values")):
        raise ArtifactError(f"'thresholds' must be a number or one for each class, got {short_repr(thresholds)}")
    if not _is_name_or_null(thresholds.get("metric")):
        raise ArtifactError(f"the thresholds' 'metric' must be a name or null, got {short_repr(thresholds['metric'])}")


def check_consistent(
    model: ModelDescription, decision: Decision, preprocessing: tuple[Transform, ...], pixels_version: PixelsVersion
) -> None:
    """Raises `ArtifactError` unless architecture, outputs, thresholds, classes and pixels agree."""
    if re.fullmatch(r"[\w.\-]{1,200}", model.arch) is None:  # timm would download from other names, such as hf-hub:...
        raise ArtifactError(
            f"the architecture must be a name of letters, digits, '_', '-' and '.', got {short_repr(model.arch)}"
        )
    try:
        n_out = decision.target.n_out
        if model.n_out != n_out:
            raise ArtifactError(f"the model has {model.n_out} outputs, but its target block needs {n_out}")
        decision.thresholds.per_class(n_out)
    except InputError as error:
        raise ArtifactError(str(error)) from None
    if pixels_version == CANONICAL and evaluation_pixels_version(preprocessing) != CANONICAL:
        raise ArtifactError(f"the pixels are '{CANONICAL}', but the preprocessing does more than resize, crop and pad")


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME


def _is_name_or_null(value: Any) -> bool:
    return value is None or _is_name(value)


def _is_finite(value: Any) -> bool:
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    return abs(value) < 1e300 and math.isfinite(value)


def _is_list_or_null(is_element: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return value is None or (isinstance(value, list) and len(value) <= MAX_OUTPUTS and all(map(is_element, value)))  # pyright: ignore[reportUnknownArgumentType]

    return check


def _is_thresholds(value: Any) -> bool:
    return _is_finite(value) or (isinstance(value, list) and _is_list_or_null(_is_finite)(value))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_OUTPUTS


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_scores(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_name(name) and (score is None or _is_number(score))
        for name, score in value.items()  # pyright: ignore[reportUnknownVariableType]
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_transforms(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MAX_TRANSFORMS and all(isinstance(one, dict) for one in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


_Check = tuple[str, Callable[[Any], bool]]
_OBJECT: _Check = ("a JSON object", _is_object)
_NAMES: _Check = (
    f"null or a list of at most {MAX_OUTPUTS:,} names of at most {MAX_NAME:,} characters",
    _is_list_or_null(_is_name),
)
_CLASSES: _Check = (_NAMES[0], _is_list_or_null(lambda value: _is_name(value) or _is_finite(value)))
_NUMBERS: _Check = ("null or a list of finite numbers", _is_list_or_null(_is_finite))
_COUNT: _Check = (f"null or a number from 0 to {MAX_OUTPUTS:,}", lambda value: value is None or _is_count(value))
_SIMPLE: _Check = (
    "null, true, false, a finite number or a short text",
    lambda value: isinstance(value, bool) or _is_finite(value) or _is_name_or_null(value),
)

_FIELDS: Mapping[str, _Check] = {
    "created": ("a date", _is_name),
    "model": _OBJECT,
    "target": _OBJECT,
    "decision": _OBJECT,
    "preprocessing": (f"a list of at most {MAX_TRANSFORMS} transforms", _is_transforms),
    "scores": ("numbers by the names of metrics", _is_scores),
    "training": _OBJECT,
    "data": _OBJECT,
    "targets": _OBJECT,
    "report": _OBJECT,
    "evaluation": ("a hash or null", _is_name_or_null),
    "versions": _OBJECT,
}
"""For each field of a manifest: what it must be, and a function that checks a value."""

_TARGET_FIELDS: Mapping[str, _Check] = {
    "vocab": _NAMES,
    "classes": _CLASSES,
    "names": _NAMES,
    "mirror": ("null or a list of indices", _is_list_or_null(_is_count)),
    "center": _NUMBERS,
    "scale": _NUMBERS,
    "count": _COUNT,
    "n_out": _COUNT,
}
"""The same for the fields of a target block; all others are `_SIMPLE`."""
