"""`copy_findings`: duplicates in labelled images, also those with different labels or in different parts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from eyebright.check.duplicates import DuplicatePair, Duplicates
from eyebright.check.finding import Finding
from eyebright.errors import count_text
from eyebright.sources.categorical import Categorical
from eyebright.sources.parts import HELD_OUT, PART_WORDS
from eyebright.sources.source import Source

_ORIENTATIONS = (
    "as it is", "mirrored", "upside down and mirrored", "rotated by 180°",
    "transposed", "rotated by 90°", "rotated by 270°", "transposed and rotated by 180°",
)  # fmt: skip

Group = tuple[int, ...]


def copy_findings(source: Source, duplicates: Duplicates) -> list[Finding]:
    """The findings about duplicates.

    Kinds: ``exact_duplicates``, ``near_duplicates``, ``large_duplicate_groups``, ``duplicates_with_different_labels``
    and ``duplicates_across_parts``.

    Args:
        source: the labelled images.
        duplicates: those of ``source``, see `eyebright.check.duplicates`.
    """
    groups = duplicates.groups()
    large = set(duplicates.large_groups())
    in_large = {row for group in large for row in group}
    exact = [group for group in _exact_groups(duplicates.pairs) if group[0] not in in_large]
    equal = set(exact)
    near = [group for group in groups if group not in large and group not in equal]
    return [
        *_across_parts(source, groups),
        *_with_other_labels(source, groups),
        *_exact(source, exact),
        *_near(source, near, duplicates.pairs),
        *_large(source, sorted(large)),
    ]


def _exact_groups(pairs: Sequence[DuplicatePair]) -> list[Group]:
    rows: dict[int, list[int]] = {}
    for pair in pairs:
        if pair.is_exact:
            rows.setdefault(pair.first, [pair.first]).append(pair.second)
    return [tuple(sorted(group)) for _, group in sorted(rows.items())]


def _exact(source: Source, groups: Sequence[Group]) -> list[Finding]:
    if not groups:
        return []
    count = sum(len(group) - 1 for group in groups)
    return [
        Finding(
            "exact_duplicates",
            "warning",
            f"{count_text(count, 'image')} {_is_or_are(count)} the same file as another, byte for byte "
            f"({count_text(len(groups), 'group')}).",
            "Keep one of each group. A random split, the default, keeps a group in one part.",
            count,
            groups=_files(source, groups),
        )
    ]


def _near(source: Source, groups: Sequence[Group], pairs: Sequence[DuplicatePair]) -> list[Finding]:
    if not groups:
        return []
    count = sum(len(group) - 1 for group in groups)
    rows = {row for group in groups for row in group}
    links = [pair for pair in pairs if pair.first in rows and not pair.is_exact]
    least = min(pair.similarity for pair in links)
    return [
        Finding(
            "near_duplicates",
            "warning",
            f"{count_text(count, 'image')} {_is_or_are(count)} a copy of another: cropped a little, resized, "
            f"compressed again, mirrored or rotated ({count_text(len(groups), 'group')}; pixels agree to "
            f"{100 * least:.1f} % and more).",
            "Keep the best of each group. A random split, the default, keeps a group in one part.",
            count,
            groups=_files(source, groups),
            details={"pairs": [_pair(source, pair) for pair in links]},
        )
    ]


def _pair(source: Source, pair: DuplicatePair) -> dict[str, Any]:
    return {
        "files": [str(source.files[pair.first]), str(source.files[pair.second])],
        "similarity": round(pair.similarity, 4),
        "orientation": _ORIENTATIONS[pair.orientation],
    }


def _large(source: Source, groups: Sequence[Group]) -> list[Finding]:
    if not groups:
        return []
    count = sum(map(len, groups))
    return [
        Finding(
            "large_duplicate_groups",
            "warning",
            f"{count:,} images are in {count_text(len(groups), 'group')} of equal or nearly equal images, too many "
            f"for copies of one, such as frames of a film; the largest has {max(map(len, groups)):,}.",
            "Give `group`, a column or a word in the paths, if they belong together; without it such a group may be "
            "divided by a split, since it would be most of a part.",
            count,
            groups=_files(source, groups),
        )
    ]


# ---------------------------------------------------------------------- parts


def leaking_images(source: Source, groups: Iterable[Group]) -> dict[str, list[int]]:
    """For each part but train, the indices of its images that have a copy in an earlier part.

    The order of the parts is train, valid, promise, test; an image without a part is for training.
    """
    if source.part is None:
        return {}
    order: dict[Any, int] = {None: 0, "train": 0, "valid": 1, "promise": 2, "test": 3}
    leaking: dict[str, list[int]] = {}
    for group in groups:
        parts = [source.part[row] for row in group]
        first = min(order[part] for part in parts)
        for row, part in zip(group, parts, strict=True):
            if order[part] > first:
                leaking.setdefault(str(part), []).append(row)
    return {part: sorted(rows) for part, rows in leaking.items()}


def _is_split(source: Source) -> bool:
    return source.split is not None or (source.part is not None and bool(source.part.isin(HELD_OUT).any()))


def _named(source: Source, leaking: Mapping[str, Sequence[int]]) -> str:
    """How many images of each part leak: ``"5 of the 29 validation images"``."""
    assert source.part is not None
    words = {part: part if part in HELD_OUT else word for part, word in PART_WORDS.items()}
    counts = {part: int(source.part.isin([part]).sum()) for part in leaking}
    return ", ".join(f"{len(rows):,} of the {counts[part]:,} {words[part]} images" for part, rows in leaking.items())


def _across_parts(source: Source, groups: Sequence[Group]) -> list[Finding]:
    if source.part is None or not _is_split(source):
        return []
    leaking = leaking_images(source, groups)
    if not leaking:
        return []
    rows = sorted(row for several in leaking.values() for row in several)
    chosen = set(rows)
    return [
        Finding(
            "duplicates_across_parts",
            "error",
            f"{_named(source, leaking)} have a copy in another part, so the scores are not those of new images.",
            "Split again with `split='none'`, which keeps copies in one part; or remove the copies.",
            len(rows),
            files=_names(source, rows),
            groups=_files(source, [group for group in groups if chosen.intersection(group)]),
            details={part: list(_names(source, rows)) for part, rows in leaking.items()},
        )
    ]


def group_findings(source: Source) -> list[Finding]:
    """Groups, such as patients, with images in more than one part of the split; kind ``groups_across_parts``."""
    if source.group is None or source.part is None or not _is_split(source):
        return []
    rows: dict[int, list[int]] = {}
    for row, code in enumerate(source.group.codes.tolist()):
        rows.setdefault(code, []).append(row)
    groups = [tuple(group) for group in rows.values() if len({source.part[row] or "train" for row in group}) > 1]
    if not groups:
        return []
    leaking = leaking_images(source, groups)
    count = sum(map(len, leaking.values()))
    return [
        Finding(
            "groups_across_parts",
            "error",
            f"{len(groups):,} of {count_text(len(rows), 'group')} have images in several parts: "
            f"{_named(source, leaking)} are of a group that also "
            "has images in an earlier part, so the scores are not those of new groups.",
            "Split again with `split='none'`, which keeps groups in one part; `group='none'` if these are no groups.",
            count,
            files=_names(source, sorted(row for several in leaking.values() for row in several)),
            groups=_files(source, groups),
        )
    ]


# ---------------------------------------------------------------------- labels


def _with_other_labels(source: Source, groups: Sequence[Group]) -> list[Finding]:
    conflicts = [(group, labels) for group in groups if (labels := _conflicts(source, group)) is not None]
    if not conflicts:
        return []
    count = sum(len(group) for group, _ in conflicts)
    labels = sorted({label for _, several in conflicts for label in several})
    what = "labels" if isinstance(source.targets, Categorical) else "numbers"
    return [
        Finding(
            "duplicates_with_different_labels",
            "warning",
            f"{count_text(len(conflicts), 'group')} of copies, {count_text(count, 'image')}, with different {what}.",
            f"At most one of a group is right: correct the {what}, or remove the wrong copies.",
            count,
            groups=_files(source, [group for group, _ in conflicts]),
            labels=tuple(labels),
        )
    ]


def _conflicts(source: Source, group: Group) -> set[str] | None:
    """The labels that one image of the group has and another is known not to have; None if there are none.

    The points of a copy that was cropped or mirrored are elsewhere, so points are not compared.
    """
    if not isinstance(source.targets, Categorical):
        values = source.targets[list(group)]
        if values.ndim > 2:
            return None
        differ = np.nanmax(values, axis=0, initial=-np.inf) > np.nanmin(values, axis=0, initial=np.inf)
        return (
            {name for name, differs in zip(source.names, differ.tolist(), strict=False) if differs}
            if differ.any()
            else None
        )
    targets = {source.targets[row] for row in group}
    if len(targets) == 1:
        return None
    has = [{target} if isinstance(target, str) else set(target) for target in targets]
    unknown = [frozenset[str]() if isinstance(target, str) else target.unknown for target in targets]
    every = set[str]().union(*has)
    labels = {
        label
        for label in every
        if any(label not in yes and label not in unsure for yes, unsure in zip(has, unknown, strict=True))
    }
    return labels or None


# ---------------------------------------------------------------------- words


def _names(source: Source, rows: Iterable[int]) -> tuple[str, ...]:
    return tuple(str(source.files[row]) for row in rows)


def _files(source: Source, groups: Iterable[Group]) -> tuple[tuple[str, ...], ...]:
    return tuple(_names(source, group) for group in groups)


def _is_or_are(count: int) -> str:
    return "is" if count == 1 else "are"
