"""Results of comparing exported graphs with Python, as plain values; importing this module loads no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from eyebright.errors import DataError, bounded, count_text, is_whole

_MAX_NUMBER = 1e300  # no measured number is larger, and an integer of JSON may be too large for a float


@dataclass(frozen=True, slots=True)
class ExportedGraph:
    """The comparison of one exported graph with the saved model, and the cost of a lower precision.

    Args:
        file: the name of the graph's file.
        precision: ``"float32"``, ``"float16"`` or ``"int8"``.
        bytes: its size, including a separate file of its weights.
        images: the number of images that were compared.
        made: how many of them are synthetic instead of validation images, such as 1x1 and CMYK.
        largest_difference: the largest difference of a probability, or of a point or number in ``measured_in``; None if
            nothing was compared.
        measured_in: the unit of the difference, as text.
        decisions: the number of decisions that were compared; 0 for points and numbers.
        near: how many of them are within 0.0001 of their threshold.
        changed: the number of decisions that differ, including the near ones.
        changed_not_near: the number of decisions that differ and are not near.
        calibrated_on: the number of training images that gave the ranges of INT8; 0 for another precision.
        metric: the main score of the model; empty for float32.
        score: its value on the validation images; None if it was not measured.
        float32_score: its value in float32.
        milliseconds: the time for a batch of one image on the machine that exported it; None if it was not measured.
        float32_milliseconds: the same time in float32.
        ood_largest_difference: the largest difference of the out-of-distribution score, relative where it is above 1;
            None without a score.
        ood_near: the number of images whose score is within 0.0001 of its threshold.
        ood_changed: the number of images that are out of distribution for only one of both, including the near ones.
        ood_changed_not_near: how many of these are not near.
    """

    file: str
    precision: str
    bytes: int
    images: int
    made: int
    largest_difference: float | None
    measured_in: str
    decisions: int
    near: int
    changed: int
    changed_not_near: int
    calibrated_on: int = 0
    metric: str = ""
    score: float | None = None
    float32_score: float | None = None
    milliseconds: float | None = None
    float32_milliseconds: float | None = None
    ood_largest_difference: float | None = None
    ood_near: int = 0
    ood_changed: int = 0
    ood_changed_not_near: int = 0

    @property
    def sentence(self) -> str:
        """The result as a sentence."""
        if self.largest_difference is None:
            return f"{self.precision}, not compared with Python: there were no validation images"
        largest = f"{self.largest_difference:.2g} {self.measured_in}"
        parts = [f"{self.precision}, {count_text(self.images, 'image')}, largest difference {largest}"]
        if self.decisions:
            parts.append(f"{self.changed:,} of {self.decisions:,} decisions changed, {self.near:,} near a threshold")
        if self.ood_largest_difference is not None:
            parts.append(
                f"out-of-distribution score: largest difference {self.ood_largest_difference:.2g}, "
                f"{self.ood_changed:,} images changed"
            )
        if self.score is not None and self.float32_score is not None:
            parts.append(f"{self.metric} {self.score:.4f} (float32: {self.float32_score:.4f})")
        return "; ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """All values."""
        return asdict(self)

    @staticmethod
    def from_json(file: str, facts: Mapping[str, Any]) -> "ExportedGraph":
        """The graph from the entry of its file in ``export.json``.

        Args:
            file: the name of the file.
            facts: its entry, with ``"parity"``, or with ``"cost"`` for a lower precision.

        Raises:
            DataError: a value is missing or has another form.
        """
        cost = _entry(facts, "cost")
        parity = _entry(cost or facts, "parity")
        ood = _entry(parity, "ood") if parity.get("ood") is not None else {}  # None without a score
        return ExportedGraph(
            file=bounded(file),
            precision=_text(facts, "precision"),
            bytes=_count(facts, "bytes"),
            images=_count(parity, "images"),
            made=_count(parity, "made"),
            largest_difference=_number(parity, "difference") if _count(parity, "images") else None,
            measured_in=_text(parity, "measured_in"),
            decisions=_count(parity, "answers"),
            near=_count(parity, "near"),
            changed=_count(parity, "changed"),
            changed_not_near=_count(parity, "changed_far"),
            calibrated_on=_count(facts, "calibrated_on") if cost else 0,
            metric=_text(cost, "metric") if cost else "",
            score=_number(cost, "score"),
            float32_score=_number(cost, "float32_score"),
            milliseconds=_number(cost, "milliseconds"),
            float32_milliseconds=_number(cost, "float32_milliseconds"),
            ood_largest_difference=_number(ood, "difference"),
            ood_near=_count(ood, "near") if ood else 0,
            ood_changed=_count(ood, "changed") if ood else 0,
            ood_changed_not_near=_count(ood, "changed_far") if ood else 0,
        )


def exported_graphs(files: Mapping[str, Any]) -> list[ExportedGraph]:
    """The graphs among the files of an export that were compared.

    Args:
        files: the entry ``"files"`` of ``export.json``.

    Raises:
        DataError: a value is missing or has another form.
    """
    return [
        ExportedGraph.from_json(name, _with_weights(facts, files))
        for name, facts in files.items()
        if isinstance(facts, Mapping) and ("parity" in facts or "cost" in facts)
    ]


def _with_weights(facts: Mapping[str, Any], files: Mapping[str, Any]) -> Mapping[str, Any]:
    """The entry of a graph; its size includes the separate file of its weights, if it has one."""
    other = facts.get("weights")
    weights = files.get(other) if isinstance(other, str) else None
    if not isinstance(weights, Mapping):
        return facts
    return {**facts, "bytes": _count(facts, "bytes") + _count(weights, "bytes")}


def _entry(values: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    entry = values.get(name, {})
    if not isinstance(entry, Mapping):
        raise DataError(f"the record of the export has no valid '{name}'")
    return entry


def _text(values: Mapping[str, Any], name: str) -> str:
    text = values.get(name)
    if not isinstance(text, str):
        raise DataError(f"the record of the export has no valid '{name}'")
    return bounded(text)


def _count(values: Mapping[str, Any], name: str) -> int:
    count = values.get(name)
    if not is_whole(count) or not 0 <= count < _MAX_NUMBER:
        raise DataError(f"the record of the export has no valid '{name}'")
    return count


def _number(values: Mapping[str, Any], name: str) -> float | None:
    """A finite number, or None if the entry has no number."""
    number = values.get(name)
    if number is None:
        return None
    if isinstance(number, bool) or not isinstance(number, int | float) or not abs(number) < _MAX_NUMBER:
        raise DataError(f"the record of the export has no valid '{name}'")
    return float(number)
