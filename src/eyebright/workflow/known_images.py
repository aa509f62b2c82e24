"""Which of some images a saved model has met: those that trained or validated it, their copies, and their groups.

A model folder does not list its training images. Its evaluations name the validation images (and with folds the others,
too), and ``options.json`` names the data, which are read again if they are still there.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from eyebright.errors import EyebrightError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.image.cache import ImageCache
from eyebright.inference.manifest import Manifest
from eyebright.sources.categorical import Codes, Mask
from eyebright.sources.source import Source
from eyebright.sources.together import joined
from eyebright.types import EvaluatedPart
from eyebright.web.text import count_text
from eyebright.workflow.check import Advance, facts_and_duplicates
from eyebright.workflow.held_out import joined_groups
from eyebright.workflow.reading import read
from eyebright.workflow.saved_options import SavedOptions


@dataclass(frozen=True)
class KnownImages:
    """The images that trained or validated a model, as far as its folder knows.

    Args:
        paths: of the images.
        groups: the group of each; None where it is alone, or not known.
        group_name: what the groups are: a column of the data; empty where it is not known.
        messages: what is not known, sentences for the user.
    """

    paths: tuple[str, ...]
    groups: tuple[str | None, ...]
    group_name: str = ""
    messages: tuple[str, ...] = ()


class Met(NamedTuple):
    """What is known of some images beside those of a model.

    Args:
        known: for each of the images, whether it belongs together with one that trained or validated the model.
        groups: an integer for each image, equal for images that belong together; None without any.
    """

    known: Mask
    groups: list[int] | None


def images_of_model(folder: Path, manifest: Manifest, evaluations: Mapping[EvaluatedPart, Evaluation]) -> KnownImages:
    """The images that trained or validated a model.

    Args:
        folder: the model folder.
        manifest: of the model.
        evaluations: those that are saved with it, by part.
    """
    evaluated = dict.fromkeys(
        str(path) for part in ("valid", "out_of_fold") if part in evaluations for path in evaluations[part].paths
    )
    try:
        source = _training_source(folder)
    except EyebrightError as error:
        return _only_evaluated(evaluated, f"the data that trained the model cannot be read again: {error}", manifest)
    if source is None:
        return _only_evaluated(evaluated, "the model folder does not name the data that trained it", manifest)
    paths = dict.fromkeys(str(source.root / file) for file in source.files)
    groups = [None] * len(paths) if source.group is None else [_named(name) for name in source.group]
    further = [path for path in evaluated if path not in paths]
    return KnownImages(
        (*paths, *further), (*groups, *[None] * len(further)), source.group_name, _changed(source, manifest)
    )


def met(
    source: Source,
    known: KnownImages,
    *,
    pixels: bool,
    cache: ImageCache | None = None,
    advance: Advance = lambda _what, _done, _total: None,
) -> Met:
    """Which images of a source belong together with images of a model, and which with one another.

    Args:
        source: labelled images.
        known: the images of the model.
        pixels: True to read all of these images, and find copies; False: the same paths and groups only.
        cache: keeps what is read of each image; None: nothing is kept.
        advance: called as the images are read and compared.
    """
    paths = [*known.paths, *(str(source.root / file) for file in source.files)]
    first = len(known.paths)
    together = [_codes([os.path.realpath(path) for path in paths]), _group_codes(source, known)]
    copies = None
    if pixels:
        here = [i for i, path in enumerate(paths) if i >= first or os.path.isfile(path.split("::")[0])]  # noqa: PTH113
        copies = np.arange(len(paths), dtype=np.int32)
        found = facts_and_duplicates([paths[i] for i in here], cache, None, advance)[1].codes()
        copies[here] = np.array(here, dtype=np.int32)[found]
        together.append(copies)
    codes = joined(together, len(paths))
    copies = None if copies is None else copies[first:]
    return Met(np.isin(codes[first:], codes[:first]), joined_groups(source, copies))


# ------------------------------------------------------------------ the data that trained a model


def _training_source(folder: Path) -> Source | None:
    """The images for training and validation, read again as the training run read them; None if they have no file."""
    options = SavedOptions.load(folder)
    if options.source is None:
        return None
    source = read(options.source, options.reading)
    return source.take(source.not_held_out().array)


def _only_evaluated(paths: Mapping[str, None], why: str, manifest: Manifest) -> KnownImages:
    train = manifest.data.get("train")
    images = f"its {count_text(train, 'training image')}" if isinstance(train, int) else "its training images"
    message = f"{why}; so {images} are not recognised here, only {count_text(len(paths), 'image')} that it evaluated"
    return KnownImages(tuple(paths), (None,) * len(paths), messages=(message,))


def _changed(source: Source, manifest: Manifest) -> tuple[str, ...]:
    """A sentence if the data have another number of images than they had."""
    counts = [manifest.data.get(name) for name in ("train", "valid", "skipped")]
    before = sum(count for count in counts if isinstance(count, int))
    if None in counts or len(source) >= before - (counts[2] or 0):
        return ()
    return (
        f"the data that trained the model had {before:,} images and have {len(source):,} now, so some of its images "
        "may not be recognised here",
    )


def _named(group: str) -> str | None:
    """The name of a group; None for an image that is alone, whose group begins with NUL."""
    return None if group.startswith("\0") else group


# ------------------------------------------------------------------ codes


def _group_codes(source: Source, known: KnownImages) -> Codes:
    """The group of each image, of those of the model and of the source; groups with one name are one if both say it."""
    here = [None] * len(source) if source.group is None else [_named(name) for name in source.group]
    same = bool(source.group_name) and source.group_name == known.group_name
    of_model = [None if name is None else f"{'' if same else 'model '}{name}" for name in known.groups]
    return _codes([name or f"\0{i}" for i, name in enumerate([*of_model, *here])])


def _codes(values: Sequence[str]) -> Codes:
    return pd.factorize(np.array(values, dtype=object))[0].astype(np.int32)
