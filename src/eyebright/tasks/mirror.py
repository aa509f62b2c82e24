"""Pairs of points that exchange their names in a mirrored image, such as the left and the right eye."""

import re
from collections.abc import Sequence

from eyebright.errors import InputError, did_you_mean, listing

Mirror = tuple[int, ...]
"""For each point, the index of the point whose name it takes; its own index if it is not part of a left/right pair."""

_SIDES = {"left": "right", "right": "left", "l": "r", "r": "l"}
_SIDE = re.compile(r"(?i:left|right|(?<![a-z])[lr](?![a-z]))|(?<=[a-z0-9])[LR](?![a-z])")  # left, l_eye, eyeL


def find_mirror(names: Sequence[str]) -> Mirror | None:
    """The pairs of names that differ in left and right, also ``l_``, ``_r`` and ``eyeL``; None if there are no pairs.

    >>> find_mirror(["left_eye", "right_eye", "nose"])
    (1, 0, 2)
    """
    index = {name.lower(): i for i, name in enumerate(names)}
    partners = [index.get(_SIDE.sub(_other_side, name).lower(), i) for i, name in enumerate(names)]
    mirror = [j if partners[j] == i else i for i, j in enumerate(partners)]
    return tuple(mirror) if mirror != list(range(len(names))) else None


def names_without_partner(names: Sequence[str], mirror: Mirror | None) -> list[str]:
    """The names with a left or right side but without a partner, which would be wrong in a mirrored image.

    >>> names_without_partner(["left_eye", "right_eye", "left_ear"], (1, 0, 2))
    ['left_ear']

    Args:
        names: the names of the points.
        mirror: their partners; None: no point has one.
    """
    return [name for i, name in enumerate(names) if _SIDE.search(name) and (mirror is None or mirror[i] == i)]


def parse_mirror(text: str, names: Sequence[str]) -> Mirror:
    """The pairs that a string lists; with ``"none"`` each point keeps its own name.

    Args:
        text: ``"left_eye:right_eye,left_ear:right_ear"``, or ``"none"``.
        names: the names of the points; numbers from 1 for points without names.

    Raises:
        InputError: the text is not a list of pairs, or a point does not exist or is in two pairs.
    """
    mirror = list(range(len(names)))
    for pair in [] if text == "none" else _pairs(text):
        for name in pair:
            if name not in names:
                raise InputError(
                    f"`mirror` names the point '{name}', which does not exist.{did_you_mean(name, names)} "
                    f"Points: {listing(names)}"
                )
        left, right = map(names.index, pair)
        if left == right or mirror[left] != left or mirror[right] != right:
            raise InputError(f"`mirror` may name each point only once, but '{pair[0]}:{pair[1]}' repeats one")
        mirror[left], mirror[right] = right, left
    return tuple(mirror)


def mirror_message(mirror: Mirror | None, names: Sequence[str]) -> str:
    """The exchange of names of points in mirrored images, as a sentence for the user."""
    pairs = [f"{names[i]}:{names[j]}" for i, j in enumerate(mirror or ()) if i < j]
    if pairs:
        return f"in a mirrored image these points exchange their names: {', '.join(pairs)}"
    example = ":".join(names[:2]) if len(names) > 1 else "left_eye:right_eye"
    return f"points keep their names in mirrored images; to exchange names, give `mirror`, such as {example}"


def _other_side(match: re.Match[str]) -> str:
    return _SIDES[match[0].lower()]


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for pair in text.split(","):
        sides = [name.strip() for name in pair.split(":")]
        if len(sides) != 2 or not all(sides):
            raise InputError(
                "`mirror` must be pairs of points such as 'left_eye:right_eye,left_ear:right_ear', or 'none'; got "
                f"'{text}'"
            )
        pairs.append((sides[0], sides[1]))
    return pairs
