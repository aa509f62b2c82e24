"""The options of the commands that train and use a model, beside those of reading and training.

Importing this module loads no torch, so that ``--help`` is quick.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from eyebright import _defaults
from eyebright._choices import (
    Precision,
    PredictionFormat,
    Range,
    RuntimeName,
)
from eyebright.workflow.option import Option, check_options, with_options_in_docstring
from eyebright.workflow.shared_options import BATCH, DEVICE, MACHINE, TRAINING


@with_options_in_docstring
@dataclass(frozen=True)
class TrainCommandOptions:
    """The options of ``eyebright train`` other than those of reading and training."""

    source: Annotated[
        Path | None,
        Option("A file with labels (CSV, COCO, ...), or a folder of images.", positional=True),
    ] = None
    out: Annotated[Path | None, Option("The model folder to write.", writes=True)] = None
    options: Annotated[Path | None, Option("Repeat the run of this options.json; other options override it.")] = None
    resume: Annotated[bool, Option("Continue from the checkpoint in the model folder.", TRAINING)] = False
    devices: Annotated[
        int,
        Range(at_least=1),
        Option(
            "Processes of distributed training, a GPU or a share of the CPUs each. Results differ only by rounding and "
            "the random numbers of dropout, so options.json does not store it.",
            MACHINE,
        ),
    ] = 1
    quiet: Annotated[bool, Option("Show no progress, only results.", MACHINE)] = False

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class PredictOptions:
    """The options of ``eyebright predict``."""

    model: Annotated[Path, Option("The model folder, or hf-hub:OWNER/NAME for one on the hub.", positional=True)]
    images: Annotated[tuple[Path, ...], Option("Images, or folders of images.", positional=True)]
    out: Annotated[
        Path | None,
        Option(
            "File to write: a row per image with its labels and their probabilities, its points or its numbers. The "
            "rows are in FILE.part until all images are done, also after an interruption.",
            unset="printed",
            writes=True,
        ),
    ] = None
    format: Annotated[
        PredictionFormat | None,
        Option(
            "Format of the predictions; csv-safe is CSV in which names that a spreadsheet would run as formulas are "
            "escaped.",
            unset="json for a file that ends in .json, otherwise csv; without a file one line per image",
        ),
    ] = None
    heat_maps: Annotated[
        Path | None,
        Option(
            "Folder for heat maps of the regions that raise the output of each predicted label (Grad-CAM); each image "
            "takes several times as long. Not for points.",
            unset="none",
            writes=True,
        ),
    ] = None
    bs: Annotated[int, Range(at_least=1), BATCH] = _defaults.BATCH_SIZE
    device: Annotated[str | None, DEVICE] = None
    runtime: Annotated[
        RuntimeName,
        Option("Runtime that computes the predictions; auto chooses the faster one.", MACHINE),
    ] = "auto"
    precision: Annotated[Precision, Option("Precision of the model.", MACHINE)] = _defaults.PREDICTION_PRECISION
    fast_decode: Annotated[
        bool,
        Option(
            "Decode large JPEGs at a smaller scale: faster, but not exactly the pixels the model was evaluated with.",
            MACHINE,
        ),
    ] = False
    verbose: Annotated[bool, Option("Print which runtime computed the predictions and why.", MACHINE)] = False

    def __post_init__(self) -> None:
        check_options(self)
