"""Finds images that a saved model already knows: its training and validation images, their copies, and their groups.

A model folder does not list its training images. Its evaluations name the validation images (and with folds also the
others), and ``options.json`` names the data, which are read again if they still exist.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from eyebright._choices import EvaluatedPart
from eyebright.errors import EyebrightError, count_text
from eyebright.evaluation.evaluation import Evaluation
from eyebright.image.cache import ImageCache
from eyebright.inference.folder_format import OUT_OF_FOLD
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import load_manifest_and_evaluations
from eyebright.sources.categorical import Codes, Mask
from eyebright.sources.source import Source
from eyebright.sources.together import joined
from eyebright.workflow.check import Advance, facts_and_duplicates
from eyebright.workflow.held_out import joined_groups
from eyebright.workflow.reading import read
from eyebright.workflow.saved_options import SavedOptions


@dataclass(frozen=True)
class ModelImages:
    """The images that trained or validated a model, as far as they are known from its folder.

    Args:
        paths: the paths of the images.
        groups: the group of each image; None without a group, or if it is unknown.
        group_name: the column of the data that defines the groups; empty if unknown.
        messages: sentences for the user on what is unknown.
        is_complete: False if there may be more images that are unknown.
    """

    paths: tuple[str, ...]
    groups: tuple[str | None, ...]
    group_name: str = ""
    messages: tuple[str, ...] = ()
    is_complete: bool = True


class Overlap(NamedTuple):
    """The overlap of the images of a source with those of a model.

    Args:
        seen: for each image, whether it overlaps with one that trained or validated the model.
        reserved: for each image, whether it overlaps with one that the model uses for another purpose.
        messages: sentences for the user on what cannot be compared.
        groups: an integer for each image, equal for images that belong together; None without any.
    """

    seen: Mask
    reserved: Mask
    messages: tuple[str, ...]
    groups: list[int] | None


def saved_evaluations(folder: Path, manifest: Manifest) -> dict[EvaluatedPart, Evaluation]:
    """The evaluations that are saved with a model, by part.

    Raises:
        ArtifactError: an evaluation is missing or damaged.
    """
    evaluations: dict[EvaluatedPart, Evaluation] = {}
    if manifest.evaluation_hash is not None:
        evaluations |= load_manifest_and_evaluations(folder)[1]
    if manifest.out_of_fold_hash is not None:
        evaluations |= load_manifest_and_evaluations(folder, OUT_OF_FOLD)[1]
    return evaluations


def images_of_model(folder: Path, manifest: Manifest, evaluations: Mapping[EvaluatedPart, Evaluation]) -> ModelImages:
    """The images that trained or validated a model.

    Args:
        folder: the model folder.
        manifest: the manifest of the model.
        evaluations: the saved evaluations of the model, by part.
    """
    evaluated = dict.fromkeys(
        str(path) for part in ("valid", "out_of_fold") if part in evaluations for path in evaluations[part].paths
    )
    has_all = "out_of_fold" in evaluations  # its images are those for training and validation
    try:
        source = _training_source(folder)
    except EyebrightError as error:
        why = f"the data that trained the model cannot be read again: {error}"
        return _only_evaluated(evaluated, why, manifest, has_all=has_all)
    if source is None:
        why = "the model folder does not name the data that trained it"
        return _only_evaluated(evaluated, why, manifest, has_all=has_all)
    paths = dict.fromkeys(str(source.root / file) for file in source.files)
    groups = [None] * len(paths) if source.group is None else [_named(name) for name in source.group]
    further = [path for path in evaluated if path not in paths]
    changed = _changed(source, manifest)
    return ModelImages(
        (*paths, *further),
        (*groups, *[None] * len(further)),
        source.group_name,
        changed,
        is_complete=has_all or not changed,
    )


def find_overlap(
    source: Source,
    images: ModelImages,
    *,
    others: Sequence[str] = (),
    is_split: bool,
    pixels: bool,
    cache: ImageCache | None = None,
    advance: Advance = lambda _what, _done, _total: None,
) -> Overlap:
    """The overlap of the images of a source with those of a model, and with each other.

    Args:
        source: labelled images.
        images: the images of the model.
        others: the paths of images that the model uses for another purpose.
        is_split: True if the source's images for training and validation also count as known: they may have trained it.
        pixels: True to read all of these images and find copies, however many; False: only equal paths and groups.
        cache: the cache of the facts of each image; None: no cache.
        advance: called as the images are read and compared.
    """
    paths = [*images.paths, *others, *(str(source.root / file) for file in source.files)]
    n_images, first = len(images.paths), len(images.paths) + len(others)
    together = [_codes([os.path.realpath(path) for path in paths]), _group_codes(source, images, len(others))]
    copies, messages = None, _groups_message(source, images)
    if pixels:
        here = [i for i, path in enumerate(paths) if i >= first or os.path.isfile(path.split("::")[0])]  # noqa: PTH113
        duplicates = facts_and_duplicates([paths[i] for i in here], cache, None, advance)[1]
        copies = _at(here, duplicates.codes(), len(paths))[first:]
        together.append(_at(here, duplicates.codes(whole=True), len(paths)))
        messages += _missing_message(first - sum(i < first for i in here))
    codes = joined(together, len(paths))
    mine = codes[first:]
    in_training = mine[source.not_held_out().array] if is_split and source.part is not None else mine[:0]
    is_seen = np.isin(mine, np.concatenate([codes[:n_images], in_training]))
    return Overlap(is_seen, np.isin(mine, codes[n_images:first]), messages, joined_groups(source, copies))


# ------------------------------------------------------------------ the data that trained a model


def _training_source(folder: Path) -> Source | None:
    """The images for training and validation, read again with the options of the training run; None without a file."""
    options = SavedOptions.load(folder)
    if options.source is None:
        return None
    source = read(options.source, options.reading)
    return source.take(source.not_held_out().array)


def _only_evaluated(paths: Mapping[str, None], why: str, manifest: Manifest, *, has_all: bool) -> ModelImages:
    if has_all:
        return ModelImages(tuple(paths), (None,) * len(paths))
    train = manifest.data.get("train")
    images = f"its {count_text(train, 'training image')}" if isinstance(train, int) else "its training images"
    message = f"{why}; so {images} are not recognised, only the {count_text(len(paths), 'image')} that it evaluated"
    return ModelImages(tuple(paths), (None,) * len(paths), messages=(message,), is_complete=False)


def _changed(source: Source, manifest: Manifest) -> tuple[str, ...]:
    """A sentence if the number of images of the data has changed."""
    counts = [manifest.data.get(name) for name in ("train", "valid", "skipped")]
    before = sum(count for count in counts if isinstance(count, int))
    if None in counts or len(source) >= before - (counts[2] or 0):
        return ()
    return (
        f"the data that trained the model had {before:,} images and have {len(source):,} now, so some of its images "
        "may not be recognised here",
    )


def _missing_message(count: int) -> tuple[str, ...]:
    if not count:
        return ()
    return (f"images of the model that no longer exist, so that copies of them are not recognised here: {count:,}",)


def _groups_message(source: Source, images: ModelImages) -> tuple[str, ...]:
    """A sentence if the groups of the model's images and of the source cannot be compared."""
    if not any(images.groups) or (source.group_name == images.group_name and source.group is not None):
        return ()
    model = f"'{images.group_name}'" if images.group_name else "a part of their paths"
    mine = "none" if source.group is None else f"those of '{source.group_name}'" if source.group_name else "other ones"
    return (
        f"the images of the model have groups by {model}, but these images have {mine}, so images of the same group "
        "are not recognised; `group` names the column",
    )


def _named(group: str) -> str | None:
    """The name of a group; None for an image without a group, whose code begins with NUL."""
    return None if group.startswith("\0") else group


# ------------------------------------------------------------------ codes


def _at(rows: Sequence[int], codes: Codes, count: int) -> Codes:
    """Shape (count,): the codes of these rows; every other row is a group of its own."""
    found = np.arange(count, dtype=np.int32)
    found[rows] = np.array(rows, dtype=np.int32)[codes]
    return found


def _group_codes(source: Source, images: ModelImages, n_others: int) -> Codes:
    """The groups of the images of the model and the source; equal names are one group if both name the same column."""
    here = [None] * len(source) if source.group is None else [_named(name) for name in source.group]
    same = source.group is not None and source.group_name == images.group_name
    of_model = [None if name is None else f"{'' if same else 'model '}{name}" for name in images.groups]
    return _codes([name or f"\0{i}" for i, name in enumerate([*of_model, *[None] * n_others, *here])])


def _codes(values: Sequence[str]) -> Codes:
    return pd.factorize(np.array(values, dtype=object))[0].astype(np.int32)
