"""The options of the commands that check, split and convert labelled images, beside those of reading.

Importing this module loads no torch, so that ``--help`` is quick.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from eyebright import _defaults
from eyebright._choices import (
    Range,
    WriteFormat,
)
from eyebright.workflow.option import Option, check_options, with_options_in_docstring
from eyebright.workflow.shared_options import FACTS_CACHE, MAX_SEED, SOURCE


@with_options_in_docstring
@dataclass(frozen=True)
class CheckOptions:
    """The options of ``eyebright check`` other than those of reading."""

    source: Annotated[Path, SOURCE]
    json: Annotated[Path | None, Option("JSON file to write the results to.", unset="none", writes=True)] = None
    page: Annotated[
        Path | None, Option("HTML page to write the findings to, one file with thumbnails.", unset="none", writes=True)
    ] = None
    pixels: Annotated[bool, Option("Read the images; without it, only the labels are checked.")] = True
    cache: Annotated[Path | None, FACTS_CACHE] = None
    strict: Annotated[bool, Option("Exit code 1 if there is an error or a warning.")] = False

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class SplitOptions:
    """The options of ``eyebright split`` other than those of reading."""

    source: Annotated[Path, SOURCE]
    out: Annotated[
        Path | None,
        Option(
            "CSV file to write: a row per image with its part, group and reason.",
            metavar="FILE",
            unset="none",
            writes=True,
        ),
    ] = None
    valid_pct: Annotated[
        float | None,
        Range(at_least=0, at_most=0.9),
        Option("Share of the images for validation.", unset=f"{_defaults.VALID_PCT}; no folds"),
    ] = None
    test_pct: Annotated[
        float | None,
        Range(at_least=0, at_most=0.9),
        Option(
            "Share of the images for testing: neither epochs nor thresholds are chosen by them.",
            unset=f"{_defaults.TEST_PCT}; 0 with `folds`, or if the data have images for testing",
        ),
    ] = None
    promise_pct: Annotated[
        float | None,
        Range(at_least=0, at_most=0.9),
        Option(
            "Share of the images for promises, which `eyebright tune` computes from them.",
            unset=f"{_defaults.PROMISE_PCT} for at least {_defaults.PROMISE_FROM:,} images, else 0; 0 with `folds`",
        ),
    ] = None
    folds: Annotated[
        int | None, Range(at_least=2), Option("Folds of equal size instead of training and validation.", unset="none")
    ] = None
    time: Annotated[
        str | None,
        Option(
            "Column with dates or numbers: the oldest images are for training, the newest for testing; a group has "
            "the time of its newest image.",
            unset="at random",
        ),
    ] = None
    seed: Annotated[int, Range(at_least=0, at_most=MAX_SEED), Option("Seed of the split.")] = 0
    pixels: Annotated[
        bool, Option("Read the images, to keep near-duplicates in one part; without it, only groups are kept whole.")
    ] = True
    cache: Annotated[Path | None, FACTS_CACHE] = None

    def __post_init__(self) -> None:
        check_options(self)


@with_options_in_docstring
@dataclass(frozen=True)
class ConvertOptions:
    """The options of ``eyebright convert`` other than those of reading."""

    source: Annotated[Path, SOURCE]
    out: Annotated[Path, Option("File or folder to write; it must not exist.", writes=True)]
    to: Annotated[WriteFormat, Option("Format to write.")] = "csv"

    def __post_init__(self) -> None:
        check_options(self)
