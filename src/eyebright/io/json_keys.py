"""JSON whose objects name each key once: Python keeps the last of two values, and the first would be lost."""

from collections.abc import Sequence
from typing import Any

from eyebright.errors import short_repr


def unique_keys(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON; ``object_pairs_hook`` of the functions of ``json``.

    Args:
        pairs: the keys and values of the object.

    Raises:
        ValueError: a key occurs twice.
    """
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    seen = set[str]()
    twice = next(key for key, _ in pairs if key in seen or seen.add(key))
    raise ValueError(f"the key {short_repr(twice)} occurs twice in one object")
