"""Training and validation images of a `Source` where the data do not say which: stratified where there is a way to."""

from dataclasses import replace
from typing import Any

import numpy as np

from eyebright._defaults import VALID_PCT
from eyebright.sources.coded import Coded
from eyebright.sources.indices import Array, Indices
from eyebright.sources.source import Source
from eyebright.sources.split import LabelSplitter, RandomSplitter


def split_source(source: Source, valid_pct: float = VALID_PCT, *, seed: int = 0) -> Source:
    """The source with a part for every image, and a message about how they were chosen.

    A source in which some images are for validation already is returned as it is. Images for promise and test keep
    their part.

    Args:
        source: the labelled images.
        valid_pct: the share of the other images that validates, in [0, 1).
        seed: of the split.

    Raises:
        InputError: another share.
    """
    if source.split is not None:
        return source
    rows = source.not_kept_aside().array
    train, valid = _stratified(source, rows, valid_pct, seed)
    part: np.ndarray[Any, np.dtype[np.object_]] = np.full(len(source), None, dtype=object)
    if source.part is not None:
        part[:] = list(source.part)
    part[rows[train]] = "train"
    part[rows[valid]] = "valid"
    message = (
        f"split at random with seed {seed}: {len(valid)} of {len(rows)} images validate; "
        "every label keeps its share and has a training image"
    )
    return replace(source, part=Coded.of(part.tolist()), messages=(*source.messages, message))


def _stratified(source: Source, rows: Array, valid_pct: float, seed: int) -> tuple[Array, Array]:
    block = source.block()
    targets = source.targets[rows]
    if isinstance(targets, Coded):
        labels = [block.labels(block.read(value)) for value in targets.values]
        train, valid = LabelSplitter([labels[code] for code in targets.codes.tolist()], valid_pct, seed)(rows)
    else:
        train, valid = RandomSplitter(valid_pct, seed)(rows)
    return Indices(train).array, Indices(valid).array
