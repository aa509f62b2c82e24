"""The model card, ``README.md`` of a model folder: a description of the model, its scores, its limits and its use.

It repeats the contents of manifest and report as Markdown, with metadata that the Hugging Face hub reads. A card is
meant to be published, so it has names of labels, but never names of files and folders of the data.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eyebright.errors import count_text
from eyebright.report.card_limits import limits
from eyebright.report.card_metadata import LICENCE, front_matter
from eyebright.report.data import MetricRow, ReportData
from eyebright.report.markdown import escaped, name, table
from eyebright.report.tuning import tuning_sections
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.decision import Decision
from eyebright.tasks.task_type import TaskType
from eyebright.types import Size
from eyebright.web.blocks import Sentences
from eyebright.web.text import number_text, score_text

PLACE = "MODEL"
"""The placeholder for the location of the model; `eyebright push` replaces it with the name of the repository."""
_MAX_ROWS = 200  # rows of the table of labels
_NOUN_OF_TASK_TYPE: Mapping[TaskType, str] = {
    "labels": "any number of {} for each image",
    "classes": "one of {} for each image",
    "points": "{} on each image, in pixels of that image",
    "numbers": "{} for each image",
}
_NOUNS: Mapping[TaskType, tuple[str, str]] = {
    "labels": ("label", "labels"),
    "classes": ("class", "classes"),
    "points": ("point", "points"),
    "numbers": ("number", "numbers"),
}
_PARTS = {"valid": "validation", "out_of_fold": "out-of-fold"}
_USAGE = [
    "With Eyebright installed; no file of the model is run as code when it is loaded.",
    "",
    "```python",
    "import eyebright",
    "",
    f'predictor = eyebright.load_predictor("{PLACE}")',
    'for prediction in predictor.predict(["photo.jpg"]):',
    "    print(prediction)",
    "```",
    "",
    "```bash",
    f'eyebright predict "{PLACE}" photos/',
    "```",
    "",
    f"`{PLACE}` is the folder of this model.",
]
_SHARES = {"threshold", "average_precision", "precision", "recall", "f1", "pck"}


@dataclass(frozen=True)
class CardFacts:
    """The facts of a model card that are not in the report.

    Args:
        decision: calibration, thresholds and target block.
        arch: the backbone.
        size: the size of the model's input; None: images keep their own size.
        manifest: the entries ``training``, ``data``, ``targets``, ``tuning``, ``versions`` and ``created`` of the
            manifest.
        weights_licence: the declared licence of the backbone's weights; empty if undeclared.
        licence: the licence of the model, an identifier of the hub.
    """

    decision: Decision
    arch: str
    size: Size | None
    manifest: Mapping[str, Any]
    weights_licence: str = ""
    licence: str = LICENCE


def model_card(facts: CardFacts, data: ReportData | None) -> str:
    """The text of the card, without the comment that marks it as generated.

    Args:
        facts: the facts of the model.
        data: the model's report; None for a model without an evaluation.

    Raises:
        DataError: the entry ``tuning`` of the manifest does not have the form that `eyebright tune` writes.
    """
    target = facts.decision.target
    fingerprint = str(facts.manifest["data"].get("fingerprint", ""))
    title = f"{facts.arch}, {_count(target)}"
    head = front_matter(facts.decision, data, name=title, fingerprint=fingerprint, licence=facts.licence)
    sections = {
        f"# {name(title)}": _introduction(facts),
        "## How to use it": _USAGE,
        f"## {_NOUNS[target.task_type][1].capitalize()}": _outputs(facts, data),
        "## Scores": _scores(data),
        "## Decisions": _decisions(facts),
        "## Training data": _data(facts, data),
        "## Backbone": _backbone(facts),
        "## Limits": [f"- {escaped(sentence)}" for sentence in limits(facts.decision, facts.manifest, data)],
    }
    return head + "\n" + "\n\n".join("\n".join([heading, "", *lines]) for heading, lines in sections.items() if lines)


def _introduction(facts: CardFacts) -> list[str]:
    target = facts.decision.target
    what = _NOUN_OF_TASK_TYPE[target.task_type].format(_count(target))
    return [
        f"An image model trained with Eyebright: it predicts {what}. This card is generated from the files in this "
        f"folder; `eyebright inspect` checks them."
    ]


def _count(target: TargetBlock) -> str:
    return count_text(len(target.value_names), *_NOUNS[target.task_type])


def _outputs(facts: CardFacts, data: ReportData | None) -> list[str]:
    """The outputs of the model: a row for each label, with its scores if it has any."""
    names = facts.decision.target.value_names
    if data is None or not data.output_rows:
        shown = ", ".join(map(name, names[:_MAX_ROWS]))
        return [shown + _more(len(names))]
    rows = data.output_rows[:_MAX_ROWS]
    columns = [key for key in rows[0] if not key.endswith("_interval") and any(row[key] is not None for row in rows)]
    cells = [[_cell(column, row) for column in columns] for row in rows]
    part, images = data.evaluated
    return [
        *table([column.replace("_", " ") for column in columns], cells),
        "",
        f"Of {count_text(images, f'{_PARTS.get(part, part)} image')}{_more(len(names))}.",
    ]


def _more(count: int) -> str:
    return f"; {count - _MAX_ROWS:,} more are in `manifest.json`" if count > _MAX_ROWS else ""


def _cell(column: str, row: Mapping[str, Any]) -> str:
    """A value, with its interval if it has one."""
    value, interval = row[column], row.get(f"{column}_interval")
    if isinstance(value, str):
        return name(value)
    if value is None or math.isnan(value):
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    text = score_text(value) if column in _SHARES else number_text(value)
    ends = "" if interval is None or None in interval else f" ({'-'.join(map(score_text, interval))})"
    return text + ends


def _scores(data: ReportData | None) -> list[str]:
    if data is None:
        return ["Nothing was measured: the model was saved without an evaluation."]
    lines = [f"{escaped(data.summary[:1].upper() + data.summary[1:])}.", "", *_metric_table(data.metric_rows)]
    if data.test_rows:
        lines += [
            "",
            "Test images, which were not used to choose anything (training, thresholds, calibration):",
            "",
            *_metric_table(data.test_rows),
        ]
    lines += [f"\n**{escaped(sentence)}**" for sentence in data.leaks]
    sentences = [*data.verdict.can, *data.verdict.cannot]
    return [*lines, *([""] if sentences else []), *(f"- {escaped(sentence)}" for sentence in sentences)]


def _metric_table(rows: Sequence[MetricRow]) -> list[str]:
    cells = [
        [
            name(row.name),
            row.text,
            "-" if row.interval is None else "{} to {}".format(*map(row.number, row.interval)),
            "-" if row.baseline is None else row.number(row.baseline),
            "-" if row.expected is None else "worse" if math.isnan(row.expected) else row.number(row.expected),
            row.rests_on,
        ]
        for row in rows
    ]
    columns = ["metric", "score", "95 % interval", "baseline (one answer for all)", "expected on new images", "on"]
    return table(columns, cells)


def _decisions(facts: CardFacts) -> list[str]:
    """Calibration, thresholds and promises."""
    decision = facts.decision
    if not decision.target.can_calibrate:
        return []
    kind = decision.to_json()["calibration"]["kind"]
    lines = [f"- Calibration of the probabilities: {escaped(str(kind))}."]
    if decision.target.has_thresholds:
        metric = decision.thresholds.metric
        tuned = f", tuned for {escaped(metric)}" if metric else ""
        lines.append(f"- A label is predicted if its probability is above its threshold{tuned}.")
    if decision.thresholds.is_three_way:
        lines.append("- Between two thresholds the answer is to ask a person.")
    for section in tuning_sections(facts.manifest["tuning"], decision):
        sentences = [line for block in section.blocks if isinstance(block, Sentences) for line in block.sentences]
        lines += [f"- {escaped(sentence)}" for sentence in sentences]
    return lines


def _data(facts: CardFacts, data: ReportData | None) -> list[str]:
    counted = facts.manifest["data"]
    summary = None if data is None else data.facts.split_summary
    lines = [
        f"- {words}: {escaped(f'{counted[key]:,}')}"
        for key, words in (("train", "training images"), ("valid", "validation images"), ("skipped", "skipped images"))
        if isinstance(counted.get(key), int) and (counted[key] if key == "skipped" else summary is None)
    ]
    if fingerprint := counted.get("fingerprint"):
        lines.append(f"- fingerprint of the data: `{''.join(filter(str.isalnum, str(fingerprint)))}`")
    if summary is not None:
        lines += [f"- {escaped(what)}: {escaped(value)}" for what, value in (*summary.sizes(), *summary.facts())]
    return lines or ["Not recorded."]


def _backbone(facts: CardFacts) -> list[str]:
    """The network, and the origin of its weights."""
    training = facts.manifest["training"]
    licence = facts.weights_licence or "not declared"
    lines = [f"- {name(facts.arch)}" + ("" if facts.size is None else f", images of {facts.size[0]}x{facts.size[1]}")]
    if training.get("weights") is None and "weights" in training:
        return [*lines, "- trained from random weights"]
    changed: Any = training.get("backbone_was_trained")
    known = {True: "fine-tuned on these data", False: "unchanged; only the head was trained"}
    how = known[changed] if isinstance(changed, bool) else "whether they were changed is not recorded"
    return [
        *lines,
        f"- pretrained weights, {how}",
        f"- licence of these weights, as timm declares it: {escaped(licence)}. The licence of the model, which also "
        f"depends on the data, is chosen by its owner: {escaped(facts.licence)}.",
    ]
