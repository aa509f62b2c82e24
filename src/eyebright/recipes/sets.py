"""The datasets of Microsoft's computer-vision recipes: URLs, unpacking, and whether a dataset is multi-label."""

from pathlib import Path
from typing import Final

from eyebright.data.table_file import read_table_file
from eyebright.errors import TableError, listing
from eyebright.io.archives import archive_stem
from eyebright.io.download import URLs, untar_data
from eyebright.io.home import home


class LabelCsvNotFound(TableError):  # noqa: N818  # the recipes' name
    """A folder contains CSV files, but no ``labels.csv``."""


class LabelColumnNotFound(TableError):  # noqa: N818  # the recipes' name
    """``labels.csv`` has no column ``labels``."""


class Urls:
    """URLs of the datasets of the recipes."""

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
        """All URLs."""
        return [value for name, value in vars(cls).items() if name.endswith("_path")]


def unzip_url(
    url: str,
    fpath: str | Path | None = None,
    dest: str | Path | None = None,
    exist_ok: bool = False,  # noqa: FBT001  # the recipes' signature
) -> str:
    """Downloads and unpacks a dataset if it does not exist yet; returns its folder.

    Unless ``dest`` has the folder already, a folder of the same name in ``EYEBRIGHT_DATA`` is used. Differences from
    the recipes: downloads are resumed, unsafe archives are refused, a dataset is unpacked completely or not at all, and
    it is unpacked into ``dest`` (in the recipes: into ``fpath``).

    Args:
        url: the URL of a zip or tar archive.
        fpath: the folder for the archive; None for ``EYEBRIGHT_HOME``, or ``~/.eyebright``.
        dest: the folder for the unpacked dataset; None for ``fpath``.
        exist_ok: True to use an existing folder.

    Raises:
        FileExistsError: the folder exists and ``exist_ok`` is False.
        DownloadError: the archive cannot be downloaded or unpacked.
    """
    archives = Path(fpath or home()).expanduser()
    folder = Path(dest or archives) / archive_stem(url.rpartition("/")[2])
    if folder.exists() and not exist_ok:
        raise FileExistsError(f"'{folder}' already exists; exist_ok=True uses it")
    return str(untar_data(url, archive=archives, data=folder.parent))


def is_data_multilabel(path: str | Path) -> bool:
    """True if an image has several labels: two or more words in the column ``labels`` of ``labels.csv``.

    Labels are split at spaces only, as in the recipes, although these document "spaces or commas";
    `eyebright.sources.read.read_source` reads both.

    Args:
        path: the folder of the dataset. If it contains no CSV file, its subfolders are classes, and the result is
            False.

    Raises:
        LabelCsvNotFound: the folder contains CSV files, but no ``labels.csv``.
        LabelColumnNotFound: ``labels.csv`` has no column ``labels``.
    """
    tables = sorted(file.name for file in Path(path).glob("*.csv"))
    if not tables:
        return False
    if "labels.csv" not in tables:
        raise LabelCsvNotFound(f"there is no 'labels.csv' in '{path}'; there is {listing(tables)}")
    table = read_table_file(Path(path) / "labels.csv", text=["labels"])
    if "labels" not in table:
        raise LabelColumnNotFound(f"'labels.csv' in '{path}' has no column 'labels'; it has {listing(table.columns)}")
    return any(len(str(labels).split(" ", 1)) > 1 for labels in table["labels"].dropna())
