"""The split for a model that starts from another one, so that no training image of that model is used for validation.

Scores on images that trained the first model would be too good. So these stay in training, its validation images stay
for validation (which makes both models comparable), and only new images are split.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

import numpy as np

from eyebright._choices import EvaluatedPart, HeldOutPart, Part
from eyebright.errors import InputError, count_text
from eyebright.image.cache import ImageCache
from eyebright.sources.categorical import Categorical, Codes, Mask
from eyebright.sources.indices import IndexArray
from eyebright.sources.parts import HELD_OUT
from eyebright.sources.source import Source
from eyebright.sources.split import check_share
from eyebright.sources.split_plan import plan_split
from eyebright.sources.split_summary import summarize_split
from eyebright.sources.together import joined
from eyebright.workflow.model_images import ModelImages, find_overlap, images_of_model
from eyebright.workflow.start_from import Parent

_PARTS: tuple[Part, ...] = ("train", "valid", "promise", "test")
"""The priority of parts: a new image gets the first of the parts of the images that it belongs together with."""
_NO_PART = -1


class _Known(NamedTuple):
    """The images of a model matched with those of a source.

    Args:
        codes: shape (n,), the index in `_PARTS` of each image's part in the model's split, or `_NO_PART`.
        absent: the images that trained or validated the model and that are not in the source.
    """

    codes: Codes
    absent: ModelImages


def split_after(
    source: Source, parent: Parent, valid_pct: float, *, seed: int, same: Codes | None, cache: str | None, pixels: bool
) -> Source:
    """The source with a part for every image, in which no image that trained the model validates, and messages.

    Args:
        source: labelled images. If they name validation images, their parts are checked and kept.
        parent: the model that training starts from.
        valid_pct: the share of new images that is for validation.
        seed: the seed of the draw.
        same: shape (n,), the same code for copies; None: unknown.
        cache: the cache of the images, see `TrainOptions.cache`.
        pixels: True to look for copies of images of the model that are not among these.

    Raises:
        InputError: the data name images for validation, promise or test that trained the model, or no image is left for
            validation.
    """
    check_share("valid_pct", valid_pct)
    known = _with_ancestors(images_of_model(parent.folder, parent.manifest, parent.evaluations), parent)
    match = _matched(source, known, parent)
    source = source.with_messages(*known.messages)
    if source.split is not None:
        codes, messages = _with_copies(source, match.codes, match.absent, cache) if pixels else (match.codes, ())
        is_sure = known.is_complete and pixels and not messages
        return _checked(source.with_messages(*messages), codes, parent, same=same, is_sure=is_sure)
    codes = _codes_of_data(source, match.codes, parent)
    if pixels:
        codes, messages = _with_copies(source, codes, match.absent, cache)
        source = source.with_messages(*messages)
    codes = _with_units(codes, _units(source, same))
    new = np.flatnonzero(codes == _NO_PART)
    n_valid, n_train = (int((codes == _PARTS.index(part)).sum()) for part in ("valid", "train"))
    if known.is_complete:
        codes[new] = _drawn(source, new, valid_pct, seed=seed, same=same)
    else:
        codes[new] = _PARTS.index("train")
    if not (codes == _PARTS.index("valid")).any():
        raise InputError(
            f"no image is left for validation: all may have trained the model '{parent.name}', so that its scores on "
            f"them would be too good; give new labelled images, or train without `start_from`"
        )
    source = replace(source, part=cast("Categorical[Any]", Categorical(_PARTS, codes).remove_unused_categories()))
    drawn = int((codes[new] == _PARTS.index("valid")).sum())
    leaks = summarize_split(source, same=same).leaks()
    return source.with_messages(*_messages(parent, n_valid, n_train, (len(new), drawn), known), *leaks)


# ------------------------------------------------------------------ the images of the model


def _with_ancestors(known: ModelImages, parent: Parent) -> ModelImages:
    """The images of a model; not all are known if it started from another model whose images no folder names."""
    first = parent.manifest.training.get("parent")
    if not first:
        return known
    name = f" '{first['name']}'" if isinstance(first, dict) and "name" in first else ""
    sentence = f"'{parent.name}' started from another model{name}, whose own training images are unknown here"
    return replace(known, messages=(*known.messages, sentence), is_complete=False)


def _matched(source: Source, known: ModelImages, parent: Parent) -> _Known:
    """The images matched by their paths, or, if they have moved, by their names in the image folder."""
    files = source.files.tolist()
    paths = [os.path.realpath(source.root / file) for file in files]
    parts = _parts_of(known, parent)
    found = _codes(paths, parts)
    keys = set(paths)
    if (found == _NO_PART).all() and (root := _root(parent)) is not None:
        by_name: dict[str, Part] = {os.path.relpath(path, root): part for path, part in parts.items()}
        found = _codes([os.path.normpath(file) for file in files], by_name)
        if (found != _NO_PART).any():
            named = {os.path.normpath(file) for file in files}
            keys = {path for path in parts if os.path.relpath(path, root) in named}
    rows = [row for row, path in enumerate(known.paths) if os.path.realpath(path) not in keys]
    absent = replace(
        known, paths=tuple(known.paths[row] for row in rows), groups=tuple(known.groups[row] for row in rows)
    )
    return _Known(found, absent)


def _parts_of(known: ModelImages, parent: Parent) -> dict[str, Part]:
    """The part of each image in the model's split, by path."""
    parts: dict[str, Part] = {os.path.realpath(path): "train" for path in known.paths}
    for part in ("valid", *get_args(HeldOutPart)):
        evaluation = parent.evaluations.get(cast("EvaluatedPart", part))
        if evaluation is not None:
            parts |= dict.fromkeys((os.path.realpath(path) for path in evaluation.paths), cast("Part", part))
    return parts


def _root(parent: Parent) -> Path | None:
    """The folder that the images of the model were in; None if unknown."""
    evaluation = next(iter(parent.evaluations.values()), None)
    return None if evaluation is None else Path(os.path.realpath(evaluation.root))


def _codes(keys: Sequence[str], parts: Mapping[str, Part]) -> Codes:
    """The index in `_PARTS` of the part of each image, or `_NO_PART`."""
    return np.array([_PARTS.index(parts[key]) if key in parts else _NO_PART for key in keys], dtype=np.int32)


def _with_copies(source: Source, codes: Codes, absent: ModelImages, cache: str | None) -> tuple[Codes, tuple[str, ...]]:
    """(codes, messages): new images that are copies of images of the model, or in their groups, are for training."""
    new = np.flatnonzero(codes == _NO_PART)
    if not len(new) or not absent.paths:
        return codes, ()
    images = None if cache in (None, "memory") else ImageCache.from_option(cache)
    found = find_overlap(source.take(new), absent, is_split=False, pixels=True, cache=images)
    codes = codes.copy()
    codes[new[found.seen]] = _PARTS.index("train")
    return codes, found.messages


# ------------------------------------------------------------------ parts


def _checked(source: Source, codes: Codes, parent: Parent, *, same: Codes | None, is_sure: bool) -> Source:
    """The source, checked that none of the validation images named by its data is known to have trained the model."""
    assert source.part is not None
    trained = codes == _PARTS.index("train")
    for part in ("valid", *HELD_OUT):
        _check_new(source, trained & source.part.isin([part]), part, parent)
    valid = codes == _PARTS.index("valid")
    lost = int((valid & ~source.part.isin(["valid"])).sum())
    known = "" if is_sure else ", as far as is known,"
    messages = [f"the data name the images for validation, and{known} none of them trained '{parent.name}'"]
    messages += summarize_split(source, same=same).leaks()
    if lost:
        messages.append(
            f"validation images of '{parent.name}' that the data do not give to validation: {lost:,}; so "
            "`eyebright compare` has fewer images"
        )
    return source.with_messages(*messages)


def _codes_of_data(source: Source, codes: Codes, parent: Parent) -> Codes:
    """The codes with only the parts promise and test of the data, since the data name no validation images."""
    if source.part is None:
        return codes
    codes = codes.copy()
    for part in HELD_OUT:
        rows = source.part.isin([part])
        _check_new(source, (codes == _PARTS.index("train")) & rows, part, parent)
        codes[rows] = _PARTS.index(part)
    return codes


def _check_new(source: Source, rows: Mask, part: str, parent: Parent) -> None:
    """Raises `InputError` if images of another part of the data trained the model."""
    if rows.any():
        example = source.files[int(rows.argmax())]
        raise InputError(
            f"{count_text(int(rows.sum()), 'image')} of the part '{part}' of these data trained the model "
            f"'{parent.name}', or are copies of such images ('{example}'), so their scores would be too good; "
            "`split='none'` keeps the split of the model, or train without `start_from`"
        )


def _units(source: Source, same: Codes | None) -> IndexArray:
    together = [codes for codes in (None if source.group is None else source.group.codes, same) if codes is not None]
    return joined(together, len(source))


def _with_units(codes: Codes, units: IndexArray) -> Codes:
    """The codes, in which new images have the part of the image that they belong together with."""
    of_unit = np.full(int(units.max(initial=-1)) + 1, _NO_PART, dtype=np.int32)
    for part in reversed(range(len(_PARTS))):
        of_unit[units[codes == part]] = part
    return np.where(codes == _NO_PART, of_unit[units], codes)


def _drawn(source: Source, rows: IndexArray, valid_pct: float, *, seed: int, same: Codes | None) -> Codes:
    """The codes of new images: a share of them, stratified, is for validation."""
    if not len(rows):
        return np.zeros(0, dtype=np.int32)
    new = replace(source.take(rows), part=None)
    own = None if same is None else same[rows]
    if len(np.unique(_units(new, own))) < 2:  # one unit is for training
        return np.full(len(rows), _PARTS.index("train"), dtype=np.int32)
    plan = plan_split(new, {"train": 1 - valid_pct, "valid": valid_pct}, seed=seed, same=own)
    return np.where(plan.part.isin(["valid"]), _PARTS.index("valid"), _PARTS.index("train")).astype(np.int32)


def _messages(parent: Parent, n_valid: int, n_train: int, new: tuple[int, int], known: ModelImages) -> list[str]:
    """Sentences for the user about the split."""
    count, drawn = new
    sentence = f"the split continues that of '{parent.name}': {count_text(n_valid, 'image')} stay for validation"
    if not known.is_complete:
        return [f"{sentence}; all {n_train + count:,} others are for training, since they may have trained it"]
    sentence += f", {n_train:,} that trained it stay for training"
    if count:
        sentence += f"; of {count_text(count, 'new image')} {drawn:,} are for validation"
    evaluation = parent.evaluations.get("valid")
    gone = 0 if evaluation is None else len(evaluation) - n_valid
    further = [f"{gone:,} validation images of '{parent.name}' are not among these"] if gone > 0 else []
    return [sentence, *further]
