"""Detects the roles of the columns of a label file: image files, split, groups; the others may hold targets."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence

from eyebright.errors import did_you_mean, listing
from eyebright.sources.cells import is_unknown
from eyebright.sources.dialect import looks_like_image
from eyebright.sources.parts import REQUIRED_COLUMNS
from eyebright.sources.text_table import TextTable

FILE_NAMES = (
    "file",
    "files",
    "filename",
    "file_name",
    "fname",
    "image",
    "images",
    "image_path",
    "image_file",
    "image_name",
    "img",
    "img_path",
    "img_name",
    "filepath",
    "file_path",
    "path",
    "picture",
    "photo",
    "image_id",
)
"""Names of columns with the files of the images; the earlier ones are preferred."""

_GROUPS = (
    *("group", "group_id", "patient", "patient_id", "patient_name", "patient_number", "patient_no", "subject"),
    *("subject_id", "participant", "participant_id", "person_id", "animal_id", "case_id", "lesion", "lesion_id"),
    *("specimen_id", "slide_id", "study_id", "study_instance_uid", "series_id", "series_instance_uid", "exam_id"),
    *("session", "session_id", "video_id", "video_name", "clip_id", "sequence_id", "seq_id", "burst_id"),
    *("source_image", "source_image_id", "original_image", "original_image_id", "parent_image"),
)
GROUP_NAMES = tuple(dict.fromkeys(each for name in _GROUPS for each in (name, name.replace("_", ""))))
"""Names of columns with a group for each image; a split keeps the images of a group together."""

PROPERTY_NAMES = (
    *("sex", "gender", "annotator", "annotator_id", "annotated_by", "rater", "reader", "reviewer", "worker", "user"),
    *("user_id", "site", "center", "centre", "batch", "version", "row", "order", "reviewed", "verified", "is_verified"),
    *("fold", "folds", "kfold", "k_fold", "cv_fold", "fold_id", "is_train", "is_training", "is_test", "is_testing"),
)
"""Names of columns with a property of the image that is not a label; they are targets if no other column may be."""

_FILE_NAMES_AT_LAST = ("name", "id")  # used only if no other column can hold file names
_N_SAMPLED_CELLS = 20  # cells of a column whose images are searched
_ROW_NUMBERS = ("unnamed:_0", "index", "id")  # such columns number the rows; pandas writes the first


def find_file_column(table: TextTable, requested: str | None, is_image: Callable[[str], bool] | None = None) -> str:
    """The column with the files of the images.

    Args:
        table: the label file.
        requested: the column that the user names; None: detected by its name, or by its cells.
        is_image: True for a name of an existing image; used if no column has a usual name or content.

    Raises:
        TableError: there is no such column, or no column ``requested``; the message lists the columns of the table.
    """
    if requested is not None:
        return existing(table, requested)
    known = named(table.columns, FILE_NAMES)
    images = [name for name, column in table.columns.items() if _are_images(column[:1000])]
    both = [name for name in known if name in images]
    candidates = [*both, *known, *images, *named(table.columns, _FILE_NAMES_AT_LAST)]
    if not candidates and is_image is not None:
        candidates = [name for name, column in table.columns.items() if _lead_to_images(column, is_image)]
    if not candidates:
        raise table.error(
            f"no column has names of images; the columns are {listing(table.columns)}; rename one to 'file' or give it "
            "as `files`"
        )
    return candidates[0]


def find_group_column(table: TextTable, taken: Sequence[str], *, asked: str | None = None) -> str | None:
    """The column with the groups; None: there is none, all images are one group, or each image is a group.

    Args:
        table: the label file.
        taken: the columns with another role.
        asked: the column that the user names, which may be missing if the groups are defined in another way.

    Raises:
        TableError: the column that the user names has another role.
    """
    if asked is not None:
        if asked in taken:
            raise table.error(f"column '{asked}' has another role, and cannot hold the groups as well")
        return asked if asked in table.columns else None
    for name in named(table.columns, GROUP_NAMES):
        known = {cell: n for cell, n in table.columns[name].value_counts().items() if cell and not is_unknown(cell)}
        if name not in taken and len(known) >= 2 and max(known.values()) > 1:
            return name
    return None


def target_candidates(table: TextTable, taken: Sequence[str]) -> list[str]:
    """The columns that may hold targets: those that have no other role and do not number the rows."""
    return [name for name in table.columns if name not in taken and plain_name(name) not in _ROW_NUMBERS]


def requested_columns(table: TextTable, requested: Sequence[str], taken: Sequence[str]) -> list[str]:
    """The columns that the user named as targets, checked.

    Raises:
        TableError: one does not exist, or has another role.
    """
    for i, name in enumerate(requested):
        if name in requested[:i]:
            raise table.error(f"column '{name}' is named twice in `labels`; name each column once")
        if name in taken:
            role = "defines the images for validation" if plain_name(name) in REQUIRED_COLUMNS else "names the images"
            raise table.error(f"column '{name}' {role}, and cannot hold the labels as well")
        existing(table, name)
    return list(requested)


def split_at_commas(names: Sequence[str], known: Collection[str]) -> tuple[str, ...]:
    """The names; ``"a,b"`` is two names unless it is a known one itself.

    >>> split_at_commas(["cat, dog", "a,b"], ["a,b", "cat", "dog"])
    ('cat', 'dog', 'a,b')
    """
    parts = [[name] if name in known else [part.strip() for part in name.split(",")] for name in names]
    return tuple(part for several in parts for part in several)


def checked_no_labels(table: TextTable, names: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The checked columns that the user excludes from the targets.

    Raises:
        TableError: one does not exist, or is named as one with targets, too.
    """
    for name in names:
        existing(table, name)
        if name in labels:
            raise table.error(f"column '{name}' is in `labels` and in `not_labels`; leave it out of one of them")
    return list(names)


def existing(table: TextTable, name: str) -> str:
    """The name itself, checked to be that of a column.

    Raises:
        TableError: no column has this name; the message names the nearest one.
    """
    if name in table.columns:
        return name
    raise table.error(
        f"there is no column '{name}'.{did_you_mean(name, table.columns)} Columns: {listing(table.columns)}"
    )


def named(columns: Iterable[str], wanted: Sequence[str]) -> list[str]:
    """The columns with one of these names, in the order of the names."""
    plain = {column: plain_name(column) for column in columns}
    return [column for name in wanted for column in plain if plain[column] == name]


def plain_name(column: str) -> str:
    """The name of a column in lower case with underscores, for comparison with known names."""
    return re.sub(r"[\s\-]+", "_", column.strip().lower())


def _lead_to_images(column: Sequence[str], is_image: Callable[[str], bool]) -> bool:
    cells = [cell for cell in column[:_N_SAMPLED_CELLS] if cell]
    return bool(cells) and all(map(is_image, cells))


def _are_images(cells: Iterable[str]) -> bool:
    """True if at least 90 % of the cells that are not blank look like names of image files."""
    names = [cell for cell in cells if cell]
    return bool(names) and sum(map(looks_like_image, names)) >= 0.9 * len(names)
