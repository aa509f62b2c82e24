"""What the book's library gives, recorded once; ``tests/gold/README.md`` says what and how."""

import functools
import json
from pathlib import Path
from typing import Any

GOLD = Path(__file__).parents[1] / "gold"


@functools.cache
def gold(name: str) -> dict[str, Any]:
    """The recorded numbers of one file, by its name."""
    return json.loads((GOLD / f"{name}.json").read_text(encoding="utf-8"))
