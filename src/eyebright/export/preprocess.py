"""Computes the input of model_fixed.onnx with only numpy: the same pixels as model.onnx and Eyebright compute.

steps = json.load(open("export.json"))["preprocessing"]
pixels, places = preprocess(image, steps)           # image: uint8 RGB, height x width x 3, upright (EXIF applied)
answers = session.run(None, {"pixels": pixels[None]})
points = to_image(answers[0][0], places)            # only for models of points
"""

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


def preprocess(image: Array, steps: dict[str, Any]) -> tuple[Array, list[tuple[int, float]]]:
    """(float32 in [0, 1], 3 x height x width; (offset, scale) of the image in it, for each axis) of a uint8 image."""
    ratios = [box / side for box, side in zip(steps["box"], image.shape, strict=False)]
    scale = max(ratios) if steps["method"] == "crop" else min(ratios)
    pixels, places = image, list[tuple[int, float]]()
    for axis in (0, 1):
        side, out = image.shape[axis], steps["output"][axis]
        first = steps["box"][axis] if steps["method"] == "squish" else rounded(scale * side)
        shift = int((steps["first"][axis] - first) / 2) * steps["scale"][axis] + steps["shift"][axis]
        resized = rounded(first * steps["scale"][axis])
        centred = shift + (first * steps["scale"][axis] - resized) / 2
        offset = int(centred + math.copysign(1e-6, centred))
        weights = triangle_filter(side, resized, np.arange(out) - offset)
        pixels = np.moveaxis(np.tensordot(weights, pixels.astype(np.float32), (1, axis)), 0, axis)
        places.append((offset, resized / side))
    return np.ascontiguousarray(np.minimum(pixels / 255, 1).transpose(2, 0, 1), np.float32), places


def rounded(side: float) -> int:
    """A side in pixels, rounded half up and at least 1."""
    return max(math.floor(side + 0.5 + 1e-6), 1)


def triangle_filter(side: int, resized: int, positions: Array) -> Array:
    """The weights of ``side`` input pixels for output pixels; 0 for positions that are outside of the resized image."""
    centres = (positions[:, None] + 0.5) * side / resized
    weights = np.maximum(1 - np.abs(np.arange(side) + 0.5 - centres) / max(side / resized, 1), 0)
    weights[(positions < 0) | (positions >= resized)] = 0
    return (weights / np.maximum(weights.sum(1, keepdims=True), 1e-12)).astype(np.float32)


def to_image(points: Array, places: list[tuple[int, float]]) -> Array:
    """Points (x, y) in pixels of the original image, from points in pixels of the model's input."""
    (top, down), (left, across) = places
    return (np.asarray(points, np.float64) - (left, top)) / (across, down)
