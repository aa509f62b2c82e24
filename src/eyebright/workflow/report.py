"""The report of a saved model, made from its folder alone: no model runs, and the images serve as thumbnails only.

`train_model` ends with this same function, so a report that is made again is the same page, byte for byte.
"""

from dataclasses import replace
from pathlib import Path

from eyebright.errors import InputError
from eyebright.inference.manifest import load_evaluation, load_manifest
from eyebright.report.build import build_report
from eyebright.report.data import ReportData, ReportFacts
from eyebright.report.html import write_report
from eyebright.train.observers.history import read_history

REPORT = "report.html"
HISTORY = "history.csv"


def make_report(
    folder: str | Path,
    *,
    images: str | Path | None = None,
    out: str | Path | None = None,
    normalize_by: tuple[str, str] | None = None,
) -> ReportData:
    """The report that was written, as values: its scores, and notices on what is missing from it.

    Args:
        folder: a model folder with ``evaluation.parquet``.
        images: the folder of the evaluated images; None: where they were at evaluation.
        out: the HTML file to write; None: ``report.html`` in the folder.
        normalize_by: two points whose distance normalises the errors of points; None: as at training.

    Raises:
        ArtifactError: there is no model or no evaluation, one of them is damaged, or the file cannot be written.
        InputError: ``images`` is not a folder, or ``normalize_by`` are not two points of the model.
        MissingExtraError: the packages of ``eyebright[report]`` are not installed.
    """
    folder = Path(folder)
    manifest, evaluation = load_manifest(folder), load_evaluation(folder)
    if images is not None:
        if not Path(images).is_dir():
            raise InputError(f"there is no folder of images '{images}'")
        evaluation = replace(evaluation, root=Path(images))
    facts = replace(
        ReportFacts.from_json({"title": manifest.model.arch, **manifest.report}),
        history=read_history(folder / HISTORY),
        versions=tuple(manifest.versions.items()),
        created=manifest.created,
    )
    facts = facts if normalize_by is None else replace(facts, normalize_by=normalize_by)
    data = build_report(evaluation, facts)
    write_report(data, folder / REPORT if out is None else out)
    return data
