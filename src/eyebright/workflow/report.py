"""Writes the report of a saved model from its folder, without running the model; images are read for thumbnails only.

`train_model` calls the same function, so a report that is written again is identical, byte for byte.
"""

from dataclasses import replace
from pathlib import Path

from eyebright.errors import InputError
from eyebright.inference.model_folder import load_manifest_and_evaluations, part_of
from eyebright.report.build import build_report
from eyebright.report.data import ReportData, ReportFacts
from eyebright.train.observers.history import read_history
from eyebright.web.page import write_page

REPORT = "report.html"
HISTORY = "history.csv"


def make_report(
    folder: str | Path,
    *,
    images: str | Path | None = None,
    out: str | Path | None = None,
    normalize_by: tuple[str, str] | None = None,
) -> ReportData:
    """Writes the report; returns its content: the scores, and notices about what is missing from it.

    Args:
        folder: the model folder; it must contain ``evaluation.parquet``.
        images: the folder of the evaluated images; None for where they were at evaluation.
        out: the HTML file to write; None for ``report.html`` in the folder.
        normalize_by: two points whose distance normalises the errors of points; None for those of the training run.

    Raises:
        ArtifactError: the model or its evaluation is missing or damaged, or the file cannot be written.
        InputError: ``images`` is not a folder, or ``normalize_by`` does not name two points of the model.
    """
    folder = Path(folder)
    manifest, evaluations = load_manifest_and_evaluations(folder)
    if images is not None:
        if not Path(images).is_dir():
            raise InputError(f"there is no folder of images '{images}'")
        evaluations |= {part: replace(one, root=Path(images)) for part, one in evaluations.items()}
    evaluation = part_of(evaluations, "valid", folder)
    facts = replace(
        ReportFacts.from_json({"title": manifest.model.arch, **manifest.report}),
        history=read_history(folder / HISTORY),
        versions=tuple(manifest.versions.items()),
        created=manifest.created,
    )
    facts = facts if normalize_by is None else replace(facts, normalize_by=normalize_by)
    data = build_report(evaluation, facts, test=evaluations.get("test"))
    write_page(data, folder / REPORT if out is None else out)
    return data
