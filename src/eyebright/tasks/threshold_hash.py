"""Whether saved thresholds are still those that were tuned: a person may edit them in the manifest; needs no torch."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from eyebright.io.json_numbers import with_floats

HASH = "hash"
"""The key beside the values of tuned thresholds in the JSON of a decision."""


def threshold_hash(decision: Mapping[str, Any]) -> str:
    """A hash of the thresholds and of the calibration whose probabilities they are compared with.

    Args:
        decision: the JSON of a decision.
    """
    thresholds = decision["thresholds"]
    numbers = with_floats([thresholds["values"], thresholds.get("lower"), decision.get("calibration")])
    return hashlib.sha256(json.dumps(numbers, sort_keys=True).encode()).hexdigest()[:16]


def are_edited(decision: Mapping[str, Any]) -> bool:
    """Whether the thresholds, or the calibration, are no longer those of the metric that the thresholds name.

    Args:
        decision: the JSON of a decision; those of older versions have no hash, and are taken as they are.
    """
    thresholds = decision["thresholds"]
    if thresholds.get("metric") is None or HASH not in thresholds:
        return False
    return thresholds[HASH] != threshold_hash(decision)
