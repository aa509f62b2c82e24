"""The goal of ``--until``: a metric and its target value. Importing this module loads no torch."""

import math
import re
from typing import Any, NamedTuple

from eyebright.errors import InputError


class Goal(NamedTuple):
    """A metric and its target value.

    Args:
        metric: the name of the metric, as it was written.
        sign: ``">="`` or ``"<="``.
        value: the value.
    """

    metric: str
    sign: str
    value: float


def parse_goal(text: str) -> Goal:
    """The goal parsed from a string such as ``"mAP >= 0.8"`` or ``"mean distance <= 12"``.

    >>> parse_goal("macro F1>=.9")
    Goal(metric='macro F1', sign='>=', value=0.9)

    Raises:
        InputError: the text is not a name, ``>=`` or ``<=``, and a number.
    """
    parts = re.fullmatch(r"\s*(.*?\S)\s*(>=|<=)\s*(\S+)\s*", text)
    try:
        value = float(parts[3]) if parts else math.nan
    except ValueError:
        value = math.nan
    if parts is None or not math.isfinite(value):
        raise InputError(f"must be a metric, >= or <=, and a number, such as 'mAP >= 0.8', got {text!r}")
    return Goal(parts[1], parts[2], value)


def checked_goal(value: Any) -> str:
    """The checked text of a goal, for the option.

    Raises:
        InputError: the text is not a goal.
    """
    if not isinstance(value, str):
        raise InputError(f"must be a string such as 'mAP >= 0.8', got {value!r}")
    parse_goal(value)
    return value.strip()
