"""The options of the commands that read, describe, upload and export a model folder.

Importing this module loads no torch, so that ``--help`` is quick.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from eyebright import _defaults
from eyebright._choices import (
    ExportPrecision,
    ExportTarget,
    Range,
)
from eyebright.errors import InputError
from eyebright.workflow.option import Option, check_options, with_options_in_docstring
from eyebright.workflow.shared_options import MODEL, point_pair


@with_options_in_docstring
@dataclass(frozen=True)
class ReportOptions:
    """The options of ``eyebright report``."""

    model: Annotated[Path, MODEL]
    images: Annotated[
        Path | None,
        Option("Folder of the validation images, for their thumbnails.", unset="the folder at training"),
    ] = None
    out: Annotated[Path | None, Option("HTML file to write.", unset="report.html in the model folder", writes=True)] = (
        None
    )
    normalize_by: Annotated[
        tuple[str, str] | None,
        Option(
            "Two points; the errors of points are divided by their distance in each image.",
            convert=point_pair,
            metavar="POINT,POINT",
            unset="as at training",
        ),
    ] = None

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class InspectOptions:
    """The options of ``eyebright inspect``."""

    model: Annotated[Path, MODEL]
    json: Annotated[bool, Option("Print everything as JSON.")] = False

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class PushOptions:
    """The options of ``eyebright push``."""

    model: Annotated[Path, MODEL]
    repository: Annotated[str, Option("OWNER/NAME on the Hugging Face hub, or OWNER/NAME@BRANCH.", positional=True)]
    private: Annotated[bool, Option("Make a new repository private; an existing one keeps its visibility.")] = False
    with_evaluation: Annotated[
        bool,
        Option(
            "Also upload the evaluations and the report: they contain names of files, other columns of the data, and "
            "thumbnails."
        ),
    ] = False
    licence: Annotated[
        str | None, Option("Licence of the model, such as apache-2.0.", unset="the licence in the model card")
    ] = None

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class MigrateOptions:
    """The options of ``eyebright migrate``."""

    model: Annotated[Path, MODEL]
    out: Annotated[
        Path | None, Option("Folder to write, new or empty.", unset="the model is replaced in place", writes=True)
    ] = None

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class ExportOptions:
    """The options of ``eyebright export``."""

    model: Annotated[Path, MODEL]
    to: Annotated[
        ExportTarget,
        Option(
            "Format to write: onnx is a graph from an image's pixels to answers, openvino the same for OpenVINO, "
            "torch-export a program that loads with torch only, page one HTML file that predicts in a browser without "
            "a network.",
        ),
    ] = "onnx"
    out: Annotated[Path | None, Option("The folder to write.", unset="the model folder", writes=True)] = None
    images: Annotated[
        Path | None, Option("Folder of the validation images, for the comparison.", unset="the folder at evaluation")
    ] = None
    compared: Annotated[
        int,
        Range(at_least=0),
        Option("Maximum number of validation images to compare with Python."),
    ] = _defaults.EXPORT_IMAGES
    precision: Annotated[
        ExportPrecision,
        Option(
            "float16 and int8 also write model_float16.onnx or model_int8.onnx, whose answers differ; the cost in "
            "accuracy is measured. For onnx.",
        ),
    ] = _defaults.EXPORT_PRECISION
    calibrate_on: Annotated[
        Path | None,
        Option(
            "Images whose activations give the ranges of int8: a folder, or a file with labels.",
            metavar="SOURCE",
            unset=f"{_defaults.CALIBRATION_IMAGES} training images, whose names the folder has",
        ),
    ] = None
    check: Annotated[bool, Option("Write nothing; check that the existing export is complete and from this model.")] = (
        False
    )

    def __post_init__(self) -> None:
        check_options(self)
        if self.calibrate_on is not None and self.precision != "int8":
            raise InputError("`calibrate_on` is for `precision` int8; leave it out, or give that")
        if self.to == "page" and self.precision != "float32":
            raise InputError(f"a page has a float32 graph, so `precision` cannot be {self.precision}; leave it out")
        if self.to in ("openvino", "torch-export") and self.precision != "float32":
            raise InputError(f"`precision` {self.precision} is for `to` onnx, not for {self.to}; leave it out")
        if self.to == "page" and self.check:
            raise InputError("`check` is for files of `to` onnx: a page has no hash of its own; export it again")
