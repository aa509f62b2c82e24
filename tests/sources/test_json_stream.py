"""JSON files read piece by piece: what `json` reads, in small chunks, and broken files."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies

from eyebright.errors import TableError
from eyebright.sources import json_stream
from eyebright.sources.json_stream import pieces, read_json, read_json_lines

VALUES = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats(allow_nan=False)
    | strategies.text(),
    lambda inner: strategies.lists(inner) | strategies.dictionaries(strategies.text(), inner),
    max_leaves=8,
)


def together(text: str, opened: tuple[str, ...] = ()) -> Any:
    """The pieces put together again."""
    result: Any = [] if text.lstrip().startswith("[") else {}
    for piece in pieces(io.BytesIO(text.encode()), "x.json", opened=opened):
        if isinstance(result, list):
            result += [] if piece.is_start else [piece.value]
        elif piece.is_start:
            result[piece.key] = {} if piece.key in opened else []
        elif piece.name:
            result[piece.key][piece.name] = piece.value
        elif isinstance(result.get(piece.key), list):
            result[piece.key].append(piece.value)
        else:
            result[piece.key] = piece.value
    return result


@given(strategies.lists(VALUES) | strategies.dictionaries(strategies.text(), VALUES), strategies.integers(1, 40))
def test_the_pieces_are_what_json_reads_whatever_the_chunks(value: Any, chunk: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_stream, "_CHUNK_BYTES", chunk)
        for indent in (None, 1):
            assert together(json.dumps(value, indent=indent)) == value


def test_an_object_is_opened_on_demand() -> None:
    assert together('{"a": {"x": 1, "y": [2]}, "b": {"x": 3}}', ("a",)) == {"a": {"x": 1, "y": [2]}, "b": {"x": 3}}


def test_pieces_know_their_lines(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('{\n "a": [\n  1,\n\n  {"b":\n 2}\n ]\n}')
    assert [(piece.value, piece.line) for piece in read_json(path)] == [(1, 3), ({"b": 2}, 5)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_the_encodings_that_windows_writes_are_read(encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes('["schön"]'.encode(encoding))
    assert [piece.value for piece in read_json(path)] == ["schön"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"a": [1,\n2', "ends on line 2 in the middle of the JSON: it is cut off; export or copy it again"),
        ('[{"a": "b', "ends on line 1 in the middle"),
        ("[1,\n 2 3]", "line 2 is not valid JSON: ',' or ']' was expected, got '3'"),
        ("[1, tru" + " " * 100 + "]", "line 1 is not valid JSON: Expecting value"),
        ("{1: 2}", "a key in quotes was expected, got '1'"),
        ("[] []", "follows after the end of the JSON"),
        ("[" + "[" * 200_000, "thousands of lists are nested|in the middle of the JSON"),
        ('{"a": ' + "9" * 5000 + "}", "line 1 is not valid JSON: Exceeds the limit"),
        ("", "ends on line 1 in the middle"),
        ('{"a": 1,\n"b": 2,\n"a": 3}', "line 3 is not valid JSON: the key 'a' occurs twice in one object; export the"),
        ('[{"a": 1},\n{"b": {"c": 1, "c": 2}}]', "line 2 is not valid JSON: the key 'c' occurs twice in one object"),
    ],
)
def test_a_broken_file_is_an_error_with_its_line(text: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(TableError, match=said):
        list(read_json(path))


def test_a_file_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes('["schön"]'.encode("latin1"))
    with pytest.raises(TableError, match=r"'.*x.json' is not UTF-8 after line 1; save it as UTF-8"):
        list(read_json(path))


def test_a_value_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK_BYTES", 1000)
    monkeypatch.setattr(json_stream, "_MAX_PIECE_LENGTH", 10_000)
    path = tmp_path / "x.json"
    path.write_text('["' + "x" * 100_000)
    with pytest.raises(TableError, match="one value has more than 10,000 characters"):
        list(read_json(path))


def test_a_long_file_takes_the_memory_of_its_largest_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_stream, "_CHUNK_BYTES", 1000)
    sizes: list[int] = []

    class Counted(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            sizes.append(size or 0)
            return super().read(size)

    text = json.dumps({"images": [{"id": i, "name": "x" * 50} for i in range(5000)]})
    assert sum(not piece.is_start for piece in pieces(Counted(text.encode()), "x.json")) == 5000
    assert max(sizes) < 3000


def test_json_lines_are_read_without_blank_ones_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"a": 1}\n\n{"a": 2}\n')
    assert [(piece.value, piece.line) for piece in read_json_lines(path)] == [({"a": 1}, 1), ({"a": 2}, 3)]
    path.write_text('{"a": 1}\n{"a"')
    with pytest.raises(TableError, match="line 2 is not valid JSON: .*; is the file cut off"):
        list(read_json_lines(path))
    path.write_text('{"a": 1}\n{"a": 1, "a": 2}\n')
    with pytest.raises(TableError, match="line 2 is not valid JSON: the key 'a' occurs twice in one object; export it"):
        list(read_json_lines(path))
    path.write_text('{"a": 1}\n[2]\n')
    with pytest.raises(TableError, match="line 2: a JSON object for each line was expected"):
        list(read_json_lines(path))
