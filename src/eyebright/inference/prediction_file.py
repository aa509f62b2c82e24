"""Writes predictions as CSV or JSON, image by image, so that an interrupted prediction keeps the finished ones."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from eyebright._choices import PredictionFormat
from eyebright.inference.predictions import Prediction, table_columns
from eyebright.io.files import check_replaceable
from eyebright.io.text import valid_unicode
from eyebright.tasks.base import TargetBlock

Write = Callable[[str], object]
_END = "\r\n"  # end of a row: csv.writer quotes only cells that contain one of its characters, so it must have both
_FIRST_BYTES = ("path,", "[]", '[\n  {\n    "path": ')
_JSON_ENTRIES = ("probabilities", "points", "values", "ood_score")
_OOD_COLUMNS = re.compile(r",(image_)*ood_score,(image_)*ood$")  # at the end of a header
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def check_predictions_file(path: Path, block: TargetBlock) -> None:
    """Raises `InputError` if an existing file does not contain predictions, such as a table of labels with paths.

    Predictions are known by their out-of-distribution score or, of a model without one, by a column or entry for each
    label. A table of numbers or points has neither: it may be the one that a model was trained on.

    Args:
        path: the file to write; it need not exist.
        block: the target block of the model.

    Raises:
        InputError: the file exists and does not contain predictions.
    """
    formats: tuple[PredictionFormat, ...] = ("csv", "csv-safe")
    own = tuple(
        _header(block, file_format, is_three_way=is_three_way)
        for file_format in formats
        for is_three_way in (False, True)
        if block.label_names
    )

    def is_ours(content: str) -> bool:
        if content.startswith("["):
            return content.startswith("[]") or any(f'\n    "{entry}": ' in content for entry in _JSON_ENTRIES)
        return _OOD_COLUMNS.search(content.split("\n", 1)[0]) is not None or content.startswith(own or "\n")

    check_replaceable(path, _FIRST_BYTES, "predictions", further=is_ours)


class PredictionWriter:
    """Writes predictions in one format: a row of CSV, or an object in a JSON list, for each image.

    The numbers have nine significant digits, which represent a float32 exactly. In CSV, characters of file names and
    labels that are not valid Unicode have the escapes of `eyebright.io.text.valid_unicode`; JSON has its own escapes,
    and a reader gets the original names. A JSON list that was interrupted lacks its closing bracket.

    Args:
        write: the function that writes text to the file or to the screen.
        file_format: ``"csv"``, ``"json"``, or ``"csv-safe"`` for a spreadsheet: names that it would run as a formula,
            since they begin with ``=``, ``+``, ``-``, ``@`` or a tab, get the prefix ``'``. In ``"csv"`` names are
            unchanged. Numbers are the same in both.
        target: the target block of the model, which formats the predictions.
        is_three_way: whether the model asks a person about some labels, which get a column.
        has_sets: whether its predictions have prediction sets, which get a column.
        has_ood: whether its predictions have an out-of-distribution score, which gets two columns.
    """

    def __init__(
        self,
        write: Write,
        file_format: PredictionFormat,
        block: TargetBlock,
        *,
        is_three_way: bool = False,
        has_sets: bool = False,
        has_ood: bool = False,
    ) -> None:
        self.count = 0
        self._write = write
        self._json = file_format == "json"
        self._safe = file_format == "csv-safe"
        self._block = block
        self._columns = table_columns(block, is_three_way=is_three_way, has_sets=has_sets, has_ood=has_ood)
        self._rows = csv.writer(_Text(write), lineterminator=_END)

    def add(self, prediction: Prediction) -> None:
        """Writes one prediction."""
        if self._json:
            self._write(("[\n" if self.count == 0 else ",\n") + _indented(prediction.to_json(self._block)))
        else:
            if self.count == 0:
                self._write_header()
            self._rows.writerow([self._cell(cell) for cell in prediction.row(self._block)])
        self.count += 1

    def end(self) -> None:
        """Writes the end of the file."""
        if self._json:
            self._write("\n]\n" if self.count else "[]\n")
        elif self.count == 0:
            self._write_header()

    def _write_header(self) -> None:
        self._rows.writerow([self._cell(name) for name in self._columns])

    def _cell(self, cell: Any) -> Any:
        if isinstance(cell, float):
            return f"{cell:.9g}"
        if not isinstance(cell, str):
            return cell
        return f"'{valid_unicode(cell)}" if self._safe and cell.startswith(_FORMULA) else valid_unicode(cell)


def _header(block: TargetBlock, file_format: PredictionFormat, *, is_three_way: bool) -> str:
    """The first line of a table without predictions."""
    parts: list[str] = []
    PredictionWriter(parts.append, file_format, block, is_three_way=is_three_way).end()
    return "".join(parts).removesuffix("\n")


class _Text:
    """The function as a file, which `csv.writer` needs."""

    def __init__(self, write: Write) -> None:
        self._write = write

    def write(self, row: str) -> None:
        """Writes a row, whose end becomes one line feed."""
        self._write(row.removesuffix(_END) + "\n")


def _indented(entry: dict[str, Any]) -> str:
    """The object as an item of a list, as ``json.dumps`` writes the whole list with an indent of 2."""
    text = json.dumps(entry, indent=2, ensure_ascii=False, allow_nan=False)
    return "  " + valid_unicode(text).replace("\n", "\n  ")
