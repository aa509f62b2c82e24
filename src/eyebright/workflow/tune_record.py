"""The decision of a saved model and the record of its fit, which `eyebright tune` changes step by step."""

from typing import Any, NamedTuple

from eyebright.evaluation.calibrate import CalibrationChoice, fit_calibration
from eyebright.evaluation.evaluation import Evaluation
from eyebright.inference.manifest import Manifest
from eyebright.report.tuning import calibration_sentence
from eyebright.tasks.calibration import Calibration, calibration_to_json
from eyebright.tasks.calibration_hash import current_results, measured_otherwise, with_hashes
from eyebright.tasks.decision import Decision
from eyebright.types import Say

_MEASURED = {"promises": "promises", "selective": "promise", "risk": "risk", "label_sets": "prediction sets"}


class Tuning(NamedTuple):
    """The decision, and the record of its fit as JSON for the manifest."""

    decision: Decision
    facts: dict[str, Any]


def current_tuning(manifest: Manifest, say: Say) -> Tuning:
    """The decision of a manifest and the record of its fit, without what was measured with another calibration."""
    decision = manifest.decision.to_json()
    others = measured_otherwise(manifest.tuning, decision)
    if dropped := [words for name, words in _MEASURED.items() if name in others]:
        say(
            "the calibration in manifest.json was edited, and these were measured with the one before, so they no "
            f"longer hold and are removed: {', '.join(dropped)}; to keep them, tune them again"
        )
    return Tuning(manifest.decision, current_results(manifest.tuning, decision))


def calibrated(evaluation: Evaluation, kind: CalibrationChoice, say: Say) -> tuple[Calibration, dict[str, Any]]:
    """(calibration, record of the fit): the latter as JSON for the manifest.

    Args:
        evaluation: the evaluation on images that the model was not trained on.
        kind: as in `eyebright.evaluation.calibrate.fit_calibration`.
        say: called with a sentence about the choice.

    Raises:
        InputError: as in `eyebright.evaluation.calibrate.fit_calibration`.
    """
    fitted = fit_calibration(evaluation, kind=kind)
    evidence = fitted.evidence.to_json()
    say(calibration_sentence(evidence))
    facts = {"calibration": {**evidence, "part": evaluation.part}}
    return fitted.calibration, with_hashes(facts, calibration_to_json(fitted.calibration), former={})
