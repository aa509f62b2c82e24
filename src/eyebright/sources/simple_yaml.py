"""Reads the simple YAML of datasets: keys at the top with a string, a list or a mapping.

A reader for all of YAML would be a dependency for one small file; what is not understood is an error with its line.
"""

import re
from pathlib import Path
from typing import Any

from eyebright.errors import TableError, os_reason

_KEY = re.compile(r"""^(?P<key>[^\s:#'"][^:#]*|'[^']*'|"[^"]*")\s*:(?:\s+(?P<value>.*))?$""")
_COMMENT = re.compile(r"""(?:^|\s)#.*$""")


def read_simple_yaml(path: Path) -> dict[str, Any]:
    """The values of a file by key: strings, lists of strings, or mappings of strings.

    Raises:
        TableError: the file cannot be read, or holds another kind of YAML; the message names the line.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise TableError(f"cannot read '{path}': {os_reason(error)}") from None
    lines = [(number, _without_comment(line).rstrip()) for number, line in enumerate(text.splitlines(), start=1)]
    lines = [(number, line) for number, line in lines if line.strip() and line.strip() not in ("---", "...")]
    values: dict[str, Any] = {}
    i = 0
    while i < len(lines):
        number, line = lines[i]
        match = _KEY.match(line)
        if match is None:
            raise TableError(f"'{path}' line {number}: a key and a value such as 'names: [a, b]' were expected")
        value, i = (match["value"] or "").strip(), i + 1
        inner: list[tuple[int, str]] = []
        while i < len(lines) and (lines[i][1][0] in " \t]}" or (not value and lines[i][1].startswith("- "))):
            inner.append(lines[i])
            i += 1
        if value[:1] in ("[", "{"):
            values[_plain(match["key"])] = _flow(path, number, " ".join([value, *(line.strip() for _, line in inner)]))
        else:
            values[_plain(match["key"])] = _block(path, inner) if inner and not value else _plain(value)
    return values


def _block(path: Path, lines: list[tuple[int, str]]) -> list[str] | dict[str, str]:
    """A list whose lines begin with ``-``, or a mapping; of deeper levels only the keys are kept."""
    if lines[0][1].lstrip().startswith("- "):
        return [_plain(line.strip().removeprefix("-")) for _, line in lines]
    depth = len(lines[0][1]) - len(lines[0][1].lstrip())
    mapping: dict[str, str] = {}
    for number, line in lines:
        if len(line) - len(line.lstrip()) > depth:
            continue
        match = _KEY.match(line.strip())
        if match is None:
            raise TableError(f"'{path}' line {number}: a key and a value such as '0: cat' were expected")
        mapping[_plain(match["key"])] = _plain(match["value"] or "")
    return mapping


def _flow(path: Path, number: int, text: str) -> list[str] | dict[str, str]:
    """``[a, 'b, c']`` or ``{0: a, 1: b}``."""
    begin, end = text[0], text[-1]
    if (begin, end) not in (("[", "]"), ("{", "}")):
        raise TableError(f"'{path}' line {number}: '{begin}' is not closed")
    items = [item.strip() for item in re.findall(r"""(?:'[^']*'|"[^"]*"|[^,'"])+""", text[1:-1]) if item.strip()]
    if begin == "[":
        return [_plain(item) for item in items]
    pairs = [_KEY.match(item) for item in items]
    if None in pairs:
        raise TableError(f"'{path}' line {number}: keys and values such as {{0: cat, 1: dog}} were expected")
    return {_plain(pair["key"]): _plain(pair["value"] or "") for pair in pairs if pair is not None}


def _without_comment(line: str) -> str:
    quoted = re.sub(r"""'[^']*'|"[^"]*\"""", lambda match: "x" * len(match[0]), line)
    match = _COMMENT.search(quoted)
    return line if match is None else line[: match.start()]


def _plain(text: str) -> str:
    """The text without the quotes around it."""
    text = text.strip()
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
