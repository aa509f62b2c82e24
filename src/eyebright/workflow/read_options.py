"""`ReadOptions`: how a table of labels, or a folder, is read; see `eyebright.workflow.option`.

Importing this module loads no torch, so that ``--help`` is quick.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from eyebright._choices import (
    BlankMeaning,
    PointUnit,
    Range,
    UncertainMeaning,
)
from eyebright.workflow.option import Option, check_options, with_options_in_docstring
from eyebright.workflow.shared_options import DATA


@with_options_in_docstring
@dataclass(frozen=True)
class ReadOptions:
    """The options for reading a table of labels, or a folder."""

    images: Annotated[
        Path | None,
        Option("Folder that the file names of the images are relative to.", DATA, unset="the folder of the labels"),
    ] = None
    files: Annotated[str | None, Option("Column or key with the names of the images.", DATA, unset="detected")] = None
    labels: Annotated[
        tuple[str, ...],
        Option(
            "Column or key with the labels or the class, or columns with 0/1 labels, points or numbers (a,b,c).",
            DATA,
            unset="detected",
        ),
    ] = ()
    not_labels: Annotated[
        tuple[str, ...],
        Option("Columns or keys that look like targets but are not, such as sex,fold.", DATA, unset="detected"),
    ] = ()
    delimiter: Annotated[
        str | None, Option("Separator of labels; '' for one class per image.", DATA, unset="detected")
    ] = None
    pattern: Annotated[
        str | None,
        Option(
            r"Regular expression that finds the class in the names of images, such as '(.+)_\d+.jpg$': its first "
            "group, or the one named label, is the class; those named split and group give the part and the group.",
            DATA,
            unset="none",
        ),
    ] = None
    kind: Annotated[
        str | None,
        Option(
            "Form of the targets: labels, class, ratings (ordered classes), points or numbers.", DATA, unset="detected"
        ),
    ] = None
    mirror: Annotated[
        str | None,
        Option(
            "Points that exchange names in mirrored images: left_eye:right_eye,left_ear:right_ear; or none.",
            DATA,
            unset="detected by left and right in the names",
        ),
    ] = None
    unit: Annotated[
        PointUnit | None,
        Option("Unit of points.", DATA, unset="pixels"),
    ] = None
    format: Annotated[
        str | None,
        Option(
            "Format of the labels: table, folders, coco, ...; the error for an unknown one lists all.",
            DATA,
            unset="detected",
        ),
    ] = None
    blank: Annotated[
        BlankMeaning | None,
        Option(
            "Meaning of an empty cell of a 0/1 column.",
            DATA,
            unset="unknown if the column also has 0, else no",
        ),
    ] = None
    uncertain: Annotated[
        UncertainMeaning | None,
        Option(
            "Meaning of -1 in a 0/1 column.",
            DATA,
            unset="unknown if the column also has 0 and 1, else no",
        ),
    ] = None
    none_label: Annotated[
        str | None,
        Option("Label for images without labels, such as 'No Finding'; it is removed.", DATA, unset="none"),
    ] = None
    group: Annotated[
        str | None,
        Option(
            "Groups that a split does not divide: images with the same value in this column, or with the same number "
            "after this word in their paths (patient); none: no groups.",
            DATA,
            unset="detected by names such as patient, lesion and session",
        ),
    ] = None
    split: Annotated[
        str | None,
        Option(
            "Column with the parts (train, valid, test), or a table with a row for each image and its part; none: "
            "ignore the parts in the data.",
            DATA,
            unset="detected",
        ),
    ] = None
    valid_fold: Annotated[
        int | None,
        Range(at_least=0),
        Option(
            "Fold for validation, if `split` names a column or a table with numbered folds; the others are for "
            "training.",
            DATA,
            unset="none",
        ),
    ] = None
    valid: Annotated[
        Path | None,
        Option(
            "File with the labels of the validation images, if the source has those of the training images.",
            DATA,
            unset="valid.csv next to train.csv",
        ),
    ] = None
    test: Annotated[
        Path | None, Option("File with the labels for testing.", DATA, unset="test.csv next to train.csv")
    ] = None

    def __post_init__(self) -> None:
        check_options(self)
