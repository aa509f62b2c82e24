"""Text files that are regenerated unless a person has edited them: `README.md` of a model.

The last line of such a file is a comment with the SHA-256 of all lines before it. As long as it matches, nobody
has changed the file, and it may be replaced; otherwise it belongs to the person who changed it.
"""

import hashlib
import re
from pathlib import Path
from typing import Literal

from eyebright.errors import ArtifactError, os_reason
from eyebright.io.atomic import write_atomically
from eyebright.io.text import valid_unicode

State = Literal["missing", "generated", "edited"]
_MARK = "<!-- written by eyebright; replaced as long as it is not edited; sha256 {} -->\n"
_MARK_PATTERN = re.compile(re.escape(_MARK).replace(r"\{\}", "([0-9a-f]{64})"))
_MAX_BYTES = 16 * 2**20


def marked(text: str) -> str:
    """The text with the comment that marks it as unedited.

    Args:
        text: without such a comment.
    """
    text = _one_line_end(valid_unicode(text)).rstrip("\n") + "\n\n"
    return text + _MARK.format(_hash(text))


def unmarked(text: str) -> str | None:
    """The text without its comment; None if it has none, or was edited since.

    Args:
        text: the content of a file.
    """
    text = _one_line_end(text)
    begin = text.rfind(_MARK[: _MARK.index("{")])
    found = _MARK_PATTERN.fullmatch(text[begin:]) if begin >= 0 else None
    return text[:begin] if found is not None and found[1] == _hash(text[:begin]) else None


def state_of(path: Path) -> State:
    """Whether a file is there, and as it was written.

    Args:
        path: the file.
    """
    try:
        if not path.exists():
            return "missing"
        if path.stat().st_size > _MAX_BYTES:
            return "edited"
        return "edited" if unmarked(path.read_text(encoding="utf-8")) is None else "generated"
    except (OSError, ValueError):  # unreadable or not text: not a generated file
        return "edited"


def write_generated(path: Path, text: str) -> bool:
    """Writes the marked text, unless a person has edited the file that is there; returns whether it was written.

    Args:
        path: the file.
        text: without the comment.

    Raises:
        ArtifactError: the file cannot be written.
    """
    if state_of(path) == "edited":
        return False
    try:
        write_atomically(path, lambda file: file.write_text(marked(text), encoding="utf-8", newline="\n"))
    except OSError as error:
        raise ArtifactError(f"cannot write '{path}': {os_reason(error)}") from error
    return True


def _one_line_end(text: str) -> str:
    """The text with the line ends of Unix: git may have changed them."""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
