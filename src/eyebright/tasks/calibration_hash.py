"""Whether results of a saved model were measured with the calibration that it has: a person may edit the manifest.

Promises, bounds and prediction sets are about probabilities. With another calibration the same threshold decides in
another way, so nothing that was measured before holds. Torch is not needed.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from eyebright.io.json_numbers import with_floats

MEASURED_WITH = "measured_with"
"""The key of the hashes: in the record of the fit of a decision, and in the JSON of prediction sets."""


def calibration_hash(calibration: Any) -> str:
    """A hash of the JSON of a calibration; the same whether a number is written as 1 or as 1.0."""
    return hashlib.sha256(json.dumps(with_floats(calibration), sort_keys=True).encode()).hexdigest()[:16]


def with_hashes(tuning: Mapping[str, Any], calibration: Any, *, former: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a fit in which each result has the hash of the calibration that it was measured with.

    Args:
        tuning: the record, as JSON by the name of each result.
        calibration: the JSON of the calibration that the new results were measured with.
        former: the record before; results that are the same objects were not measured again, and keep their hash.
    """
    hashes = former.get(MEASURED_WITH)
    hashes = hashes if isinstance(hashes, Mapping) else {}
    results = {name: facts for name, facts in tuning.items() if name != MEASURED_WITH}
    kept = {name: hashes[name] for name, facts in results.items() if facts is former.get(name) and name in hashes}
    new = dict.fromkeys(
        (name for name, facts in results.items() if facts is not former.get(name)), calibration_hash(calibration)
    )
    return {**results, MEASURED_WITH: kept | new} if kept or new else results


def measured_otherwise(tuning: Mapping[str, Any], decision: Mapping[str, Any]) -> frozenset[str]:
    """The names of the results that were measured with another calibration than the one of the decision.

    Args:
        tuning: the record of the fit; results of older versions have no hash, and are taken as they are.
        decision: the JSON of the decision.
    """
    hashes = tuning.get(MEASURED_WITH)
    if not isinstance(hashes, Mapping):
        return frozenset()
    now = calibration_hash(decision.get("calibration"))
    return frozenset(name for name, found in hashes.items() if name in tuning and found != now)


def current_results(tuning: Mapping[str, Any], decision: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a fit without the results that were measured with another calibration.

    Args:
        tuning: the record of the fit.
        decision: the JSON of the decision.
    """
    others = measured_otherwise(tuning, decision)
    return {name: facts for name, facts in tuning.items() if name not in others}


def has_other_sets(decision: Mapping[str, Any]) -> bool:
    """Whether the prediction sets of a decision were measured with another calibration than its own.

    Args:
        decision: its JSON; prediction sets of older versions have no hash, and are taken as they are.
    """
    sets = decision.get("label_sets")
    found = sets.get(MEASURED_WITH) if isinstance(sets, Mapping) else None
    return found is not None and found != calibration_hash(decision.get("calibration"))
