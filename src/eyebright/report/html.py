"""A report written as one HTML file: it needs no network, no other file and no server.

All markup is in ``page.html``, which escapes every value: names of labels and files come from strangers. The page also
forbids itself to load anything and to run any script but its own (a content security policy with the script's hash).
"""

import base64
import hashlib
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from eyebright._optional import import_optional
from eyebright.errors import ArtifactError, DataError
from eyebright.io.atomic import write_atomically
from eyebright.report.data import ReportData
from eyebright.report.history import history_section
from eyebright.web.blocks import Cell, Pairs, Section, Sentences, Table
from eyebright.web.text import count_text


def write_report(data: ReportData, path: str | Path) -> Path:
    """The path of the report, written completely or not at all.

    Args:
        data: what it shows.
        path: of the HTML file; its folder is made when it is not there.

    Raises:
        ArtifactError: the file cannot be written.
        DataError: there is not one path for each image, or no image.
        MissingExtraError: the packages of ``eyebright[report]`` are not installed.
    """
    path = Path(path)
    page = render_report(data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, lambda file: file.write_text(page, encoding="utf-8", errors="backslashreplace"))
    except OSError as error:
        raise ArtifactError(f"cannot write the report '{path}': {error.strerror or error}") from error
    return path


def render_report(data: ReportData) -> str:
    """The report as the text of one HTML page.

    Raises:
        DataError: there is not one path for each image, or no image.
        MissingExtraError: the packages of ``eyebright[report]`` are not installed.
    """
    if len(data.answers) == 0:
        raise DataError("a report needs at least one image")
    if len(data.paths) != len(data.answers):
        raise DataError(f"a report of {len(data.answers)} images needs as many paths, got {len(data.paths)}")
    script, style = _packaged("page.js"), _packaged("page.css")
    sections = [
        *data.answers.sections([str(path) for path in data.paths]),
        *history_section(data.history),
        *_origin(data),
    ]
    return (
        _environment()
        .get_template("page.html")
        .render(
            title=data.title,
            summary=data.answers.summary(),
            scores=data.scores,
            any_drawn=any(score.share for score in data.scores),
            any_baseline=any(score.baseline is not None for score in data.scores),
            sections=sections,
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            style=style,
            version=metadata.version("eyebright"),
        )
    )


def _origin(data: ReportData) -> list[Section]:
    """Where the images came from, and how the training was set."""
    read: list[Any] = [Sentences(data.said)] if data.said else []
    read += [Pairs(data.split)] if data.split else []
    if data.skipped:
        rows = [[Cell(path), Cell(reason)] for path, reason in data.skipped]
        read.append(Table(f"Left out: {count_text(len(rows), 'image')}", ("image", "reason"), rows))
    set_up = [
        Pairs(pairs, title=name) for name, pairs in (("Settings", data.settings), ("Versions", data.versions)) if pairs
    ]
    sections = [Section("How the data was read", "data", read), Section("How it was trained", "settings", set_up)]
    return [section for section in sections if section.blocks]


def _environment() -> Any:
    jinja2 = import_optional("jinja2", extra="report", purpose="writing a report")
    return jinja2.Environment(
        loader=jinja2.FunctionLoader(_packaged),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _packaged(name: str) -> str:
    return (resources.files("eyebright.web") / name).read_text(encoding="utf-8")
