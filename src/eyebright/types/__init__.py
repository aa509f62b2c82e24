"""Basic values (sizes, points, label sets, vocabularies, thresholds, ...) and the coordinate convention.

Coordinates are continuous pixels: (0, 0) is the top-left *corner* of the image, the centre of the first
pixel is (0.5, 0.5), the bottom-right corner is (width, height). Points are (x, y); sizes are (height, width).
"""

import math
from collections.abc import Callable

from eyebright.types.geometry import MAX_SIDE, InputDescription, Points, Size, check_side
from eyebright.types.labels import MAX_LABEL_LENGTH, LabelSet, Vocab, long_label, ordered_names, plain_spelling
from eyebright.types.thresholds import Thresholds, refuse_nan

__all__ = [
    "MAX_LABEL_LENGTH",
    "MAX_SIDE",
    "InputDescription",
    "LabelSet",
    "Points",
    "Say",
    "Size",
    "Thresholds",
    "Vocab",
    "check_side",
    "is_finite_number",
    "long_label",
    "ordered_names",
    "plain_spelling",
    "refuse_nan",
]

Say = Callable[[str], None]
"""Called with each sentence for the user about what was done and found."""


def is_finite_number(value: object) -> bool:
    """Whether a value of JSON is a finite number that a tensor can hold; true and false are none."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return False
    # JSON integers can have any length: one this large would overflow in isfinite or in a tensor.
    return abs(value) < 1e300 and math.isfinite(value)
