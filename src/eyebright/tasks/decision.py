"""`Decision`: activates, calibrates and decodes a model's raw outputs. Nothing else does so."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Protocol

from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.errors import InputError, did_you_mean, listing
from eyebright.tasks.base import TargetBlock
from eyebright.types import Thresholds, refuse_nan


class Calibration(Protocol):
    """A function from raw outputs to calibrated probabilities or values."""

    kind: ClassVar[str]

    def __call__(self, outputs: Float[Tensor, "n k"], activate: Callable[[Tensor], Tensor]) -> Float[Tensor, "n ..."]:
        """The activated and calibrated outputs."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Everything but the kind."""
        ...


@dataclass(frozen=True)
class NoCalibration:
    """The activated outputs, unchanged."""

    kind: ClassVar[str] = "none"

    def __call__(self, outputs: Float[Tensor, "n k"], activate: Callable[[Tensor], Tensor]) -> Float[Tensor, "n ..."]:
        """The activated outputs."""
        return activate(outputs)

    def to_json(self) -> dict[str, Any]:
        """Nothing."""
        return {}


CALIBRATIONS: dict[str, Callable[..., Calibration]] = {kind.kind: kind for kind in (NoCalibration,)}
"""The calibrations by the name that a saved model calls them."""


@dataclass(frozen=True)
class Decision:
    """From a model's raw outputs to probabilities or values, and to decoded values; immutable, part of a saved model.

    Thresholds are in calibrated probabilities, so the order of the three steps cannot be got wrong.

    Args:
        target: the fitted target block.
        thresholds: from calibrated probabilities to decisions, if the target uses them.
        calibration: the calibration of the activated outputs.
    """

    target: TargetBlock
    thresholds: Thresholds = field(default_factory=Thresholds)
    calibration: Calibration = field(default_factory=NoCalibration)

    def activate(self, outputs: Float[Tensor, "n k"]) -> Float[Tensor, "n ..."]:
        """The outputs after activation and calibration: probabilities, points or numbers.

        Args:
            outputs: raw, in the target's own units (`TargetBlock.to_user_units`).
        """
        return self.calibration(outputs, self.target.activate)

    def decide(self, probabilities: Float[Tensor, "n k"]) -> Bool[Tensor, "n k"]:
        """Which probabilities are above their threshold.

        Raises:
            InputError: a probability is NaN, or there are thresholds for another number of classes.
        """
        return self.thresholds.decide(probabilities)

    def decode(self, activated: Shaped[Tensor, "..."]) -> Any:
        """The value of one row of what `activate` returns: labels, a label, points in pixels, or numbers.

        Raises:
            InputError: a probability or value is NaN; only a target can be unknown.
        """
        refuse_nan(activated, "outputs of the image")
        return self.target.decode(activated, self.thresholds)

    def decode_batch(self, activated: Shaped[Tensor, "n ..."]) -> list[Any]:
        """The value of each row of what `activate` returns.

        Raises:
            InputError: a probability or value is NaN.
        """
        return [self.decode(row) for row in activated]

    def with_thresholds(self, thresholds: Thresholds) -> "Decision":
        """The decision with other thresholds, which know the names of the classes.

        Raises:
            InputError: they are for another number of classes.
        """
        if isinstance(thresholds.values, tuple):
            thresholds.per_class(self.target.n_out)
            thresholds = replace(thresholds, names=self.target.output_names)
        return replace(self, thresholds=thresholds)

    def to_json(self) -> dict[str, Any]:
        """The decision without its target block, which the manifest stores separately."""
        values = self.thresholds.values
        return {
            "calibration": {"kind": self.calibration.kind, **self.calibration.to_json()},
            "thresholds": {
                "values": list(values) if isinstance(values, tuple) else values,
                "metric": self.thresholds.metric,
            },
        }

    @staticmethod
    def from_json(data: dict[str, Any], block: TargetBlock) -> "Decision":
        """The decision that `to_json` described.

        Raises:
            InputError: a calibration that this version does not know, or thresholds for another number of classes.
        """
        calibration = dict(data["calibration"])
        kind = str(calibration.pop("kind"))
        if kind not in CALIBRATIONS:
            meant = did_you_mean(kind, CALIBRATIONS)
            raise InputError(f"unknown calibration '{kind}'.{meant} Known: {listing(CALIBRATIONS)}")
        values: Sequence[float] | float = data["thresholds"]["values"]
        thresholds = Thresholds(
            tuple(values) if isinstance(values, list) else values,  # type: ignore[arg-type]
            data["thresholds"]["metric"],
        )
        return Decision(block, calibration=CALIBRATIONS[kind](**calibration)).with_thresholds(thresholds)
