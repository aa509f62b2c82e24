"""`properties`: properties of each image other than its content that may predict its labels."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float64

from eyebright.check.facts import FactTable
from eyebright.sources.categorical import Categorical
from eyebright.sources.parts import part_of
from eyebright.sources.source import Source
from eyebright.sources.spelling import spelling_key

LIMIT = 0.75
"""A property is a shortcut if the lower end of the interval of its AUC is above this, unless it has its own limit."""

_LIMIT_OF_LIGHT = 0.7  # in photographs of objects and pets no label has more than 0.65 by them
_LIMIT_OF_SHARPNESS = 0.8  # fur is softer than metal: in photographs of five classes the sharpness finds cats with 0.80
_MIN_CATEGORY_IMAGES = 5  # images: a category with fewer is on its own in nearly every fold
_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Property:
    """A property of n images.

    Args:
        name: the name, such as ``"brightness"``.
        values: shape (n,), a number for each image, NaN where it has none; or categories.
        more: how images with a larger value are, such as ``"brighter"``; empty for categories.
        less: how those with a smaller value are.
        remedy: the remedy if it is a shortcut.
        limit: it is a shortcut if the lower end of the interval of its AUC is above this.
        is_visible_to_models: whether a model can detect it, or its cause, in the pixels.
    """

    name: str
    values: "Float64[np.ndarray, 'n'] | Categorical[str]"
    more: str = ""
    less: str = ""
    remedy: str = ""
    limit: float = LIMIT
    is_visible_to_models: bool = True


def properties(source: Source, facts: FactTable) -> list[Property]:
    """The properties that differ between images.

    Args:
        source: the labelled images.
        facts: the facts of the same images.
    """
    found = [*_pixel_properties(facts), *_file_properties(facts), *_name_properties(source)]
    found = [
        replace(image_property, values=_frequent(image_property.values))
        if isinstance(image_property.values, Categorical)
        else image_property
        for image_property in found
    ]
    return [image_property for image_property in found if _varies(image_property.values, facts.is_readable)]


def folders(source: Source) -> "Categorical[str]":
    """The first folder of each image that is neither a part nor a label; empty where there is none."""
    labels = _label_keys(source)

    def first(folder: str) -> str:
        names = (name for name in folder.split("/") if part_of(name) is None and spelling_key(name) not in labels)
        return next(names, "")

    return Categorical.of(str(file).rpartition("/")[0] for file in source.files).map(first)


def in_class_folders(source: Source) -> bool:
    """Whether most images are in a folder that is named after a label."""
    labels = _label_keys(source)
    folder = Categorical.of(str(file).rpartition("/")[0] for file in source.files)
    is_named = [any(spelling_key(name) in labels for name in path.split("/")) for path in folder.categories]
    return 2 * int(np.array(is_named, dtype=np.bool_)[folder.codes].sum()) > len(source)


def name_prefixes(source: Source) -> "Categorical[str]":
    """The letters with which the name of each file begins, in lower case."""
    return Categorical.of(_BEFORE_DIGITS.match(stem)[0].strip("_-. ").casefold() for stem in _stems(source))  # type: ignore[index]


_LIGHT = "take images of all labels in the same light, or train with stronger changes of the lighting"
_COLOUR = "take images of all labels with the same light and camera, or convert all of them to grey"
_BORDER = "crop the borders off, or give all images the same"
_SIZE = "take images of all labels with the same camera and framing, or crop them to one shape"
_SHARPNESS = "take images of all labels with the same camera and focus, and scale them in the same way"


def _pixel_properties(facts: FactTable) -> Iterator[Property]:
    def numbers(column: Any) -> Float64[np.ndarray, "n"]:
        return np.where(facts.is_readable, column, np.nan).astype(np.float64)

    darkest, lightest, at_border = "where they are darkest", "where they are lightest", "at the border"
    of_light = [
        ("brightness", facts.brightness, "brighter", "darker", _LIGHT),
        ("contrast", facts.contrast, "richer in contrast", "poorer in contrast", _LIGHT),
        ("brightness of the darkest pixels", facts.darkest, f"brighter {darkest}", f"darker {darkest}", _LIGHT),
        ("brightness of the lightest pixels", facts.lightest, f"brighter {lightest}", f"darker {lightest}", _LIGHT),
        ("saturation", facts.saturation, "more colourful", "less colourful", _COLOUR),
    ]
    border_range = np.ptp(facts.border, axis=1)
    of_border = [
        ("brightness of the border", facts.border @ _LUMA, f"brighter {at_border}", f"darker {at_border}", _BORDER),
        ("colour of the border", border_range, f"more colourful {at_border}", f"less colourful {at_border}", _BORDER),
        (
            "spread of the border",
            facts.border_spread,
            f"less uniform {at_border}",
            f"more uniform {at_border}",
            _BORDER,
        ),
    ]
    for name, values, more, less, remedy in of_light:
        yield Property(name, numbers(values), more, less, remedy, _LIMIT_OF_LIGHT)
    yield Property(
        "sharpness", numbers(facts.sharpness), "sharper", "less sharp", _SHARPNESS, limit=_LIMIT_OF_SHARPNESS
    )
    for name, values, more, less, remedy in of_border:
        yield Property(name, numbers(values), more, less, remedy, _LIMIT_OF_LIGHT)
    height, width = numbers(facts.sizes[:, 0]), numbers(facts.sizes[:, 1])
    yield Property("height", height, "higher in pixels", "lower in pixels", _SIZE)
    yield Property("width", width, "wider in pixels", "narrower in pixels", _SIZE)
    yield Property("aspect ratio", width / height, "wider for their height", "narrower for their height", _SIZE)


def _file_properties(facts: FactTable) -> Iterator[Property]:
    readable = facts.is_readable
    n_bytes = np.where(readable, facts.size_bytes, np.nan).astype(np.float64)
    saved = "save all images in the same format and quality: a model can detect compression artefacts"
    yield Property("file size", n_bytes, "larger as files", "smaller as files", saved)
    density = n_bytes / np.maximum(facts.sizes.astype(np.float64).prod(axis=1), 1)
    yield Property("number of bytes per pixel", density, "less compressed", "more compressed", saved)
    yield Property("compression", _log_bytes_beyond_detail(facts), "less compressed", "more compressed", saved)
    yield Property("file format", facts.formats, remedy=saved)
    yield Property("colour mode", facts.modes, remedy="convert all images to one colour mode")
    camera = "take images of all labels with the same cameras: a camera leaves its traces in every image"
    yield Property("camera", facts.cameras, remedy=camera)


def _name_properties(source: Source) -> Iterator[Property]:
    origin = "find out where the images of each label come from, and mix the origins, or give them as `group`"
    yield Property("folder", folders(source), remedy=origin)
    told = (
        "a model sees no names, but images that were named together were often taken together: compare their light, "
        "background and camera with those of the others"
    )
    yield Property("beginning of the file name", name_prefixes(source), remedy=told, is_visible_to_models=False)
    digits = np.array([_number(stem) for stem in _stems(source)], dtype=np.float64)
    yield Property(
        "number in the file name", digits, "later by number", "earlier by number", told, is_visible_to_models=False
    )
    lengths = np.array([len(stem) for stem in _stems(source)], dtype=np.float64)
    yield Property(
        "length of the file name", lengths, "longer by name", "shorter by name", told, is_visible_to_models=False
    )


def _log_bytes_beyond_detail(facts: FactTable) -> Float64[np.ndarray, "n"]:
    """The logarithm of the bytes per pixel, less what detail, contrast and size of an image explain of it.

    A photograph of fur takes fewer bytes than one of leaves in the same quality. What a linear fit over all images
    leaves is the quality with which an image was saved: for JPEGs of quality 75 among others of 90 its AUC is 0.83 to
    0.93 for five labels, that of the bytes per pixel 0.68 to 0.76.
    """
    rest = np.full(len(facts), np.nan)
    rows = facts.is_readable
    area = np.log(facts.sizes[rows].astype(np.float64).prod(axis=1))
    detail = np.log(np.stack([facts.sharpness[rows] + 1e-4, facts.contrast[rows] + 1e-3]).astype(np.float64))
    known = np.stack([np.ones_like(area), area, *detail], axis=1)
    values = np.log(facts.size_bytes[rows].astype(np.float64)) - area
    rest[rows] = values - known @ np.linalg.lstsq(known, values, rcond=None)[0]
    return np.round(rest, 6)  # so that equal images stay equal


_BEFORE_DIGITS = re.compile(r"\D*")
_DIGITS = re.compile(r"(\d{1,15})\D*$")


def _number(stem: str) -> float:
    """The last number of a name; NaN if it has none."""
    found = _DIGITS.search(stem)
    return float(found[1]) if found else np.nan


def _stems(source: Source) -> Iterator[str]:
    """The names of the files without folders and extension."""
    for file in source.files:
        name = str(file).rpartition("/")[2]
        yield name.rpartition(".")[0] or name


def _label_keys(source: Source) -> set[str]:
    if not isinstance(source.targets, Categorical):
        return set()
    each = ((category,) if isinstance(category, str) else category for category in source.targets.categories)
    return {spelling_key(label) for label in set[str]().union(*each)}


def _frequent(values: "Categorical[str]") -> "Categorical[str]":
    """The categories, with those of few images as one, which is called ``""``: each of them is uninformative."""
    counts = np.bincount(values.codes, minlength=len(values.categories)).tolist()
    rare = {name for name, count in zip(values.categories, counts, strict=True) if count < _MIN_CATEGORY_IMAGES}
    return values.map(lambda name: "" if name in rare else name)


def _varies(values: "Float64[np.ndarray, 'n'] | Categorical[str]", rows: Any) -> bool:
    if isinstance(values, Categorical):
        return len(np.unique(values.codes[rows])) > 1
    return bool(np.nanmin(values, initial=np.inf) < np.nanmax(values, initial=-np.inf))
