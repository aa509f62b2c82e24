"""The objects of a JSON or JSON Lines file one by one, with the checks that every reader of such files needs."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from eyebright.errors import TableError, listing, short_repr
from eyebright.sources.json_stream import Piece, read_json, read_json_lines
from eyebright.sources.label_file import LabelFile


class Record(NamedTuple):
    """An object of a file.

    Args:
        path: the file.
        line: the line on which it begins.
        values: its values by key.
    """

    path: Path
    line: int
    values: Mapping[str, Any]

    def text(self, *keys: str) -> str:
        """The text under the first of the keys that there is.

        Raises:
            TableError: the value is missing or not text.
        """
        for key in keys:
            if key in self.values:
                if not isinstance(self.values[key], str) or not self.values[key].strip():
                    raise self.error(f"'{key}' must be a string, got {short_repr(self.values[key])}")
                return self.values[key]
        raise self.error(f"there is no {listing(keys)} among the keys {listing(self.values)}")

    def records(self, key: str) -> "list[Record]":
        """The objects in the list under a key; empty if the key is missing or None.

        Raises:
            TableError: it is not a list of objects.
        """
        values = self.values.get(key)
        if values is None:
            return []
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in cast("list[Any]", values)):
            raise self.error(f"'{key}' is a list of objects, got {short_repr(cast('object', values))}")
        return [Record(self.path, self.line, value) for value in cast("list[dict[str, Any]]", values)]

    def labels_or_boxes(self, key: str) -> list[str]:
        """The labels in the list under a key: of strings, or of boxes, which are objects with a ``label``.

        Raises:
            TableError: an element is neither.
        """
        elements = cast("list[Any]", self.values[key])
        if all(isinstance(element, str) for element in elements):
            return [element.strip() for element in elements]
        return [box.text("label").strip() for box in self.records(key)]

    def error(self, problem: str) -> TableError:
        """An error at the place of the object."""
        return TableError(f"'{self.path}' line {self.line}: {problem}")


def read_records(path: Path) -> Iterator[Record]:
    """The objects of a list, or of JSON Lines.

    Raises:
        TableError: the file is broken, or contains other values than objects.
    """
    outline = LabelFile(path).json
    is_lines = outline is not None and outline.layout == "lines"
    for piece in read_json_lines(path) if is_lines else read_json(path):
        yield as_record(path, piece)


def as_record(path: Path, piece: Piece) -> Record:
    """A piece of a file as an object.

    Raises:
        TableError: it is none.
    """
    if not isinstance(piece.value, dict):
        raise TableError(f"'{path}' line {piece.line}: an object {{...}} was expected, got {short_repr(piece.value)}")
    return Record(path, piece.line, cast("dict[str, Any]", piece.value))
