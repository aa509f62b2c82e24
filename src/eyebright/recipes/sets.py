"""The data sets of the recipes: where they are, how they are unpacked, what their labels are."""

from pathlib import Path
from typing import Final

import pandas as pd

from eyebright.errors import TableError, listing
from eyebright.io.archives import archive_stem
from eyebright.io.download import URLs, untar_data
from eyebright.io.home import home


class LabelCsvNotFound(TableError):  # noqa: N818  # the recipes' name
    """There are tables, and none is called ``labels.csv``."""


class LabelColumnNotFound(TableError):  # noqa: N818  # the recipes' name
    """``labels.csv`` has no column ``labels``."""


class Urls:
    """Addresses of the recipes' data sets."""

    fridge_objects_path: Final = URLs.FRIDGE_OBJECTS
    fridge_objects_watermark_path: Final = URLs.FRIDGE_OBJECTS_WATERMARK
    fridge_objects_tiny_path: Final = URLs.FRIDGE_OBJECTS_TINY
    fridge_objects_watermark_tiny_path: Final = URLs.FRIDGE_OBJECTS_WATERMARK_TINY
    fridge_objects_negatives_path: Final = URLs.FRIDGE_OBJECTS_NEGATIVE
    fridge_objects_negatives_tiny_path: Final = URLs.FRIDGE_OBJECTS_NEGATIVE_TINY
    multilabel_fridge_objects_path: Final = URLs.MULTILABEL_FRIDGE_OBJECTS
    multilabel_fridge_objects_watermark_path: Final = URLs.MULTILABEL_FRIDGE_OBJECTS_WATERMARK
    multilabel_fridge_objects_tiny_path: Final = URLs.MULTILABEL_FRIDGE_OBJECTS_TINY
    multilabel_fridge_objects_watermark_tiny_path: Final = URLs.MULTILABEL_FRIDGE_OBJECTS_WATERMARK_TINY

    @classmethod
    def all(cls) -> list[str]:
        """Every address."""
        return [value for name, value in vars(cls).items() if name.endswith("_path")]


def unzip_url(
    url: str,
    fpath: str | Path | None = None,
    dest: str | Path | None = None,
    exist_ok: bool = False,  # noqa: FBT001  # the recipes' signature
) -> str:
    """The folder of an unpacked archive, downloaded when it is not there yet.

    A folder of the set's name inside the folder that ``EYEBRIGHT_DATA`` names is taken before anything else. Unlike the
    recipes' own it resumes, refuses archives that write elsewhere, leaves no half of a set, and unpacks into ``dest``
    (theirs unpacked into ``fpath``).

    Args:
        url: of a zip or tar archive.
        fpath: the folder for the archive; None: ``EYEBRIGHT_HOME``, or ``~/.eyebright``.
        dest: the folder for the unpacked set; None: ``fpath``.
        exist_ok: take a set that is there already.

    Raises:
        FileExistsError: it is there already.
        DownloadError: it cannot be downloaded or unpacked.
    """
    archives = Path(fpath or home()).expanduser()
    folder = Path(dest or archives) / archive_stem(url.rpartition("/")[2])
    if folder.exists() and not exist_ok:
        raise FileExistsError(f"'{folder}' is there already; exist_ok=True takes it as it is")
    return str(untar_data(url, archive=archives, data=folder.parent))


def is_data_multilabel(path: str | Path) -> bool:
    """True when some image has several labels: two words or more in the column ``labels`` of ``labels.csv``.

    Labels are split at spaces only, as the recipes do although they say "spaces or commas";
    `eyebright.sources.read.read_source` reads both, and its messages say how it understood the table.

    Args:
        path: the folder. Without any table in it, its folders are the classes: False.

    Raises:
        LabelCsvNotFound: there are tables, and none is called ``labels.csv``.
        LabelColumnNotFound: the table has no column ``labels``.
    """
    tables = sorted(file.name for file in Path(path).glob("*.csv"))
    if not tables:
        return False
    if "labels.csv" not in tables:
        raise LabelCsvNotFound(f"there is no 'labels.csv' in '{path}'; there is {listing(tables)}")
    table = pd.read_csv(Path(path) / "labels.csv")
    if "labels" not in table:
        raise LabelColumnNotFound(f"'labels.csv' in '{path}' has no column 'labels'; it has {listing(table.columns)}")
    return any(len(str(labels).split(" ", 1)) > 1 for labels in table["labels"].dropna())
