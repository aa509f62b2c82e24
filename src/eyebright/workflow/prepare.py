"""The first steps of a training run: the source is checked and split, and its data loaders are created."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import pandas as pd

from eyebright.check.duplicates import Duplicates
from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import count_text, listing
from eyebright.image.cache import ImageCache
from eyebright.report.kinds import check_normalize_by
from eyebright.sources.categorical import Categorical, Codes
from eyebright.sources.headers import readable
from eyebright.sources.source import Source
from eyebright.sources.source_split import split_source
from eyebright.types import Say
from eyebright.workflow.changed_images import FileState, file_states
from eyebright.workflow.check import check_source
from eyebright.workflow.effect import check_effect, epochs_note, share_note
from eyebright.workflow.fine_tuning import check_goal
from eyebright.workflow.held_out import HeldOut, held_out_parts, joined_groups
from eyebright.workflow.loaders import batch_size, source_dataloaders
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.parent_split import split_after
from eyebright.workflow.start_from import Parent, check_kind, start_messages

_CAMERA = "camera"  # the column with maker and model, if EXIF data name several


class Prepared(NamedTuple):
    """The data that a model is trained on.

    Args:
        source: the labelled images with a split, without unreadable ones.
        dls: their data loaders.
        same: shape (n,), the same code for images that the split should keep together; None: not checked.
        groups: the group of each image, which folds do not divide; None without groups.
        held_out: the images of the parts promise and test.
        states: the state of each image file before it was read.
    """

    source: Source
    dls: DataLoaders
    same: Codes | None
    groups: list[int] | None
    held_out: list[HeldOut]
    states: Mapping[str, FileState]


def prepare(source: Source, options: TrainOptions, say: Say, parent: Parent | None = None) -> Prepared:
    """The source, checked and split, and its data loaders.

    Args:
        source: the labelled images.
        options: the training options.
        say: called with each sentence.
        parent: the model that training starts from.

    Raises:
        EyebrightError: the source, an image or an option cannot be used.
    """
    for sentence in source.messages:
        say(sentence)
    n_printed = len(source.messages)
    check_effect(options, source.block())
    states = file_states(source)
    if parent is not None:
        check_kind(source, parent)
    notes = [share_note(options, source), epochs_note(options)]
    source = readable(source, skip_bad=options.skip_bad)
    same = copies = all_copies = None
    if options.check:
        source, duplicates = _checked(source, options)
        copies, all_copies = duplicates.codes(), duplicates.codes(whole=True)
        # A random split may divide large groups; in a given split every divided group is a leak.
        same = copies if source.split is None else all_copies
    source = _split(source, options, same, parent)
    dls = source_dataloaders(source, options, batch=batch_size(source, options))
    constant = dls.target.check_learnable(dls.train_ds.targets, dls.valid_ds.targets)
    if parent is not None:
        source = source.with_messages(*start_messages(parent, dls.target, dls.valid.pipeline.transforms))
    check_goal(options, dls.target.metrics())
    check_normalize_by(dls.target, options.normalize_by)  # otherwise the report would fail after training
    for sentence in source.messages[n_printed:]:
        say(sentence)
    for note in filter(None, notes):
        say(note)
    if constant:
        say(f"the same or unknown in every training image, so that it cannot be learnt: {listing(constant)}")
    say(
        f"{count_text(len(dls.train_ds), 'image')} for training, {len(dls.valid_ds)} for validation, "
        f"{dls.bs} in a batch"
    )
    groups = joined_groups(source, copies)
    held_out = held_out_parts(source, dls.target, joined_groups(source, all_copies))
    for message in (message for part in held_out for message in part.messages):
        say(message)
    return Prepared(source, dls, same, groups, held_out, states)


def _split(source: Source, options: TrainOptions, same: Codes | None, parent: Parent | None) -> Source:
    if parent is None:
        return split_source(source, options.valid_pct, seed=options.seed, same=same)
    return split_after(
        source,
        parent,
        options.valid_pct,
        seed=options.seed,
        same=same,
        cache=options.cache,
        pixels=options.check,
    )


def _checked(source: Source, options: TrainOptions) -> tuple[Source, Duplicates]:
    """(source, duplicates): the source with the findings as messages, and the duplicate images."""
    cache = None if options.cache == "memory" else ImageCache.from_option(options.cache)
    found = check_source(source, cache=cache, unnamed=False)
    assert found.facts is not None
    assert found.duplicates is not None
    source = _with_cameras(source, found.facts.cameras)
    skipped = ("unreadable", "missing_files") if options.skip_bad else ()  # they are listed as skipped
    return source.with_messages(*found.messages(without=skipped)), found.duplicates


def _with_cameras(source: Source, cameras: Categorical[str]) -> Source:
    """The source with a column of the cameras, for scores of each, if there are several."""
    if _CAMERA in source.columns or len({name for name in cameras.categories if name}) < 2:
        return source
    columns = pd.DataFrame(index=range(len(source))) if source.columns.empty else source.columns
    return replace(source, columns=columns.assign(**{_CAMERA: list(cameras)}))
