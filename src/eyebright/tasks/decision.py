"""`Decision`: activates, calibrates and decodes a model's raw outputs; the only place that does."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from eyebright.errors import InputError, listing
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.calibration import Calibration, NoCalibration, calibration_from_json, calibration_to_json
from eyebright.tasks.calibration_hash import MEASURED_WITH, calibration_hash, has_other_sets
from eyebright.tasks.prediction_sets import PredictionSets
from eyebright.tasks.threshold_hash import HASH, are_edited, threshold_hash
from eyebright.types import Thresholds, refuse_nan


@dataclass(frozen=True)
class Decision:
    """Converts a model's raw outputs to probabilities or values and decodes them; immutable, part of a saved model.

    Thresholds are in calibrated probabilities, so the order of the three steps is fixed.

    Args:
        target: the fitted target block.
        thresholds: the thresholds of calibrated probabilities, if the target uses any.
        calibration: the calibration of the raw outputs before their activation.
        prediction_sets: the sets of labels with a stated coverage, in calibrated probabilities; None without prediction
            sets.

    Raises:
        InputError: the target cannot have this calibration, or it is for another number of labels; or the prediction
            sets are of other labels, or randomised, since a prediction must not depend on other images of the batch.
    """

    target: TargetBlock
    thresholds: Thresholds = field(default_factory=Thresholds)
    calibration: Calibration = field(default_factory=NoCalibration)
    prediction_sets: PredictionSets | None = None

    def __post_init__(self) -> None:
        kind, n_labels = self.calibration.kind, self.calibration.n_labels
        if kind not in self.target.calibrations:
            raise InputError(
                f"a {type(self.target).__name__} cannot have the calibration '{kind}', only "
                f"{listing(self.target.calibrations)}"
            )
        if n_labels is not None and n_labels != self.target.n_out:
            raise InputError(f"the calibration '{kind}' is for {n_labels} labels, not for {self.target.n_out}")
        self._check_prediction_sets()

    def _check_prediction_sets(self) -> None:
        if self.prediction_sets is None:
            return
        if not self.target.has_vocab or self.prediction_sets.names != tuple(self.target.value_names):
            raise InputError(
                f"the prediction sets have other labels ({listing(self.prediction_sets.names)}) than the target"
            )
        if self.prediction_sets.is_for_labels != self.target.has_thresholds:
            raise InputError(
                f"prediction sets '{self.prediction_sets.method}' are not possible for a {type(self.target).__name__}"
            )
        if self.prediction_sets.randomised:
            raise InputError(
                "a decision cannot have randomised prediction sets, since predictions must be reproducible; fit them "
                "without `randomised`"
            )

    def activate(self, outputs: Float[Tensor, "n k"]) -> Float[Tensor, "n ..."]:
        """The outputs after activation and calibration: probabilities, points or numbers.

        Args:
            outputs: raw outputs, in the target's own units (`TargetBlock.to_user_units`).
        """
        return self.target.activate(self.calibration(outputs))

    def decide(self, probabilities: Float[Tensor, "n k"]) -> Bool[Tensor, "n k"]:
        """True for the probabilities above their threshold.

        Raises:
            InputError: a probability is NaN, or the thresholds are for another number of classes.
        """
        return self.thresholds.decide(probabilities)

    def decode(self, activated: Shaped[Tensor, "..."]) -> Any:
        """The value of one row of activated outputs: labels, a label, points in pixels, or numbers.

        Raises:
            InputError: a probability or value is NaN, which only a target can be.
        """
        refuse_nan(activated, "outputs of the image")
        return self.target.decode(activated, self.thresholds)

    def decode_batch(self, activated: Shaped[Tensor, "n ..."]) -> list[Any]:
        """The value of each row of activated outputs.

        Raises:
            InputError: a probability or value is NaN.
        """
        return [self.decode(row) for row in activated]

    def abstains(self, activated: Float[Tensor, "n *k"]) -> Bool[Tensor, "n *k"]:
        """True where the model abstains and a person is to be asked; never if the thresholds are not three-way.

        Args:
            activated: activated outputs.
        """
        return self.target.abstains(activated, self.thresholds)

    def abstained_labels(self, activated: Float[Tensor, "*k"]) -> tuple[str, ...] | None:
        """The labels of an image on which the model abstains; None if the thresholds are not three-way.

        Args:
            activated: one row of activated outputs.
        """
        if not self.thresholds.is_three_way:
            return None
        abstained = self.abstains(activated[None])[0].tolist()
        return tuple(name for name, abstains in zip(self.target.value_names, abstained, strict=True) if abstains)

    def prediction_set(self, activated: Float[Tensor, "*k"]) -> tuple[str, ...] | None:
        """The labels in the prediction set of an image, in the order of the vocabulary; None without prediction sets.

        Args:
            activated: one row of activated outputs.
        """
        if self.prediction_sets is None:
            return None
        inside = self.prediction_sets.sets(activated[None])[0].tolist()
        return tuple(name for name, is_inside in zip(self.target.value_names, inside, strict=True) if is_inside)

    def with_thresholds(self, thresholds: Thresholds) -> "Decision":
        """The decision with other thresholds, which get the names of the classes.

        Raises:
            InputError: the thresholds are for another number of classes.
        """
        if isinstance(thresholds.values, tuple) or isinstance(thresholds.lower, tuple):
            thresholds.check_count(self.target.n_out)
            thresholds = replace(thresholds, names=self.target.output_names)
        return replace(self, thresholds=thresholds)

    def with_calibration(self, calibration: Calibration) -> "Decision":
        """The decision with another calibration; thresholds that were tuned before it need to be tuned again.

        Prediction sets are dropped: their limits hold for the former probabilities.

        Raises:
            InputError: the target does not support the calibration, or it is for another number of labels.
        """
        return replace(self, calibration=calibration, prediction_sets=None)

    def with_prediction_sets(self, prediction_sets: PredictionSets | None) -> "Decision":
        """The decision with other prediction sets, or without any.

        Raises:
            InputError: the prediction sets have other labels, or are randomised.
        """
        return replace(self, prediction_sets=prediction_sets)

    def to_json(self) -> dict[str, Any]:
        """The decision without its target block, which the manifest stores separately.

        Tuned thresholds have a hash beside them, so that ones that a person has edited are not taken for tuned, and
        prediction sets have that of the calibration, since their limits hold only for its probabilities.
        """
        thresholds: dict[str, Any] = {"values": _as_list(self.thresholds.values), "metric": self.thresholds.metric}
        if self.thresholds.lower is not None:
            thresholds["lower"] = _as_list(self.thresholds.lower)
        calibration = calibration_to_json(self.calibration)
        content: dict[str, Any] = {"calibration": calibration, "thresholds": thresholds}
        if self.prediction_sets is not None:
            content["label_sets"] = {**self.prediction_sets.to_json(), MEASURED_WITH: calibration_hash(calibration)}
        if self.thresholds.metric is not None:
            thresholds[HASH] = threshold_hash(content)
        return content

    @staticmethod
    def from_json(data: dict[str, Any], block: TargetBlock) -> "Decision":
        """The decision that `to_json` described.

        Thresholds that were edited since have no metric. Prediction sets are dropped if the calibration was edited.

        Raises:
            InputError: a calibration that this version does not know or that has invalid numbers, or thresholds, a
                calibration or prediction sets for other classes.
        """
        given = data["thresholds"]
        thresholds = Thresholds(
            _as_tuple(given["values"]),
            None if are_edited(data) else given["metric"],
            lower=_as_tuple(given["lower"]) if "lower" in given else None,  # missing in models of older versions
        )
        calibration = calibration_from_json(data["calibration"])
        decision = Decision(block, calibration=calibration, prediction_sets=_sets_of(data))
        return decision.with_thresholds(thresholds)


def _sets_of(data: Mapping[str, Any]) -> PredictionSets | None:
    """The prediction sets of a decision's JSON; None without any, or if they are of another calibration."""
    sets = data.get("label_sets")
    if isinstance(sets, dict):
        sets = {name: value for name, value in sets.items() if name != MEASURED_WITH}
    return None if sets is None or has_other_sets(data) else PredictionSets.from_json(sets)


def _as_list(values: float | tuple[float, ...]) -> float | list[float]:
    return list(values) if isinstance(values, tuple) else values


def _as_tuple(values: Any) -> Any:
    return tuple(values) if isinstance(values, list) else values
