"""``report.json``: the numbers of the page for programs, from the same values; its schema is in the documentation."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from eyebright._version import __version__
from eyebright.io.files import check_replaceable
from eyebright.io.text import valid_unicode
from eyebright.report.data import MetricRow, ReportData
from eyebright.web.blocks import Cell, Charts, Collapsed, Gallery, Pairs, Section, Sentences, Table
from eyebright.web.text import NO_VALUE

SCHEMA = "eyebright-report-1"
_SCHEMAS = "eyebright-report-"  # of all versions
_MAX_BYTES = 64 * 2**20  # of a report with many images and labels
_BEGINNING = f'{{\n "schema": "{_SCHEMAS}'


def check_numbers_file(path: Path, *, remedy: str) -> None:
    """Raises `InputError` if an existing file holds no numbers of a report, in whatever order its keys are.

    Args:
        path: the file to write; it need not exist.
        remedy: what to do, for the message.
    """
    if not _states_schema(path):  # a report that is cut off is no JSON, but has our beginning
        check_replaceable(path, [_BEGINNING], "numbers of a report", remedy=remedy)


def report_json(data: ReportData, *, manifest: str | None = None) -> str:
    """The report as JSON, the same text for the same report; NaN and infinite numbers are null.

    Args:
        data: the report.
        manifest: `eyebright.inference.inspect_report.reported_hash` of the manifest that it is of; None if unknown.
    """
    content = plain({**_content(data), "manifest": manifest})
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _states_schema(path: Path) -> bool:
    """Whether a file is a JSON object whose schema is one of ours."""
    try:
        if not path.is_file() or path.stat().st_size > _MAX_BYTES:
            return False
        content: Any = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(content, dict) and str(cast("dict[str, Any]", content).get("schema")).startswith(_SCHEMAS)


def plain(value: Any) -> Any:
    """The value as JSON values: NaN is None, characters that are not valid Unicode are escapes."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, str):
        return valid_unicode(value)
    if isinstance(value, Mapping):
        return {valid_unicode(str(key)): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, Sequence) else value


def _content(data: ReportData) -> dict[str, Any]:
    part, images = data.evaluated
    facts = data.facts
    return {
        "schema": SCHEMA,
        "eyebright": __version__,
        "title": data.title,
        "summary": data.summary,
        "kind": data.kind,
        "part": part,
        "images": images,
        "created": facts.created,
        "overview": {
            "can": data.verdict.can,
            "cannot": data.verdict.cannot,
            "changes": [recommendation.to_json() for recommendation in data.verdict.recommendations],
        },
        "metrics": [metric_json(row) for row in data.metric_rows],
        "test_metrics": [metric_json(row) for row in data.test_rows],
        data.kind: data.output_rows,
        "asking": facts.tuning.get("asking"),
        "weak_segments": data.weak_segments,
        "exports": [graph.to_json() for graph in facts.exports],
        "notices": data.leaks,
        "split": None if facts.split_summary is None else facts.split_summary.to_json(),
        "sections": [_section(section) for section in data.sections],
        "history": facts.history,
        "settings": dict(facts.settings),
        "versions": dict(facts.versions),
    }


def metric_json(row: MetricRow) -> dict[str, Any]:
    """One metric."""
    return {
        "name": row.name,
        "value": row.value,
        "interval": row.interval,
        "baseline": row.baseline,
        "expected": row.expected,
        "images": row.images,
        "known": row.cells,
        "unit": row.unit,
        "higher_is_better": row.higher_is_better,
        "note": row.note,
    }


def _section(section: Section) -> dict[str, Any]:
    blocks = [_block(block) for block in section.blocks]
    return {"title": section.title, "anchor": section.anchor, "intro": section.intro, "blocks": blocks}


def _block(block: Any) -> dict[str, Any]:
    content: dict[str, Any] = {"kind": block.kind}
    if isinstance(block, Table):
        rows = [[_cell(cell) for cell in row] for row in block.rows]
        content |= {"caption": block.caption, "columns": block.columns, "rows": rows}
    elif isinstance(block, Charts):
        captions = [chart.caption for chart in block.charts]
        content["charts"] = [
            {"title": caption.title, "text": caption.alt_text, "note": caption.note} for caption in captions
        ]
    elif isinstance(block, Gallery):
        content["images"] = [
            {"file": card.path, "text": card.alt_text, "note": card.note, "tags": [tag.text for tag in card.tags]}
            for card in block.cards
        ]
    elif isinstance(block, Pairs):
        content |= {"title": block.title, "pairs": block.pairs}
    elif isinstance(block, Collapsed):
        content |= {"title": block.title, "blocks": [_block(part) for part in block.blocks]}
    elif isinstance(block, Sentences):
        content["sentences"] = block.sentences
    return content


def _cell(cell: Cell) -> float | str | None:
    """The number of a cell, or its text; None for a dash."""
    if cell.value is not None:
        return int(cell.value) if math.isfinite(cell.value) and cell.value == int(cell.value) else cell.value
    return None if cell.text == NO_VALUE else cell.text
