"""Values recorded from fastai; see ``tests/gold/README.md``."""

import functools
import json
from pathlib import Path
from typing import Any

GOLD = Path(__file__).parents[1] / "gold"


@functools.cache
def gold(name: str) -> dict[str, Any]:
    """The recorded values in the file ``name``.json."""
    return json.loads((GOLD / f"{name}.json").read_text(encoding="utf-8"))
