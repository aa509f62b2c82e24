"""`make_split` and `write_split`: splits images into parts, and writes the file that ``--split`` reads."""

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eyebright._defaults import PROMISE_FROM, PROMISE_PCT, TEST_PCT, VALID_PCT
from eyebright._system.collector import collector_paused
from eyebright.errors import DataError, InputError, os_reason
from eyebright.io.atomic import output_path, write_atomically
from eyebright.io.files import check_replaceable
from eyebright.sources.categorical import Categorical, Codes
from eyebright.sources.parts import PART_WORDS, SPLIT_COLUMNS
from eyebright.sources.source import Source
from eyebright.sources.split_plan import SplitPlan, plan_split
from eyebright.sources.split_summary import SplitSummary, part_word, parts_in_order, summarize_split
from eyebright.sources.task_types import TARGET_FUNCTIONS
from eyebright.sources.times import Times, read_times
from eyebright.workflow.command_options.data import SplitOptions

_MIN_SHARE = 1e-9  # a smaller share is a rounding error of shares that add up to 1


@dataclass(frozen=True, eq=False)
class Split:
    """A part for each image.

    Args:
        source: the labelled images.
        plan: the part, or the fold, of each image, and the reason.
        summary: the counts of the split.
        messages: sentences for the user on how the images were split.
    """

    source: Source
    plan: SplitPlan
    summary: SplitSummary
    messages: tuple[str, ...]


@collector_paused()
def make_split(source: Source, options: SplitOptions, *, same: Codes | None = None) -> Split:
    """A part for each image; images that have a part in the data keep it.

    Args:
        source: the labelled images.
        options: the shares, the folds, the seed and the column with the time.
        same: shape (n,), the same code for images that stay together in addition to groups, such as near-duplicates;
            None: unknown.

    Raises:
        InputError: options contradict each other or the data, or all images have the same time.
        TableError: a cell of the column with the time is not a time.
        DataError: all images belong together, or none is left for training.
    """
    shares, messages = _shares(source, options)
    times = None if options.time is None else read_times(source, options.time)
    if times is not None and len(source) > 1 and (times.values == times.values[0]).all():
        raise InputError(
            f"`time`: all {len(source):,} images have the same time in column '{times.name}', so they have no order; "
            f"leave `time` out for a random split"
        )
    plan = plan_split(source, shares, seed=options.seed, same=same, times=times)
    summary = summarize_split(source, plan.part, same=same)
    if options.folds is None and not summary.images.get("train"):
        reason = "the shares are too large" if plan.is_drawn.any() else "the data hold out all of them"
        raise DataError(f"of {len(source):,} images none is left for training: {reason}")
    messages += [*_kept_messages(plan), *_drawn_messages(source, plan, options, times)]
    if plan.is_drawn.any():
        messages += [
            f"no image is for {part_word(name)}: there are too few that can be divided"
            for name, share in shares.items()
            if share and not summary.images.get(name)
        ]
    messages += summary.leaks()
    return Split(source, plan, summary, tuple(messages))


def check_out(path: Path | None) -> None:
    """Raises `InputError` if the file exists and is not a split; called before anything is computed.

    Raises:
        InputError: the file exists and is not a split.
    """
    if path is not None:
        check_replaceable(path, (",".join(SPLIT_COLUMNS),), "split")


@collector_paused()
def write_split(split: Split, path: Path) -> None:
    """Writes a row for each image: its file, part or fold, group and reason; an older file is kept until then.

    Raises:
        InputError: the file cannot be written, or exists and is not a split.
    """
    check_out(path)

    def write(place: Path) -> None:
        with place.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(SPLIT_COLUMNS)
            writer.writerows(_rows(split))

    try:
        write_atomically(output_path(path), write)
    except OSError as error:
        raise InputError(f"cannot write '{path}': {os_reason(error)}") from error


def _rows(split: Split) -> Iterator[tuple[str, str, str, str]]:
    source, plan = split.source, split.plan
    groups: Iterable[str] = ("" for _ in source.files) if source.group is None else source.group
    for file, part, group, why in zip(source.files, plan.part, groups, plan.why, strict=True):
        yield str(file), part, "" if group.startswith("\0") else group, why


def _shares(source: Source, options: SplitOptions) -> tuple[dict[str, float], list[str]]:
    """(the share of each part or fold among the images without a part in the data, messages)."""
    _check_options(source, options)
    held_out = {name for name in ("test", "promise") if source.part is not None and source.part.isin([name]).any()}
    has_folds = options.folds is not None
    is_large = len(source) >= PROMISE_FROM and not has_folds and "promise" not in held_out
    test = (0.0 if has_folds or "test" in held_out else TEST_PCT) if options.test_pct is None else options.test_pct
    promise = (PROMISE_PCT if is_large else 0.0) if options.promise_pct is None else options.promise_pct
    valid = VALID_PCT if options.valid_pct is None else options.valid_pct
    messages: list[str] = []
    if options.promise_pct is None and promise:
        messages.append(
            f"there are at least {PROMISE_FROM:,} images, so {promise:.0%} are kept for promises; "
            "`promise_pct=0` keeps none"
        )
    rest = 1 - test - promise
    if options.folds is not None:
        shares = {str(fold): rest / options.folds for fold in range(options.folds)}
    else:
        shares = {"train": rest - valid, "valid": valid}
    if min(rest, shares.get("train", rest)) < _MIN_SHARE:
        raise InputError(
            "`valid_pct`, `test_pct` and `promise_pct` must add up to less than 1: they leave no image for training"
        )
    return {**shares, **{name: share for name, share in (("promise", promise), ("test", test)) if share}}, messages


def _check_options(source: Source, options: SplitOptions) -> None:
    """Raises `InputError` for options that contradict each other, or the parts of the data."""
    remedy = "leave it out, or give `split='none'`, which ignores the parts of the data"
    if options.folds is not None:
        for name in ("valid_pct", "time"):
            if getattr(options, name) is not None:
                raise InputError(f"`{name}` and `folds` exclude each other; leave one of them out")
    elif source.split is not None:
        for name in ("valid_pct", "test_pct", "promise_pct", "time"):
            if getattr(options, name) is not None:
                raise InputError(f"the data specify the images for validation, so `{name}` has no effect: {remedy}")
    for name, part in (("test_pct", "test"), ("promise_pct", "promise")):
        if getattr(options, name) and source.part is not None and source.part.isin([part]).any():
            raise InputError(
                f"the data have images of the part {part}, which keep it, so `{name}` has no effect: {remedy}"
            )


def _kept_messages(plan: SplitPlan) -> list[str]:
    kept = _counts(plan.part[~plan.is_drawn])
    return [f"images that keep their part in the data: {kept}; `split='none'` ignores these parts"] if kept else []


def _drawn_messages(source: Source, plan: SplitPlan, options: SplitOptions, times: Times | None) -> list[str]:
    """Sentences on how the other images were split."""
    drawn = _counts(plan.part[plan.is_drawn])
    if not drawn:
        return []
    if times is not None:
        return [f"split by time, column '{times.name}': {drawn}", *_ranges(plan, times)]
    note = "" if options.folds else TARGET_FUNCTIONS[source.block().task_type].split_note
    return [f"split at random with seed {options.seed}: {drawn}{'; ' if note else ''}{note}"]


def _counts(part: Categorical[str]) -> str:
    """The number of images of each part or fold as text; empty for no image."""
    used = part.remove_unused_categories()
    counts = dict(zip(used.categories, np.bincount(used.codes).tolist(), strict=True))
    return ", ".join(
        f"{name if name in PART_WORDS else f'fold {name}'} {counts[name]:,}" for name in parts_in_order(counts)
    )


def _ranges(plan: SplitPlan, times: Times) -> list[str]:
    """The oldest and the newest time of each part, as sentences."""
    ranges: list[str] = []
    for name in parts_in_order(plan.part.categories):
        rows = np.flatnonzero(plan.part.isin([name]) & plan.is_drawn)
        if len(rows):
            ends = (int(rows[times.values[rows].argmin()]), int(rows[times.values[rows].argmax()]))
            ranges.append(f"{name}: {times.name} from {times.texts[ends[0]]} to {times.texts[ends[1]]}")
    return ranges
