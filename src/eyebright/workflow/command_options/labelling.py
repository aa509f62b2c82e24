"""The options of the commands that find labels to correct and images to label, and of the review.

Importing this module loads no torch, so that ``--help`` is quick.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from eyebright._choices import (
    Range,
)
from eyebright.errors import InputError
from eyebright.inference.folder_format import MANIFEST
from eyebright.workflow.option import Option, check_options, with_options_in_docstring
from eyebright.workflow.shared_options import DEVICE, MAX_SEED, MODEL

_KINDS_WITH_FIXED_NAMES = ("points", "numbers")  # no names can be added in the page


@with_options_in_docstring
@dataclass(frozen=True)
class SuspectOptions:
    """The options of ``eyebright suspects``."""

    model: Annotated[Path, MODEL]
    limit: Annotated[int, Range(at_least=0), Option("Number of suspects to print, the most suspicious first.")] = 20
    out: Annotated[Path | None, Option("CSV file to write all suspects to.", unset="none", writes=True)] = None
    json: Annotated[Path | None, Option("JSON file to write all suspects to.", unset="none", writes=True)] = None

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class SuggestOptions:
    """The options of ``eyebright suggest``."""

    model: Annotated[Path, MODEL]
    images: Annotated[tuple[Path, ...], Option("Images without labels, or folders of images.", positional=True)]
    count: Annotated[int, Range(at_least=1), Option("Number of images to suggest.")] = 100
    out: Annotated[
        Path | None,
        Option("CSV file to write the suggestions to, with the proposed labels.", unset="printed", writes=True),
    ] = None
    json: Annotated[Path | None, Option("JSON file to write the suggestions to.", unset="none", writes=True)] = None
    cache: Annotated[
        Path | None, Option("Cache folder for the features of each image; training can share it.", unset="none")
    ] = None
    device: Annotated[str | None, DEVICE] = None
    seed: Annotated[int, Range(at_least=0, at_most=MAX_SEED), Option("Seed of the order.")] = 0

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class ReviewOptions:
    """The options of ``eyebright review``."""

    source: Annotated[
        Path, Option("The model folder, or a folder of unlabelled images.", metavar="MODEL", positional=True)
    ]
    new: Annotated[Path | None, Option("Folder of new images without labels.", metavar="IMAGES", positional=True)] = (
        None
    )
    out: Annotated[
        Path | None,
        Option(
            "File to write the new table to by *save*; it must not exist, unless this review wrote it.",
            unset="the name of the label file with -v2, or labels.csv, in the working folder",
            writes=True,
        ),
    ] = None
    labels: Annotated[
        tuple[str, ...],
        Option("Names of the labels (a,b,c), for a folder of images without a model.", unset="entered in the page"),
    ] = ()
    kind: Annotated[
        Literal["labels", "class", "points", "numbers"],
        Option("Kind of target, for a folder without a model."),
    ] = "labels"
    images: Annotated[Path | None, Option("Folder of the model's own images.", unset="the folder at training")] = None
    journal: Annotated[
        Path | None,
        Option(
            "Folder of the journal of all changes and of the thumbnails; the next review continues there.",
            unset="next to the model folder or the images, with the suffix -review",
        ),
    ] = None
    who: Annotated[str | None, Option("Name of the person, for the log.", unset="the login name")] = None
    port: Annotated[
        int | None,
        Range(at_least=1024, at_most=65535),
        Option("Port of the page.", unset="the last one, or a free one"),
    ] = None
    browser: Annotated[bool, Option("Open a browser.")] = True
    device: Annotated[str | None, DEVICE] = None

    def __post_init__(self) -> None:
        check_options(self)
        if self.kind in _KINDS_WITH_FIXED_NAMES and self.labels == () and not is_model_folder(self.source):
            raise InputError(f"the names of the {self.kind} are missing; give `labels`, such as a,b,c")


def is_model_folder(path: Path) -> bool:
    """Whether a folder contains a model, by its manifest."""
    return (path / MANIFEST).exists()
