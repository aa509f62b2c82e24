"""What is wrong with a manifest, as far as that can be checked without building the model; torch is not needed."""

from collections.abc import Mapping
from typing import Any

from eyebright.errors import short_repr
from eyebright.inference.folder_format import MANIFEST, SCHEMA, WEIGHTS
from eyebright.tasks.calibration_hash import current_results, has_other_sets
from eyebright.tasks.threshold_hash import are_edited

_REQUIRED_FIELDS: Mapping[str, type] = {
    "model": dict,
    "target": dict,
    "scores": dict,
    "training": dict,
    "data": dict,
    "versions": dict,
}
_PROMISED = {"promises": "promises", "selective": "promises", "risk": "risk", "label_sets": "prediction sets"}


def wrong_manifest(content: Mapping[str, Any], copy: Mapping[str, Any] | None) -> str:
    """What is wrong with the fields of a manifest; empty if nothing is.

    Args:
        content: the JSON of ``manifest.json``.
        copy: that of the copy with the weights.
    """
    schema = content.get("schema")
    if not isinstance(schema, int) or isinstance(schema, bool) or schema < 1:
        return f"has no valid 'schema' number, got {short_repr(schema)}: it is not a manifest of Eyebright"
    if schema > SCHEMA:
        return f"has schema {short_repr(schema)}, but this version of eyebright reads 1 to {SCHEMA}: update eyebright"
    for name, kind in _REQUIRED_FIELDS.items():
        if not isinstance(content.get(name), kind):
            return f"has no valid '{name}', got {short_repr(content.get(name))}"
    return _wrong_thresholds(content) or other_order(content, copy)


def other_order(content: Mapping[str, Any], copy: Mapping[str, Any] | None) -> str:
    """What is wrong with the order of the labels; empty if nothing is, or if they are others than in the copy.

    The position of a label is that of its output. A person who sorts the labels of a manifest would get each answer
    under the name of another label; one who renames a label leaves them in their order.

    Args:
        content: the JSON of ``manifest.json``.
        copy: that of the copy with the weights, which is as old as they are.
    """
    names, written = (list(map(str, labels_of(manifest))) for manifest in (content, copy or {}))
    if names == written or sorted(names) != sorted(written):
        return ""
    row = next(i for i, (name, other) in enumerate(zip(names, written, strict=True)) if name != other)
    return (
        f"has the labels in another order than the outputs of the weights: output {row} is {short_repr(written[row])}, "
        f"not {short_repr(names[row])}; put them in the order that the copy of {MANIFEST} in {WEIGHTS} has"
    )


def edit_remark(content: Mapping[str, Any]) -> str:
    """A remark if thresholds or calibration were edited since something was measured with them; empty otherwise.

    Args:
        content: the JSON of a manifest in which `wrong_manifest` finds nothing.
    """
    remarks: list[str] = []
    if _has_edited_thresholds(content):
        remarks.append("thresholds or calibration were edited by hand: they are not tuned for a metric")
    lost = [words for name, words in _PROMISED.items() if name in entry_of(content, "tuning")]
    if lost := [words for words in dict.fromkeys(lost) if words not in _still_promised(content)]:
        remarks.append(f"what was measured before the edit no longer holds: {', '.join(lost)}")
    return "; ".join(remarks)


def entry_of(content: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An entry of a manifest that is a JSON object; empty if it is missing or something else."""
    value = content.get(name)
    return value if isinstance(value, dict) else {}


def kept_results(content: Mapping[str, Any]) -> dict[str, Any]:
    """The record of the tuning in a manifest, without promises and bounds that an edit has invalidated.

    These are all that were measured with another calibration, a promise if the threshold of one of its labels is
    another, and bounds of one threshold for all labels if the thresholds were edited.

    Args:
        content: the JSON of a manifest; its entries may have the wrong form.
    """
    results = current_results(entry_of(content, "tuning"), entry_of(content, "decision"))
    if isinstance(promises := results.get("promises"), list):
        results["promises"] = [record for record in promises if _has_its_thresholds(record, content)]
    if _has_edited_thresholds(content):
        results = {name: facts for name, facts in results.items() if name not in ("selective", "risk")}
    return results


def _still_promised(content: Mapping[str, Any]) -> set[str]:
    """The words of `_PROMISED` for what an edit has not invalidated."""
    before, now = entry_of(content, "tuning"), kept_results(content)
    kept = {words for name, words in _PROMISED.items() if name in before and now.get(name) == before[name]}
    return kept - ({"prediction sets"} if has_other_sets(entry_of(content, "decision")) else set())


def _has_edited_thresholds(content: Mapping[str, Any]) -> bool:
    try:
        return are_edited(entry_of(content, "decision"))
    except (KeyError, TypeError, ValueError, AttributeError):
        return False


def _has_its_thresholds(record: Any, content: Mapping[str, Any]) -> bool:
    """Whether the labels of a promise have the thresholds that it was measured with; True if that cannot be read."""
    names, thresholds = labels_of(content), thresholds_of(content)
    try:
        is_lower = record["promise"]["metric"] == "recall" and thresholds.get("lower") is not None
        values = thresholds["lower" if is_lower else "values"]
        return all(
            label["threshold"] == (values[names.index(label["label"])] if isinstance(values, list) else values)
            for label in record["labels"]
        )
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return True


def labels_of(content: Mapping[str, Any]) -> list[Any]:
    """The labels, classes, points or numbers of a manifest, in the order of the outputs; empty if there are none.

    Args:
        content: its JSON.
    """
    target = content.get("target")
    found = (target.get(key) for key in ("vocab", "classes", "names")) if isinstance(target, Mapping) else ()
    return next((names for names in found if isinstance(names, list)), [])


def thresholds_of(content: Mapping[str, Any]) -> Any:
    """The JSON of the thresholds of a manifest: of its decision, or as schema 1 has them; None without any.

    Args:
        content: its JSON.
    """
    decision = content.get("decision")
    return decision.get("thresholds") if isinstance(decision, Mapping) else content.get("thresholds")


def _wrong_thresholds(content: Mapping[str, Any]) -> str:
    thresholds = thresholds_of(content)
    if not isinstance(thresholds, Mapping):
        return "" if thresholds is None else f"has no valid thresholds, got {short_repr(thresholds)}"
    outputs = len(labels_of(content))
    for name in ("values", "lower"):
        values = thresholds.get(name, 0.5)
        numbers = values if isinstance(values, list) else [values]
        if name == "lower" and values is None:
            continue
        if not all(
            isinstance(number, (int, float)) and not isinstance(number, bool) and 0 <= number <= 1 for number in numbers
        ):
            return f"has thresholds that are no numbers in [0, 1], got {short_repr(values)}"
        if isinstance(values, list) and len(numbers) != outputs:
            return f"has {len(numbers)} thresholds, and the model has {outputs} labels"
    return ""
