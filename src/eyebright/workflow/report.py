"""Writes the report of a saved model from its folder, without running the model; images are read only for thumbnails.

`train_model` calls the same function, so a report that is written again is identical, byte for byte. The model card is
written with the report, since it repeats the scores.
"""

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from eyebright.errors import ArtifactError, DataError, InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.exported_graphs import ExportedGraph, exported_graphs
from eyebright.export.record import RECORD, check_export
from eyebright.inference.change_manifest import locked_folder
from eyebright.inference.folder_format import OFFLINE_PAGE, OUT_OF_FOLD
from eyebright.inference.inspect_export import checked_page
from eyebright.inference.inspect_report import reported_hash
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_evaluation, load_manifest_and_evaluations, manifest_content, part_of
from eyebright.io.atomic import write_text
from eyebright.io.files import CHOOSE_ANOTHER
from eyebright.report.build import build_report
from eyebright.report.data import ReportData, ReportFacts
from eyebright.report.report_json import check_numbers_file, report_json
from eyebright.train.observers.history import read_history
from eyebright.types import Say
from eyebright.web.page import check_page_file, write_page
from eyebright.workflow.card import CARD, write_card
from eyebright.workflow.command_options.folder import ReportOptions
from eyebright.workflow.setting_words import saved_settings_in_words

REPORT = "report.html"
HISTORY = "history.csv"
NUMBERS = "report.json"
DESCRIPTIONS = (REPORT, NUMBERS, CARD)
"""The files of a model folder for people, which are generated from its manifest and its evaluations."""


def report_model(options: ReportOptions, *, say: Say = lambda _: None) -> ReportData:
    """Writes the report of a saved model, while no other process changes the model; returns its content.

    Args:
        options: the model folder, and where the report goes; one elsewhere needs no permission to write in the folder.
        say: as in `make_report`.

    Raises:
        ArtifactError: as in `make_report`; or another process trains or tunes the model, so that its report would be of
            thresholds that it has no longer.
        InputError: as in `make_report`.
    """
    with locked_folder(options.model) if options.out is None else nullcontext():
        return make_report(
            options.model, images=options.images, out=options.out, normalize_by=options.normalize_by, say=say
        )


def make_report(
    folder: str | Path,
    *,
    images: str | Path | None = None,
    out: str | Path | None = None,
    normalize_by: tuple[str, str] | None = None,
    check_images: bool = True,
    say: Say = lambda _: None,
) -> ReportData:
    """Writes the report, its numbers as JSON, and the model card; returns the content of the report.

    The card, ``README.md`` in the model folder, is only written with a report in that folder, and only if the existing
    card was not edited.

    Args:
        folder: the model folder; it must contain ``evaluation.parquet``.
        images: the folder of the evaluated images; None: the folder at evaluation.
        out: the HTML file to write; None for ``report.html`` in the folder. The JSON file has the same name, with
            ``.json``.
        normalize_by: two points whose distance normalises the errors of points; None: those of the training run.
        check_images: as in `build_report`.
        say: called with a sentence if the card was edited and is kept, and if the folder has an export that does not
            match the model, which is not shown.

    Raises:
        ArtifactError: the model or its evaluation is missing or damaged, or the file cannot be written.
        InputError: ``images`` is not a folder, ``normalize_by`` does not name two points of the model, or a file to
            write exists and has other content.
    """
    folder = Path(folder)
    content = manifest_content(folder)
    manifest, evaluations = load_manifest_and_evaluations(folder)
    if images is not None:
        if not Path(images).is_dir():
            raise InputError(f"there is no folder of images '{images}'")
        evaluations["valid"] = replace(part_of(evaluations, "valid", folder), root=Path(images))
    evaluation = part_of(evaluations, "valid", folder)
    out_of_fold = _out_of_fold(folder, manifest, images)
    saved = ReportFacts.from_json({"title": manifest.model.arch, **manifest.report})
    facts = replace(
        saved,
        settings=saved_settings_in_words(saved.settings),
        tuning=manifest.tuning,
        history=read_history(folder / HISTORY),
        versions=tuple(manifest.versions.items()),
        created=manifest.created,
        exports=_exports(folder, say),
    )
    _say_of_page(folder, content, say)
    facts = facts if normalize_by is None else replace(facts, normalize_by=normalize_by)
    data = build_report(
        evaluation, facts, test=evaluations.get("test"), out_of_fold=out_of_fold, check_images=check_images
    )
    page = folder / REPORT if out is None else Path(out)
    numbers = _beside(page)
    is_elsewhere = out is not None
    remedy = CHOOSE_ANOTHER if is_elsewhere else "rename or remove it: in a model folder the report has this name"
    check_page_file(page, remedy=remedy)
    check_numbers_file(numbers, remedy=remedy)
    write_page(data, page, follow_link=is_elsewhere)
    if not is_elsewhere:
        write_card(folder, manifest, data, say=say)
    # The numbers come last: where they are of this manifest, so is the rest (`eyebright.inference.inspect_report`).
    text = report_json(data, manifest=reported_hash(content))
    write_text(numbers, text, "numbers of the report", follow_link=is_elsewhere)
    return data


def _out_of_fold(folder: Path, manifest: Manifest, images: str | Path | None) -> Evaluation | None:
    """The out-of-fold predictions; None if there are none, or if the file was removed."""
    if manifest.out_of_fold_hash is None or not (folder / OUT_OF_FOLD).exists():
        return None
    found = load_evaluation(folder, part="out_of_fold")
    return found if images is None else replace(found, root=Path(images))


def _say_of_page(folder: Path, content: Mapping[str, Any], say: Say) -> None:
    """Reports an offline page in the folder that answers otherwise than the model."""
    try:
        check, note = checked_page(folder / OFFLINE_PAGE, content)
    except OSError:
        return  # there is none, or it cannot be read
    if check == "problem":
        say(f"{OFFLINE_PAGE} {note}")


def _exports(folder: Path, say: Say) -> list[ExportedGraph]:
    """The graphs of the export in the folder; empty if one of its files, or the model, was changed since."""
    if not (folder / RECORD).exists():
        return []
    try:
        return exported_graphs(check_export(folder).files)
    except (ArtifactError, DataError) as error:
        say(f"the export in the folder is not shown in the report: {error}")
        return []


def _beside(page: Path) -> Path:
    """The path of the JSON file for an HTML file."""
    if page.suffix.lower() == ".json":
        raise InputError(
            f"`out` is the HTML file of the report, got '{page}'; its numbers go to the .json file of the same name"
        )
    return page.with_suffix(".json")
