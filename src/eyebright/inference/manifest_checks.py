"""Checks a manifest, which describes a saved model, before anything is built from it: types, lengths, finite numbers.

A manifest can be damaged, or written by somebody else. Whatever it contains, loading takes a second or two at most, and
returns the model or raises an `ArtifactError` of one sentence. Fields that only describe the model (training, data,
targets, report) must be objects; what they contain is bounded by the size of the file.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from eyebright.errors import ArtifactError, InputError, short_repr
from eyebright.image.canonical import CANONICAL, PixelsVersion
from eyebright.models.build import MAX_OUTPUTS, ModelDescription
from eyebright.tasks.decision import Decision
from eyebright.transforms.draw import Transform, evaluation_pixels_version
from eyebright.types import is_finite_number

MAX_TRANSFORMS = 16
"""The maximum number of transforms of a saved model's preprocessing."""
MAX_NAME_LENGTH = 1000
"""The maximum length of the name of a class, a point or a predicted number."""


def check_json(data: Mapping[str, Any]) -> None:
    """Raises `ArtifactError` unless the fields of a manifest have the right types and bounded lengths.

    Args:
        data: the parsed JSON, of the current schema.

    Raises:
        ArtifactError: a field is invalid; the message names it.
        KeyError: a field is missing.
    """
    for name, (expected, is_valid) in _FIELDS.items():
        if not is_valid(data[name]):
            raise ArtifactError(f"'{name}' must be {expected}, got {short_repr(data[name])}")
    for name, value in data["target"].items():
        expected, is_valid = _TARGET_FIELDS.get(name, _SCALAR_CHECK)
        if not is_valid(value):
            raise ArtifactError(f"'target.{name}' must be {expected}, got {short_repr(value)}")
    thresholds = data["decision"].get("thresholds")
    if not isinstance(thresholds, dict) or not _is_thresholds(thresholds.get("values")):
        raise ArtifactError(
            f"'decision.thresholds' must be a number or one for each class, got {short_repr(thresholds)}"
        )
    if "lower" in thresholds and not _is_thresholds(thresholds["lower"]):
        raise ArtifactError(
            f"'decision.thresholds.lower' must be a number or one for each class, got {short_repr(thresholds['lower'])}"
        )
    if not _is_short_string_or_null(thresholds.get("metric")):
        raise ArtifactError(
            f"'decision.thresholds.metric' must be a name or null, got {short_repr(thresholds['metric'])}"
        )


def check_consistent(
    model: ModelDescription, decision: Decision, preprocessing: tuple[Transform, ...], pixels_version: PixelsVersion
) -> None:
    """Raises `ArtifactError` unless architecture, outputs, thresholds, classes and preprocessing agree."""
    if re.fullmatch(r"[\w.\-]{1,200}", model.arch) is None:  # timm would download from other names, such as hf-hub:...
        raise ArtifactError(
            f"the architecture must be a name of letters, digits, '_', '-' and '.', got {short_repr(model.arch)}"
        )
    try:
        n_out = decision.target.n_out
        if model.n_out != n_out:
            raise ArtifactError(f"the model has {model.n_out} outputs, but its target block needs {n_out}")
        decision.thresholds.check_count(n_out)
    except InputError as error:
        raise ArtifactError(str(error)) from None
    if pixels_version == CANONICAL and evaluation_pixels_version(preprocessing) != CANONICAL:
        raise ArtifactError(
            f"the preprocessing version is '{CANONICAL}', but the preprocessing does more than resize, crop and pad"
        )


def _is_short_string(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_NAME_LENGTH


def _is_short_string_or_null(value: Any) -> bool:
    return value is None or _is_short_string(value)


def _list_or_null_of(is_element: Callable[[Any], bool]) -> Callable[[Any], bool]:
    def check(value: Any) -> bool:
        return value is None or (isinstance(value, list) and len(value) <= MAX_OUTPUTS and all(map(is_element, value)))  # pyright: ignore[reportUnknownArgumentType]

    return check


def _is_thresholds(value: Any) -> bool:
    return is_finite_number(value) or (isinstance(value, list) and _list_or_null_of(is_finite_number)(value))


def _is_index_or_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_OUTPUTS


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_scores(value: Any) -> bool:
    return isinstance(value, dict) and all(
        _is_short_string(name) and (score is None or is_finite_number(score))
        for name, score in value.items()  # pyright: ignore[reportUnknownVariableType]
    )


def _is_transforms(value: Any) -> bool:
    return isinstance(value, list) and len(value) <= MAX_TRANSFORMS and all(map(_is_object, value))  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]


_Check = tuple[str, Callable[[Any], bool]]
_OBJECT_CHECK: _Check = ("a JSON object", _is_object)
_NAMES: _Check = (
    f"null or a list of at most {MAX_OUTPUTS:,} names of at most {MAX_NAME_LENGTH:,} characters",
    _list_or_null_of(_is_short_string),
)
_CLASSES: _Check = (_NAMES[0], _list_or_null_of(lambda value: _is_short_string(value) or is_finite_number(value)))
_NUMBERS: _Check = ("null or a list of finite numbers", _list_or_null_of(is_finite_number))
_INDEX_OR_COUNT: _Check = (
    f"null or a number from 0 to {MAX_OUTPUTS:,}",
    lambda value: value is None or _is_index_or_count(value),
)
_SCALAR_CHECK: _Check = (
    "null, true, false, a finite number or a short string",
    lambda value: isinstance(value, bool) or is_finite_number(value) or _is_short_string_or_null(value),
)

_FIELDS: Mapping[str, _Check] = {
    "created": ("a date", _is_short_string),
    "model": _OBJECT_CHECK,
    "target": _OBJECT_CHECK,
    "decision": _OBJECT_CHECK,
    "preprocessing": (f"a list of at most {MAX_TRANSFORMS} transforms", _is_transforms),
    "scores": ("an object that maps names of metrics to finite numbers or null", _is_scores),
    "training": _OBJECT_CHECK,
    "data": _OBJECT_CHECK,
    "targets": _OBJECT_CHECK,
    "report": _OBJECT_CHECK,
    "tuning": _OBJECT_CHECK,
    "evaluation": ("the SHA-256 hash of evaluation.parquet, or null", _is_short_string_or_null),
    "out_of_fold": ("the SHA-256 hash of out_of_fold.parquet, or null", _is_short_string_or_null),
    "out_of_distribution": ("the SHA-256 hash of out_of_distribution.safetensors, or null", _is_short_string_or_null),
    "training_images": ("the SHA-256 hash of training_images.json, or null", _is_short_string_or_null),
    "versions": _OBJECT_CHECK,
}
"""For each field of a manifest: its required form, and a function that checks a value."""

_TARGET_FIELDS: Mapping[str, _Check] = {
    "vocab": _NAMES,
    "classes": _CLASSES,
    "names": _NAMES,
    "mirror": (
        "null or a list: for each point the index of the one that a mirrored image swaps it with",
        _list_or_null_of(_is_index_or_count),
    ),
    "center": _NUMBERS,
    "scale": _NUMBERS,
    "count": _INDEX_OR_COUNT,
    "n_out": _INDEX_OR_COUNT,
}
"""The same for the fields of a target block; all other fields use `_SCALAR_CHECK`."""
