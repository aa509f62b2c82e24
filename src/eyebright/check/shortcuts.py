"""`shortcut_findings`: properties such as the brightness that predict a label by themselves.

A model learns whatever distinguishes the images. If all images with glasses are brighter, it learns the brightness,
scores well on the validation images, which have the same fault, and fails on other images.

A shortcut is reported if even the lower end of the interval of its AUC is above a limit (`LIMIT`). Real labels come
with other light and other sharpness, too: in photographs of objects, pets and faces the AUCs of honest labels with
enough images are at most 0.71, and 0.80 for the sharpness, whose limit is higher.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from eyebright.check.facts import FactTable
from eyebright.check.finding import Finding
from eyebright.check.label_cells import LabelCells
from eyebright.check.properties import LIMIT, Property, in_class_folders, name_prefixes, properties
from eyebright.check.separation import (
    N_FOLDS,
    Auc,
    Ranking,
    auc_of_categories,
    auc_of_numbers,
    effective_counts,
    interval,
    rank_sum_aucs,
    ranking,
)
from eyebright.errors import count_text
from eyebright.sources.categorical import Categorical
from eyebright.sources.source import Source
from eyebright.sources.spelling import spelling_key

__all__ = ["LIMIT", "shortcut_findings"]

LEVEL = 0.05
"""Probability that any interval of a check misses its AUC: a shortcut that is reported by chance is at most so likely
(Bonferroni over all properties and labels)."""

MIN_IMAGES = 10
"""Independent images with a label, and without it, from which on a property is tried. No property of a label with fewer
could be a shortcut by the interval."""

N_EXAMPLES = 8
"""Images of each side that are shown."""

_MAX_SHORTCUTS = 50  # that are reported, the surest first
_MIN_NAMED_SHARE = 0.5  # share of the images with the label in the file's name, from which on the names are labels


class Shortcut(NamedTuple):
    """A property that predicts a label.

    Args:
        property: the property.
        label: the predicted label.
        auc: the AUC, at least 0.5, in the direction of ``is_more``.
        low: the lower end of its interval.
        high: the upper end.
        is_more: whether images with the label have the larger values; True for categories.
        yes: shape (n,), the images with the label.
        no: shape (n,), those known not to have it.
    """

    property: Property
    label: str
    auc: float
    low: float
    high: float
    is_more: bool
    yes: Bool[np.ndarray, "n"]
    no: Bool[np.ndarray, "n"]


class _Block(NamedTuple):
    names: list[str]
    yes: Bool[np.ndarray, "n k"]
    no: Bool[np.ndarray, "n k"]


def shortcut_findings(source: Source, facts: FactTable) -> list[Finding]:
    """The properties that predict a label by themselves, the most significant first.

    Args:
        source: a source with labels, classes or numbers; points have no shortcuts.
        facts: the facts of the same images.
    """
    readable = facts.is_readable
    tried = [
        replace(image_property, values=image_property.values[readable]) for image_property in properties(source, facts)
    ]
    source = source.take(readable)
    shortcuts, n_tests = find_shortcuts(source, tried)
    shortcuts.sort(key=lambda shortcut: (-shortcut.low, -shortcut.auc))
    return [_finding(source, shortcut, n_tests) for shortcut in shortcuts[:_MAX_SHORTCUTS]]


def find_shortcuts(source: Source, tried: Sequence[Property]) -> tuple[list[Shortcut], int]:
    """The shortcuts, and the number of pairs of a property and a label that were tried.

    Args:
        source: a source with labels, classes or numbers.
        tried: the properties of the images.
    """
    groups = None if source.group is None else source.group.codes
    numbers = {
        i: ranking(image_property.values)
        for i, image_property in enumerate(tried)
        if not isinstance(image_property.values, Categorical)
    }
    folds = _folds(source)
    answers = _answers(source)
    n_labels = sum(len(block.names) for block, _, _ in _enough(answers, groups))
    n_tests = max(n_labels * len(tried), 1)
    shortcuts: list[Shortcut] = []
    for block, n_yes, n_no in _enough(answers, groups):
        candidates = _candidates(tried, numbers, block)
        for i, image_property in enumerate(tried):
            if len(labels := candidates.get(i, _all_of(block))):
                few = _Block([block.names[j] for j in labels.tolist()], block.yes[:, labels], block.no[:, labels])
                auc = _auc(image_property, numbers.get(i), folds, few)
                low, high = interval(auc, n_yes[labels], n_no[labels], level=LEVEL / n_tests)
                shortcuts += _above_limit(image_property, few, auc, low, high)
    return _without_names_of_labels(source, shortcuts), n_tests


def _candidates(
    tried: Sequence[Property], numbers: dict[int, Ranking], block: _Block
) -> "dict[int, np.ndarray[Any, np.dtype[np.int64]]]":
    """For each number the labels whose AUC is above its limit, quickly: only there the interval can be.

    Labels that are unknown for some images stay candidates.
    """
    aucs = rank_sum_aucs(list(numbers.values()), block.yes)
    is_partly_unknown = ~(block.yes | block.no).all(axis=0)
    return {
        i: np.flatnonzero((np.abs(auc - 0.5) + 0.5 > tried[i].limit) | is_partly_unknown)
        for i, auc in zip(numbers, aucs, strict=True)
    }


def _all_of(block: _Block) -> "np.ndarray[Any, np.dtype[np.int64]]":
    return np.arange(len(block.names))


def _enough(
    answers: Callable[[], Iterator[_Block]], groups: "Int[np.ndarray, 'n'] | None"
) -> "Iterator[tuple[_Block, Any, Any]]":
    """Some labels at a time that enough images have and have not, with the numbers of independent images."""
    for block in answers():
        n_yes, n_no = effective_counts(block.yes, groups), effective_counts(block.no, groups)
        kept = np.flatnonzero((n_yes >= MIN_IMAGES) & (n_no >= MIN_IMAGES))
        if len(kept):
            names = [block.names[i] for i in kept.tolist()]
            yield _Block(names, block.yes[:, kept], block.no[:, kept]), n_yes[kept], n_no[kept]


def _answers(source: Source) -> Callable[[], Iterator[_Block]]:
    """A function that yields which images have a label, some labels at a time.

    Of two classes it is the first one only; a number is above its median or not.
    """
    targets = source.targets
    if isinstance(targets, Categorical):
        cells = LabelCells.of(targets)
        if source.block().is_exclusive and len(cells.names) == 2:
            cells = cells.select(np.array([0]))
        yes, unknown = cells.counts()
        no = len(source) - yes - unknown
        cells = cells.select(np.flatnonzero((yes >= MIN_IMAGES) & (no >= MIN_IMAGES)))
        return lambda: (
            _Block([cells.names[i] for i in labels], yes, known & ~yes) for labels, yes, known in cells.blocks()
        )
    if targets.ndim != 2 or not len(targets):
        return lambda: iter(())
    known = ~np.isnan(targets)
    middle = [np.median(column[~np.isnan(column)]) if (~np.isnan(column)).any() else 0.0 for column in targets.T]
    yes = known & (targets > np.array(middle))
    numbers = source.names or tuple(f"number {i + 1}" for i in range(targets.shape[1]))
    return lambda: iter([_Block([f"{name} above its median" for name in numbers], yes, known & ~yes)])


def _folds(source: Source) -> Int[np.ndarray, "n"]:
    """The fold of each image, by its name or that of its group: the same whatever the order of the rows."""
    if source.group is None:
        names = (str(file).encode("utf-8", "surrogatepass") for file in source.files)
        return np.fromiter((zlib.crc32(name) % N_FOLDS for name in names), dtype=np.int64, count=len(source))
    of_group = [zlib.crc32(name.encode("utf-8", "surrogatepass")) % N_FOLDS for name in source.group.categories]
    return np.array(of_group)[source.group.codes]


def _auc(image_property: Property, rank: Ranking | None, folds: Int[np.ndarray, "n"], block: _Block) -> Auc:
    if isinstance(image_property.values, Categorical):
        return auc_of_categories(image_property.values.codes, folds, block.yes, block.no)
    assert rank is not None
    return auc_of_numbers(rank, block.yes, block.no)


def _above_limit(image_property: Property, block: _Block, auc: Auc, low: Any, high: Any) -> list[Shortcut]:
    """The labels that the property predicts surely enough."""
    more = np.flatnonzero(low > image_property.limit).tolist()
    # a category below 0.5 is no evidence: the shares of other folds predict the opposite by chance only
    less = (
        []
        if isinstance(image_property.values, Categorical)
        else np.flatnonzero(high < 1 - image_property.limit).tolist()
    )
    return [
        Shortcut(
            image_property, block.names[i], *map(float, ends), is_more=is_more, yes=block.yes[:, i], no=block.no[:, i]
        )
        for is_more, i in [*((True, i) for i in more), *((False, i) for i in less)]
        for ends in [(auc.value[i], low[i], high[i]) if is_more else (1 - auc.value[i], 1 - high[i], 1 - low[i])]
    ]


def _without_names_of_labels(source: Source, shortcuts: list[Shortcut]) -> list[Shortcut]:
    """The properties without those that are the label itself: folders and files named after it or after classes."""
    if not any(_is_name(shortcut) for shortcut in shortcuts):
        return shortcuts
    named = _share_of_named(source) >= _MIN_NAMED_SHARE
    return [
        shortcut
        for shortcut in shortcuts
        if not (_is_name(shortcut) and (named or _is_name_of_classes(source, shortcut.property)))
    ]


def _is_name(shortcut: Shortcut) -> bool:
    return shortcut.property.name == "folder" or not shortcut.property.is_visible_to_models


def _share_of_named(source: Source) -> float:
    """The share of the images with a label whose file name begins with a word that has the label in it."""
    if not isinstance(source.targets, Categorical):
        return 0.0
    prefixes = name_prefixes(source)
    pairs, counts = np.unique(
        prefixes.codes.astype(np.int64) * len(source.targets.categories) + source.targets.codes, return_counts=True
    )
    n_labelled = n_named = 0
    for pair, count in zip(pairs.tolist(), counts.tolist(), strict=True):
        prefix, target = divmod(pair, len(source.targets.categories))
        several = source.targets.categories[target]
        labels = [several] if isinstance(several, str) else list(several)
        n_labelled += count if labels else 0
        beginning = spelling_key(prefixes.categories[prefix])
        n_named += count if any(spelling_key(label) in beginning for label in labels) else 0
    return n_named / max(n_labelled, 1)


def _is_name_of_classes(source: Source, image_property: Property) -> bool:
    """Whether a category is a name for a class, or for a group of classes whose folders lie in it.

    It is where each of three or more categories is one class, and each class one category; and where each class has one
    folder, which lies in one that is called something else, as in ``dogs/poodle/1.jpg``.
    """
    if not isinstance(image_property.values, Categorical) or not isinstance(source.targets, Categorical):
        return False
    values, targets = image_property.values.remove_unused_categories(), source.targets.remove_unused_categories()
    n_pairs = len(np.unique(values.codes.astype(np.int64) * len(targets.categories) + targets.codes))
    if n_pairs != len(targets.categories) or n_pairs < 3:
        return False
    return n_pairs == len(values.categories) or (image_property.name == "folder" and in_class_folders(source))


def _finding(source: Source, shortcut: Shortcut, n_tests: int) -> Finding:
    name, quoted = shortcut.property.name, f"'{shortcut.label}'"
    n_yes, n_no = int(shortcut.yes.sum()), int(shortcut.no.sum())
    with_label, without = _examples(source, shortcut)
    what = (
        f"The {name} by itself predicts {quoted}"
        if not shortcut.property.more
        else f"Images with {quoted} are {shortcut.property.more if shortcut.is_more else shortcut.property.less}: "
        f"the {name} by itself predicts the label"
    )
    return Finding(
        kind="shortcut" if shortcut.property.is_visible_to_models else "names_predict_labels",
        severity="warning" if shortcut.property.is_visible_to_models else "note",
        sentence=f"{what}, AUC {shortcut.auc:.3f} (corrected interval {shortcut.low:.3f}-{shortcut.high:.3f}; "
        f"{count_text(n_yes, 'image')} with it, {n_no:,} without).",
        remedy=f"{shortcut.property.remedy[:1].upper()}{shortcut.property.remedy[1:]}.",
        figure=shortcut.auc,
        figure_name="AUC",
        files=(*with_label, *without),
        labels=(shortcut.label,),
        details={
            "property": name,
            "auc": shortcut.auc,
            "interval": [shortcut.low, shortcut.high],
            "limit": shortcut.property.limit,
            "tests": n_tests,
            "images_with": n_yes,
            "images_without": n_no,
            "direction": ""
            if not shortcut.property.more
            else shortcut.property.more
            if shortcut.is_more
            else shortcut.property.less,
            "with": with_label,
            "without": without,
        },
    )


def _examples(source: Source, shortcut: Shortcut) -> tuple[list[str], list[str]]:
    """Images with the label that show it most, and images without it that show the opposite most."""
    values = shortcut.property.values
    if isinstance(values, Categorical):
        yes = np.bincount(values.codes[shortcut.yes], minlength=len(values.categories))
        no = np.bincount(values.codes[shortcut.no], minlength=len(values.categories))
        score = ((yes + 1) / (yes + no + 2))[values.codes]
    else:
        score = np.nan_to_num(values if shortcut.is_more else -values)
    order = np.argsort(score, kind="stable")
    with_label = order[shortcut.yes[order]][: -N_EXAMPLES - 1 : -1]
    without = order[shortcut.no[order]][:N_EXAMPLES]
    return _paths(source, with_label.tolist()), _paths(source, without.tolist())


def _paths(source: Source, rows: Sequence[int]) -> list[str]:
    return [str(source.files[row]) for row in rows]
