"""Reads JSON files piece by piece, so that a file of several GB takes the memory of its largest piece.

The pieces of a list are its elements. The pieces of an object are its values; where a value is a list, or an object
that the caller wants opened, the pieces are its elements. In JSON Lines a piece is a line.
"""

import codecs
import json
import re
from collections.abc import Collection, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from eyebright.errors import TableError, os_reason, short_repr
from eyebright.io.json_keys import unique_keys

_CHUNK_BYTES = 1 << 20  # bytes read at a time
_MAX_PIECE_LENGTH = 1 << 28  # characters of one piece
_MARGIN_AT_END = 40  # characters before the end of what was read in which an error may be due to that end
_NUMBER = re.compile(r"[-+.0-9eE]{,40}")  # what may follow in a number, up to the end of what was read
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)


class Piece(NamedTuple):
    """A piece of a JSON file.

    Args:
        key: the key of the object at the top; empty in a list.
        value: the value, or an element of it; ``None`` at the start of a list or object.
        line: the line of the file on which the piece begins, from 1.
        name: the key of the element, in an object that was opened.
        is_start: True at the start of a list or of an opened object, before its elements.
    """

    key: str
    value: Any
    line: int
    name: str = ""
    is_start: bool = False


def read_json(path: Path, *, opened: Collection[str] = ()) -> Iterator[Piece]:
    """The pieces of a JSON file, in the order of the file.

    Args:
        path: the file: UTF-8, or UTF-16 with a byte order mark.
        opened: keys of objects whose values are given one by one; ``""`` is the object at the top of a list's element.

    Raises:
        TableError: the file cannot be read, or is broken; the message names the line.
    """
    try:
        with path.open("rb") as file:
            yield from (piece for piece in pieces(file, str(path), opened=opened) if not piece.is_start)
    except OSError as error:
        raise TableError(f"cannot read '{path}': {os_reason(error)}") from error


def read_json_lines(path: Path) -> Iterator[Piece]:
    """The objects of a JSON Lines file.

    Raises:
        TableError: the file cannot be read, or a line is not a JSON object; the message names the line.
    """
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if text := line.removeprefix(codecs.BOM_UTF8).strip():
                    yield Piece("", _object(path, number, text), number)
    except OSError as error:
        raise TableError(f"cannot read '{path}': {os_reason(error)}") from error


def pieces(file: BinaryIO, name: str, *, opened: Collection[str] = ()) -> Iterator[Piece]:
    """The pieces of an open JSON file, with the start of each list and opened object.

    Args:
        file: opened for reading bytes.
        name: its name, for messages.
        opened: as in `read_json`.

    Raises:
        TableError: the file is broken; the message names the line.
    """
    text = _Text(file, name)
    first = text.next()
    if first == "[":
        yield Piece("", None, text.line, is_start=True)
        yield from _elements(text, "")
    elif first == "{":
        for key in _keys(text):
            begin = text.next()
            if begin == "[" or (begin == "{" and key in opened):
                yield Piece(key, None, text.line, is_start=True)
                yield from _elements(text, key) if begin == "[" else _members(text, key)
            else:
                yield text.piece(key)
    else:
        yield text.piece("")
    if rest := text.next():
        raise text.error(f"'{rest}' follows after the end of the JSON")


def as_bytes(data: bytes) -> BinaryIO:
    """Bytes as an open file."""
    return BytesIO(data)


class _Text:
    """The text of a file from the current position on; more of it is read when it is needed."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._file, self._name = file, name
        begin = file.read(_CHUNK_BYTES)
        utf16 = begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        self._decoder = codecs.getincrementaldecoder("utf-16" if utf16 else "utf-8-sig")()
        self._buffer, self._position, self._ended = "", 0, False
        self._lines, self._counted = 1, 0  # the line of the position up to which line ends are counted
        self._buffer = self._decoded(begin)

    @property
    def line(self) -> int:
        """The line of the current position."""
        if self._position > self._counted:  # counting from the start for each piece would take the square of the time
            self._lines += self._buffer.count("\n", self._counted, self._position)
            self._counted = self._position
        return self._lines

    def next(self) -> str:
        """The next character that is not a space, without going past it; empty at the end of the file."""
        while True:
            self._position = _SPACE.match(self._buffer, self._position).end()  # pyright: ignore[reportOptionalMemberAccess]
            if self._position < len(self._buffer):
                return self._buffer[self._position]
            if not self._read_more():
                return ""

    def skip(self, expected: str) -> str:
        """Goes past the next character, one of those that are expected, and returns it."""
        given = self.next()
        if given not in expected or not given:
            wanted = " or ".join(f"'{character}'" for character in expected)
            raise self.error(f"{wanted} was expected, got '{given}'" if given else "")
        self._position += 1
        return given

    def piece(self, key: str, name: str = "") -> Piece:
        """The value at the current position, and goes past it."""
        self.next()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._buffer, self._position)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos >= len(self._buffer) - _MARGIN_AT_END
                if is_cut and self._read_more():
                    continue
                at_end = is_cut and self._ended
                self._position = min(error.pos, len(self._buffer))
                raise self.error("" if at_end else error.msg) from None
            except RecursionError:
                raise self.error("thousands of lists are nested") from None
            except ValueError as error:  # a number of thousands of digits
                raise self.error(str(error)) from None
            if _NUMBER.fullmatch(self._buffer, end) and self._read_more():
                continue  # a number may go on
            piece = Piece(key, value, self.line, name)
            self._position = end
            return piece

    def error(self, reason: str) -> TableError:
        """An error at the current position; without a reason the file is cut off there."""
        if not reason:
            return TableError(
                f"'{self._name}' ends on line {self.line} in the middle of the JSON: it is cut off; export or copy it"
                " again"
            )
        return TableError(f"'{self._name}' line {self.line} is not valid JSON: {reason}; export the file again")

    def _read_more(self) -> bool:
        """True if there was more; twice as much as is needed, so that a long piece is not read again and again."""
        if self._ended:
            return False
        _ = self.line
        rest = self._buffer[self._position :]
        if len(rest) > _MAX_PIECE_LENGTH:
            raise self.error(f"one value has more than {_MAX_PIECE_LENGTH:,} characters")
        self._buffer, self._position, self._counted = rest, 0, 0
        self._buffer = rest + self._decoded(self._file.read(max(_CHUNK_BYTES, len(rest))))
        return True

    def _decoded(self, data: bytes) -> str:
        self._ended = not data
        try:
            return self._decoder.decode(data, final=self._ended)
        except UnicodeDecodeError:
            raise TableError(
                f"'{self._name}' is not UTF-8 after line {self.line}; save it as UTF-8, for example with: "
                "iconv -f latin1 -t utf-8"
            ) from None


def _keys(text: _Text) -> Iterator[str]:
    """The keys of an object; the caller goes past the value of each."""
    text.skip("{")
    if text.next() == "}":
        text.skip("}")
        return
    seen = set[str]()
    while True:
        if text.next() != '"':
            raise text.error(f"a key in quotes was expected, got '{text.next()}'" if text.next() else "")
        key = text.piece("").value
        if key in seen:
            raise text.error(f"the key {short_repr(key)} occurs twice in one object")
        seen.add(key)
        text.skip(":")
        yield key
        if text.skip(",}") == "}":
            return


def _elements(text: _Text, key: str) -> Iterator[Piece]:
    text.skip("[")
    if text.next() == "]":
        text.skip("]")
        return
    while True:
        yield text.piece(key)
        if text.skip(",]") == "]":
            return


def _members(text: _Text, key: str) -> Iterator[Piece]:
    for name in _keys(text):
        yield text.piece(key, name)


def _object(path: Path, number: int, text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg}; is the file cut off?" if isinstance(error, json.JSONDecodeError) else f"{error};"
        raise TableError(f"'{path}' line {number} is not valid JSON: {reason} export it again") from None
    if not isinstance(value, dict):
        raise TableError(f"'{path}' line {number}: a JSON object for each line was expected, such as {{...}}")
    return value
