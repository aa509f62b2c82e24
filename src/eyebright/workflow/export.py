"""Exports a saved model with the options of the command line."""

from pathlib import Path

from eyebright.errors import EyebrightError
from eyebright.export.export_onnx import export_onnx_files
from eyebright.export.export_openvino import export_openvino_files
from eyebright.export.export_torch import export_torch_file
from eyebright.export.exportable import Validation, validation_images
from eyebright.export.files import Exported
from eyebright.export.page import ExportedPage, export_page
from eyebright.export.record import RECORD, ExportRecord, check_export, decision_hash
from eyebright.inference.inspect_export import checked_page
from eyebright.inference.model_folder import load_manifest, manifest_content
from eyebright.io.files import get_image_files
from eyebright.sources.read import read_source
from eyebright.types import Say
from eyebright.workflow.command_options.folder import ExportOptions, ReportOptions
from eyebright.workflow.report import REPORT, report_model

_CHANGED = (
    "the model was changed while it was exported: what is exported has its former thresholds, calibration or labels; "
    "export it again"
)


def export_model(options: ExportOptions, *, say: Say = lambda _: None) -> ExportRecord | ExportedPage:
    """Exports a saved model, or checks an export; returns the content of ``export.json``, or the written page.

    Args:
        options: the model folder, and what to export.
        say: called with each sentence about the steps and results.

    Raises:
        ArtifactError: the folder contains no model or a damaged one, torch cannot export it, the predictions of the
            export differ from Python's, or a file cannot be written; existing files are unchanged.
        InputError: the model cannot be exported, or requested images do not exist.
        MissingExtraError: the packages of ``eyebright[onnx]`` or ``eyebright[openvino]`` are not installed.
    """
    folder = options.model if options.out is None else options.out
    if options.check:
        record = check_export(folder, options.model)
        say(f"all {len(record.files)} files of the export in '{folder}' are unchanged")
        return record
    validation = validation_images(options.model, images=options.images, most=options.compared)
    if options.to == "page":
        page = export_page(options.model, out=options.out, validation=validation, say=say)
        if checked_page(page.path, manifest_content(options.model))[0] == "problem":
            say(_CHANGED)
        for sentence in page.sentences:
            say(sentence)
        say(f"{page.path}: {page.bytes / 1e6:.3g} MB; open it in a browser")
        return page
    exported = _exported(options, validation, say)
    if exported.record.content["model"]["decision"] != decision_hash(load_manifest(options.model)):
        say(_CHANGED)
    for sentence in exported.sentences:
        say(sentence)
    for name, facts in exported.record.files.items():
        say(f"{exported.folder / name}: {facts['bytes'] / 1e6:.3g} MB")
    if exported.folder.resolve() == options.model.resolve():
        _report_again(options, say, has_images=bool(validation.paths))
    elif (options.model / REPORT).is_file():
        say(
            f"the comparison is in '{exported.folder / RECORD}'; the model's report shows only exports in its own "
            f"folder"
        )
    return exported.record


def _exported(options: ExportOptions, validation: Validation, say: Say) -> Exported:
    """The record of the export to graphs or a program."""
    if options.to == "openvino":
        return export_openvino_files(options.model, out=options.out, validation=validation, say=say)
    if options.to == "torch-export":
        return export_torch_file(options.model, out=options.out, validation=validation, say=say)
    return export_onnx_files(
        options.model,
        out=options.out,
        validation=validation,
        precision=options.precision,
        calibrate_on=_image_paths(options.calibrate_on),
        say=say,
    )


def _report_again(options: ExportOptions, say: Say, *, has_images: bool) -> None:
    """Adds the comparison to the report of the model, if there is one and its images are found for the thumbnails.

    The export is complete, so an error of the report is only a message.
    """
    if not (options.model / REPORT).is_file():
        return
    if not has_images:
        say(
            "the comparison is not in the report yet: the validation images were not found; `eyebright report` with "
            "`images` adds it"
        )
        return
    try:
        report_model(ReportOptions(options.model, images=options.images), say=say)
        say(f"the comparison is in the report, {options.model / REPORT}")
    except EyebrightError as error:
        say(f"the comparison is not in the report: {error}")


def _image_paths(source: Path | None) -> list[str | Path]:
    """The images in a folder, or those that a label file names; empty without a source."""
    if source is None:
        return []
    return list(get_image_files(source)) if source.is_dir() else [row.path for row in read_source(source)]
