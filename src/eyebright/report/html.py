"""A report written as one HTML file: it needs no network, no other file and no server.

All markup is in ``page.html``, which escapes every value, because names of labels and files are not trusted. The
content security policy of the page forbids loading anything and running any script but its own, given by its hash.
"""

import base64
import hashlib
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError, os_reason
from eyebright.io.atomic import write_atomically
from eyebright.io.files import check_replaceable
from eyebright.report.data import ReportData


def write_report(data: ReportData, path: str | Path) -> Path:
    """Writes the report, completely or not at all; returns its path.

    Args:
        data: the content of the page.
        path: path of the HTML file; its folder is created if missing.

    Raises:
        ArtifactError: the file cannot be written.
        InputError: the file exists and is no HTML page.
    """
    path = Path(path)
    check_replaceable(path, ["<!doctype html"], "report")
    page = render_report(data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: file.write_text(page, encoding="utf-8", errors="backslashreplace"))
    except OSError as error:
        raise ArtifactError(f"cannot write the report '{path}': {os_reason(error)}") from error
    return path


def render_report(data: ReportData) -> str:
    """The report as the text of one HTML page."""
    script, style = _packaged("page.js"), _packaged("page.css")
    return (
        _environment()
        .get_template("page.html")
        .render(
            page=data,
            any_drawn=any(row.is_share for row in data.metric_rows),
            any_baseline=any(row.baseline is not None for row in data.metric_rows),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            style=style,
            version=metadata.version("eyebright"),
        )
    )


def _environment() -> Any:
    import jinja2  # not before a page is written: it takes 30 ms

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_packaged),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _packaged(name: str) -> str:
    return (resources.files("eyebright.web") / name).read_text(encoding="utf-8")
