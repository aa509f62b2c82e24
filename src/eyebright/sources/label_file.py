"""`LabelFile`: the first part of a file, from which a format is recognised."""

import csv
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

from eyebright.errors import EyebrightError, InputError, TableError, os_reason
from eyebright.io.containers import CONTAINER_EXTENSIONS
from eyebright.sources.json_stream import as_bytes, pieces

_HEAD, _HEAD_OF_CONTAINER = 1 << 20, 1 << 10  # bytes; there may be thousands of containers
_ROWS = 20
_OPENED = ("labels", "_via_img_metadata")  # objects that may be longer than the first part
_XML_ROOT = re.compile(rb"<\s*([A-Za-z_][\w.:-]*)")

_NO_RECORD: Mapping[str, Any] = {}


@dataclass(frozen=True)
class JsonOutline:
    """The outline of a JSON file from its first part.

    Args:
        layout: an object, a list, or JSON Lines.
        keys: the keys of an object at the top, each with its value, or with its first element if that is a list.
        first: the first element of a list, or the object in the first line.
    """

    layout: Literal["object", "list", "lines"]
    keys: Mapping[str, Any] = field(default_factory=dict[str, Any])
    first: Any = None

    def record(self, key: str = "") -> Mapping[str, Any]:
        """The first element of the list ``key``, or of the list at the top; empty where it is not an object."""
        value = self.keys.get(key) if key else self.first
        return cast("Mapping[str, Any]", value) if isinstance(value, dict) else _NO_RECORD


class LabelFile:
    """A file that may hold labels; at most the first MB is read, when it is needed.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.suffix = path.suffix.lower()

    @cached_property
    def head(self) -> bytes:
        """The first MB; of a tar or Parquet file the first KB.

        Raises:
            InputError: the file cannot be read.
        """
        try:
            with self.path.open("rb") as file:
                return file.read(_HEAD_OF_CONTAINER if self.suffix in CONTAINER_EXTENSIONS else _HEAD)
        except OSError as error:
            raise InputError(f"cannot read '{self.path}': {os_reason(error)}") from error

    @cached_property
    def begin(self) -> bytes:
        """The first non-blank characters, without a byte order mark."""
        return self.head[:2000].removeprefix(b"\xef\xbb\xbf").lstrip()

    @cached_property
    def json(self) -> JsonOutline | None:
        """The outline of a JSON or JSON Lines file, also of one that is broken later; None for any other file."""
        if not self.begin.startswith((b"{", b"[", b"\xff\xfe{", b"\xff\xfe[")):
            return None
        if (first := self._first_line_of_several()) is not None:
            return JsonOutline("lines", first=first)
        layout: Literal["object", "list"] = "list" if self.begin.lstrip(b"\xff\xfe")[:1] == b"[" else "object"
        keys: dict[str, Any] = {}
        try:
            for piece in pieces(as_bytes(self.head), self.path.name, opened=_OPENED):
                if piece.is_start:
                    keys.setdefault(piece.key, None)
                elif keys.get(piece.key) is None:
                    keys[piece.key] = piece.value
                    if layout == "list":
                        break
        except EyebrightError:  # it is cut off after the first MB, or broken: reading reports where
            pass
        first = keys.pop("", None) if layout == "list" else None
        return JsonOutline(layout, keys, first) if first is not None or keys or layout == "list" else None

    @cached_property
    def rows(self) -> list[list[str]]:
        """The first rows of a table whose cells are separated by commas, without spaces around them."""
        text = self.head[:100_000].decode("utf-8-sig", errors="replace")
        lines = [line for line in text.splitlines() if line.strip()][: _ROWS + 1]
        try:
            return [[cell.strip() for cell in row] for row in csv.reader(lines, skipinitialspace=True)][:_ROWS]
        except csv.Error:
            return []

    @cached_property
    def header(self) -> list[str]:
        """The cells of the first row."""
        return self.rows[0] if self.rows else []

    @cached_property
    def xml_root(self) -> str:
        """The name of the outermost element of an XML file; empty for any other file."""
        if not self.begin.startswith(b"<"):
            return ""
        without = re.sub(rb"<\?.*?\?>|<!--.*?-->|<!DOCTYPE[^>]*>", b"", self.head, flags=re.DOTALL)
        match = _XML_ROOT.search(without)
        return match[1].decode("ascii", errors="replace") if match else ""

    def _first_line_of_several(self) -> dict[str, Any] | None:
        """The object in the first line, if the file is JSON Lines."""
        line, _, rest = self.begin.partition(b"\n") if len(self.begin) < 2000 else self.head.lstrip().partition(b"\n")
        if self.suffix not in (".jsonl", ".ndjson") and not rest.lstrip().startswith(b"{"):
            return None
        try:
            value = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
        except (ValueError, RecursionError):
            return None
        return cast("dict[str, Any]", value) if isinstance(value, dict) else None

    @property
    def looks_like(self) -> str:
        """The kind of file, as text, for a message about an unknown format."""
        if self.json is not None:
            outline = self.json
            if outline.layout == "object":
                return f"a JSON object with the keys {_named(outline.keys)}"
            what = "a JSON list" if outline.layout == "list" else "JSON Lines"
            return f"{what} of objects with the keys {_named(outline.record())}" if outline.record() else what
        if self.xml_root:
            return f"XML of '{self.xml_root}'"
        return f"a file '{self.path.suffix}'" if b"\0" in self.head else "text"


def numbered_lines(path: Path) -> Iterator[tuple[int, str]]:
    """(number, text without spaces around it) of each line of a text file that is not blank; the first line is 1.

    Raises:
        TableError: the file cannot be read, or is not UTF-8.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                if text := line.strip():
                    yield number, text
    except (OSError, ValueError) as error:
        raise TableError(f"cannot read '{path}': {os_reason(error)}") from None


def _named(keys: Mapping[str, Any]) -> str:
    shown = [f"'{key[:40]}'" for key in list(keys)[:8]]
    return ", ".join(shown) + (", ..." if len(keys) > 8 else "")
