"""The metadata of a model card for the Hugging Face hub: the YAML at the start of ``README.md``.

The format follows the hub's documentation (model cards, ``model-index``); the tests read it with huggingface_hub.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import yaml

from eyebright.errors import bounded, printable
from eyebright.report.data import MetricRow, ReportData
from eyebright.tasks.decision import Decision
from eyebright.tasks.task_type import TaskType

LICENCE = "unknown"
"""The licence in the metadata if no licence was chosen for the model: Eyebright cannot choose one."""


class _HubTask(NamedTuple):
    """The hub's names for a kind of target.

    Args:
        result_type: the type of the results.
        pipeline: the hub's task of the model; None: the hub has no such task.
        tags: additional tags.
    """

    result_type: str
    pipeline: str | None
    tags: tuple[str, ...]


_HUB_TASKS: Mapping[TaskType, _HubTask] = {
    "labels": _HubTask("image-classification", "image-classification", ("multi-label-classification",)),
    "classes": _HubTask("image-classification", "image-classification", ()),
    "points": _HubTask("keypoint-detection", "keypoint-detection", ()),
    "numbers": _HubTask("image-regression", None, ("image-regression",)),
}
_METRICS = {
    "accuracy": "accuracy",
    "exact match": "accuracy",
    "macro F1": "f1",
    "micro F1": "f1",
    "samples F1": "f1",
    "mAP": "mean_average_precision",
    "MAE": "mae",
    "RMSE": "rmse",
    "R2": "r_squared",
}
"""The hub's metric types by our names; other metrics keep their name, as an identifier."""
_PARTS = {"valid": "validation", "test": "test", "out_of_fold": "train"}


def front_matter(
    decision: Decision, data: ReportData | None, *, name: str, fingerprint: str, licence: str = LICENCE
) -> str:
    """The metadata as YAML between lines of dashes.

    Args:
        decision: the model's decision.
        data: the model's report; None: nothing was measured.
        name: the name of the model.
        fingerprint: the fingerprint of the training images.
        licence: an identifier of the hub, such as ``"apache-2.0"``.
    """
    target = decision.target
    task = _HUB_TASKS[target.task_type]
    tags = ["eyebright", *task.tags, *([] if task.pipeline is None else [task.pipeline])]
    content: dict[str, Any] = {"license": licence, "library_name": "eyebright"}
    if task.pipeline is not None:
        content["pipeline_tag"] = task.pipeline
    content["tags"] = list(dict.fromkeys(tags))
    results = [] if data is None else _results(data, task, fingerprint)
    if results:
        content["metrics"] = list(dict.fromkeys(metric["type"] for result in results for metric in result["metrics"]))
        content["model-index"] = [{"name": _text(name), "results": results}]
    return f"---\n{yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120)}---\n"


def _results(data: ReportData, task: _HubTask, fingerprint: str) -> list[dict[str, Any]]:
    """The scores of the evaluated images, and of the test images if there are any."""
    part = data.evaluated[0]
    sets: Iterable[tuple[str, Sequence[MetricRow]]] = [(part, data.metric_rows), ("test", data.test_rows)]
    return [
        {
            "task": {"type": task.result_type},
            "dataset": {
                "name": f"own data {fingerprint}".rstrip(),
                "type": f"eyebright-{fingerprint or 'data'}",
                "split": _PARTS.get(part_data, part_data),
            },
            "metrics": metrics,
        }
        for part_data, rows in sets
        if (metrics := [_metric(row) for row in rows if math.isfinite(row.value)])
    ]


def _metric(row: MetricRow) -> dict[str, Any]:
    kind = _METRICS.get(row.name, row.name.lower().replace(" ", "_"))
    return {"type": kind, "value": float(row.value), "name": row.name}


def _text(text: str) -> str:
    return bounded(printable(text), limit=200)
