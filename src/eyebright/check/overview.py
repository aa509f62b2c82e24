"""`overview`: the counts and distributions of labelled images that a person looks at first, as data for JSON."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from eyebright.check.facts import FactTable
from eyebright.check.label_cells import LabelCells
from eyebright.check.label_rules import co_occurrence
from eyebright.sources.categorical import Categorical, Mask
from eyebright.sources.parts import PART_WORDS
from eyebright.sources.source import Source

N_BINS = 30
"""Bars of a histogram."""

_MAX_NAMED = 20  # cameras that are listed


def overview(source: Source, facts: FactTable | None = None) -> dict[str, Any]:
    """Statistics of labelled images.

    - ``images``: how many; ``parts``: how many in each part; ``groups``: how many groups, None without.
    - ``labels``: for each label its name and the images that have it and of which it is unknown, in all and in each
      part; ``labels_per_image``: how many images have so many labels; ``together``: pairs of labels, see
      `eyebright.check.label_rules.co_occurrence`.
    - ``targets``: for each number or coordinate its name, the images of which it is known, quantiles and a histogram.
    - ``pixels``: with facts, of each property of the images quantiles and a histogram.
    - ``formats``, ``modes``, ``cameras``: with facts, how many images have each.

    A histogram has ``edges`` and ``counts``, one fewer. Unreadable images are in ``images`` and ``labels`` only.

    Args:
        source: the labelled images.
        facts: the facts of the same images; None: their pixels were not read.
    """
    masks = _parts(source)
    result: dict[str, Any] = {
        "images": len(source),
        "parts": {part: int(mask.sum()) for part, mask in masks.items()},
        "groups": None if source.group is None else len(np.unique(source.group.codes)),
    }
    result |= _label_overview(source, masks) if isinstance(source.targets, Categorical) else _number_overview(source)
    return result if facts is None else result | _file_overview(facts)


def _parts(source: Source) -> dict[str, Mask]:
    """Which images are in each part that has some; images without one are for training."""
    if source.part is None:
        return {}
    masks = {part: source.part.isin([part, None] if part == "train" else [part]) for part in PART_WORDS}
    return {part: mask for part, mask in masks.items() if mask.any()}


def _label_overview(source: Source, masks: dict[str, Mask]) -> dict[str, Any]:
    assert isinstance(source.targets, Categorical)
    cells = LabelCells.of(source.targets)
    counts = {"all": cells.counts(), **{part: cells.counts(mask) for part, mask in masks.items()}}
    lists = {name: (yes.tolist(), unknown.tolist()) for name, (yes, unknown) in counts.items()}
    order = np.argsort(-counts["all"][0], kind="stable").tolist()
    per_image = np.bincount(cells.labels_per_image()[0]).tolist() if len(source) else []
    return {
        "labels": [
            {
                "label": cells.names[i],
                **{name: {"images": yes[i], "unknown": unknown[i]} for name, (yes, unknown) in lists.items()},
            }
            for i in order
        ],
        "labels_per_image": per_image,
        "together": co_occurrence(cells),
    }


def _number_overview(source: Source) -> dict[str, Any]:
    assert isinstance(source.targets, np.ndarray)
    targets, names = source.targets, source.names
    if targets.ndim == 3:
        points = names or tuple(f"point {i + 1}" for i in range(targets.shape[1]))
        names = tuple(f"{name} {axis}" for name in points for axis in "xy")
        targets = targets.reshape(len(targets), -1)
    names = names or tuple(f"number {i + 1}" for i in range(targets.shape[1]))
    return {"targets": {name: _distribution(column) for name, column in zip(names, targets.T, strict=True)}}


def _file_overview(facts: FactTable) -> dict[str, Any]:
    readable = facts.is_readable
    height, width = facts.sizes[readable].T.astype(np.float64)
    columns: dict[str, Any] = {
        "width": width,
        "height": height,
        "aspect_ratio": width / np.maximum(height, 1),
        "size_bytes": facts.size_bytes[readable],
        "brightness": facts.brightness[readable],
        "contrast": facts.contrast[readable],
        "saturation": facts.saturation[readable],
        "sharpness": facts.sharpness[readable],
    }
    count: Callable[[Categorical[str]], dict[str, int]] = lambda column: _counts(column, readable)
    return {
        "unreadable": len(facts.errors),
        "pixels": {name: _distribution(column) for name, column in columns.items()},
        "formats": count(facts.formats),
        "modes": count(facts.modes),
        "cameras": count(facts.cameras),
    }


def _distribution(column: "np.ndarray[Any, Any]") -> dict[str, Any]:
    """Quantiles and a histogram of the values that are not NaN; without them if there are none."""
    values = column[~np.isnan(column)].astype(np.float64)
    if not len(values):
        return {"known": 0}
    names, shares = ("min", "5%", "median", "95%", "max"), (0, 0.05, 0.5, 0.95, 1)
    quantiles = dict(zip(names, np.quantile(values, shares).tolist(), strict=True))
    bins = np.unique(values)
    counts, edges = [len(values)], [bins[0], bins[-1]]
    if len(bins) > 1:
        with suppress(ValueError):  # huge numbers that are nearly equal: floats have no edges between them
            counts, edges = np.histogram(values, bins=min(N_BINS, len(bins)))
    return {"known": len(values), **quantiles, "edges": list(map(float, edges)), "counts": list(map(int, counts))}


def _counts(column: Categorical[str], rows: Mask) -> dict[str, int]:
    """How many of these images have each value, the most frequent first; the empty one is of unknown values."""
    counts = np.bincount(column.codes[rows], minlength=len(column.categories)).tolist()
    pairs = sorted(zip(column.categories, counts, strict=True), key=lambda pair: (-pair[1], pair[0]))
    return {name: count for name, count in pairs[:_MAX_NAMED] if count}
