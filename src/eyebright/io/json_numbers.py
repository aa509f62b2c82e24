"""JSON whose numbers are compared by their value: a person who edits a file may write 1 for 1.0."""

from collections.abc import Mapping
from typing import Any

_MAX_WHOLE = 2**53  # floats contain whole numbers up to here


def with_floats(value: Any) -> Any:
    """JSON with each whole number as a float, as far as floats contain it."""
    if isinstance(value, Mapping):
        return {name: with_floats(item) for name, item in value.items()}
    if isinstance(value, list):
        return [with_floats(item) for item in value]
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    return float(value) if is_whole and abs(value) <= _MAX_WHOLE else value
