"""`check_source` and `write_check`: what is found in labelled images, and its JSON file."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eyebright.check.reading import reading
from eyebright.errors import InputError, os_reason
from eyebright.io.atomic import write_atomically
from eyebright.io.files import check_replaceable
from eyebright.sources.source import Source


@dataclass(frozen=True)
class Check:
    """What is found in labelled images.

    Args:
        reading: what was understood of the data, see `eyebright.check.reading.reading`.
    """

    reading: dict[str, Any]

    @property
    def summary(self) -> str:
        """How many images, labels and unknown targets there are, in a sentence."""
        facts = [f"{self.reading['count']:,} images"]
        if self.reading["classes"]:
            facts.append(f"{len(self.reading['classes']):,} labels")
        if split := self.reading["split"]:
            facts.append(", ".join(f"{part} {count:,}" for part, count in split.items()))
        if self.reading["unknown"]:
            facts.append(f"{self.reading['unknown']:,} unknown targets, which are masked")
        if self.reading["left_out"]:
            facts.append(f"{len(self.reading['left_out']):,} images left out")
        return "; ".join(facts)


def check_source(source: Source) -> Check:
    """What is found in labelled images."""
    return Check(reading(source))


def write_check(check: Check, path: Path) -> None:
    """Writes what was found as JSON; an older file is kept until the new one is complete.

    Raises:
        InputError: the file cannot be written, or exists and is no JSON of this command.
    """
    check_replaceable(path, ('{"reading"',), "result of a check")
    text = json.dumps({"reading": check.reading}, ensure_ascii=False)
    try:
        write_atomically(path, lambda file: file.write_text(text, encoding="utf-8", errors="backslashreplace"))
    except OSError as error:
        raise InputError(f"cannot write '{path}': {os_reason(error)}") from error
