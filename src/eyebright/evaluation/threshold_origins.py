"""The origin of the threshold of each label: a promise, tuning, or a person."""

from collections.abc import Mapping
from typing import Any

from eyebright.errors import DataError, listing
from eyebright.evaluation.promises import PromiseResult
from eyebright.tasks.decision import Decision
from eyebright.types import Thresholds

BY_HAND = "set by hand"
_NAMES = 5  # labels in a text


def origins_text(decision: Decision, tuning: Mapping[str, Any], titles: Mapping[str, str]) -> str:
    """The origins of the thresholds of a model with promises, with the labels of each origin if there are several.

    Args:
        decision: the model's decision.
        tuning: `Manifest.tuning`.
        titles: the display names of metrics.

    Raises:
        DataError: the entry does not have the expected form.
    """
    try:
        origins = threshold_origins(decision, tuning, titles)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise DataError(f"the entry 'tuning' of the saved model has the wrong form: {error}") from None
    labels: dict[str, list[str]] = {}
    for name, origin in zip(decision.target.output_names, origins, strict=True):
        labels.setdefault(origin, []).append(name)
    if len(labels) == 1:
        return next(iter(labels))
    counted = (f"{len(names):,} {origin} ({listing(names, limit=_NAMES)})" for origin, names in labels.items())
    return ", ".join(counted)


def threshold_origins(decision: Decision, tuning: Mapping[str, Any], titles: Mapping[str, str]) -> list[str]:
    """The origin of the threshold of each label, as `origins_text` words it.

    Raises:
        KeyError: the entry has another form; or TypeError, ValueError, AttributeError.
    """
    n_labels = decision.target.n_out
    thresholds, before = decision.thresholds, tuning.get("before") or {}
    upper = thresholds.per_class(n_labels).tolist()
    lower = upper if thresholds.lower is None else Thresholds(thresholds.lower).per_class(n_labels).tolist()
    results = [PromiseResult.from_json(dict(promise)) for promise in tuning.get("promises", [])]
    promised: dict[str, list[tuple[str, bool]]] = {}
    for result in results:
        for label in result.labels:
            if not label.former:
                index = decision.target.classes.index_of(label.label)
                value = lower[index] if thresholds.is_three_way and result.promise.metric == "recall" else upper[index]
                promised.setdefault(label.label, []).append((str(result.promise), value == label.threshold))
    unchanged = (
        Thresholds(_values(before.get("values", 0.5))).per_class(n_labels).tolist() if before else [None] * n_labels
    )
    metric = before.get("metric")
    former = BY_HAND if metric is None else f"tuned for {titles.get(metric, metric)} before"

    def origin(index: int, name: str) -> str:
        if name in promised:
            is_kept = all(same for _, same in promised[name])
            return f"set for {' and '.join(text for text, _ in promised[name])}" if is_kept else BY_HAND
        return former if upper[index] == lower[index] == unchanged[index] else BY_HAND

    return [origin(index, name) for index, name in enumerate(decision.target.output_names)]


def _values(values: Any) -> float | tuple[float, ...]:
    return tuple(map(float, values)) if isinstance(values, list) else float(values)
