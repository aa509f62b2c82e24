"""`find_duplicates`: images of a dataset that are the same image, byte for byte or changed a little.

Two perceptual hashes in eight orientations nominate pairs (`eyebright.check.hash_search`), and the pixels of each pair
decide (`eyebright.check.pixel_similarity`).
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from eyebright._system.cpus import cpus_per_process
from eyebright.check.facts import FactTable
from eyebright.check.hash_search import near_hashes
from eyebright.check.pixel_similarity import NOTHING, SIDE, Rgb, Similarity, pixel_similarity
from eyebright.errors import ImageError
from eyebright.image.image import Image
from eyebright.image.perceptual_hash import BOXES, in_orientation, oriented
from eyebright.sources.categorical import Codes

LARGE_SHARE = 0.05
"""A group of duplicates with more than this share of the images, and at least `LARGE_COUNT`, is probably not
copies of one image, but frames of a film, photographs by a fixed camera, or a placeholder for missing images. So is one
with more than half of the images."""

LARGE_COUNT = 10

_MIN_MEAN, _MIN_WINDOW, _MAX_COLOUR = 0.98, 0.5, 10.0
"""Of `Similarity`. Of 400 planted copies (five sets of photographs, three of drawings and synthetic X-rays; cropped by
up to 5 % on each side, resized, compressed to quality 30) the least values were 0.986 and 0.66, the largest 8.6. Other
pairs of photographs that the hashes nominate have at most 0.92, and frames of a film up to 0.96."""

_MIN_CONTRAST = 0.01  # of the luma; in a blank image there is nothing to compare
_LOADED = 2048  # shrunk images that are kept, 27 kB each
_BATCH = 256  # pairs that are compared at once


class DuplicatePair(NamedTuple):
    """Two images that are the same image.

    Args:
        first: the index of an image.
        second: the index of another.
        similarity: the similarity of their pixels, in [0, 1], see `Similarity.mean`; 1 for equal files.
        is_exact: True if the files have the same content.
        orientation: the orientation in which the first image is like the second, see
            `eyebright.image.perceptual_hash.orientations`.
    """

    first: int
    second: int
    similarity: float
    is_exact: bool
    orientation: int = 0


@dataclass(frozen=True, eq=False)
class Duplicates:
    """The images of a dataset that are the same image.

    Args:
        count: the number of images of the dataset.
        pairs: the pairs of similar images that connect each group.
    """

    count: int
    pairs: Sequence[DuplicatePair]

    def groups(self) -> list[tuple[int, ...]]:
        """The indices of the images of each group of two and more, sorted."""
        return _groups(self.codes(whole=True))

    def large_groups(self) -> list[tuple[int, ...]]:
        """The groups that are too large for copies of one image, see `LARGE_SHARE`; such as frames of one film."""
        return [group for group in self.groups() if self._is_large(group)]

    def codes(self, *, whole: bool = False) -> Codes:
        """Shape (n,): a number for each image, equal for those that belong together.

        Args:
            whole: True: a large group stays together; False: only its identical files do, unless they are a large
                group themselves.
        """
        codes = _components(self.count, self.pairs)
        if whole:
            return codes
        large = self._rows_of_large(codes)
        pairs = [pair for pair in self.pairs if pair.is_exact or pair.first not in large]
        equal = self._rows_of_large(_components(self.count, [pair for pair in pairs if pair.first in large]))
        return _components(self.count, [pair for pair in pairs if pair.first not in equal])

    def _rows_of_large(self, codes: Codes) -> set[int]:
        return {row for group in _groups(codes) if self._is_large(group) for row in group}

    def _is_large(self, group: tuple[int, ...]) -> bool:
        return len(group) > min(max(LARGE_SHARE * self.count, LARGE_COUNT - 1), self.count / 2)


def find_duplicates(
    paths: Sequence[str | Path],
    facts: FactTable,
    *,
    threads: int | None = None,
    advance: Callable[[int, int], None] = lambda _done, _total: None,
) -> Duplicates:
    """The images that are the same: files with equal content, and copies that were changed a little.

    A copy may be mirrored, rotated by 90°, compressed again, resized, or cropped by up to about 5 % on each side. Blank
    images are compared by their content only. An image that cannot be read is like no other.

    Args:
        paths: the paths of the images.
        facts: the facts of the same images.
        threads: number of pairs that are compared in parallel; None: the number of CPUs.
        advance: called with the number of pairs that have been compared, and that of all.
    """
    exact = _exact_pairs(facts)
    copies = {pair.second for pair in exact}
    usable = facts.is_readable & (facts.contrast >= _MIN_CONTRAST)
    usable[list(copies)] = False
    rows = np.flatnonzero(usable)
    colours = np.concatenate([facts.colour[rows], facts.contrast[rows, None]], axis=1)
    nearest = near_hashes(facts.signs[rows], facts.magnitudes[rows], colours, threads=threads)
    nominated = [
        _Nominated(int(rows[first]), int(rows[second]), box, orientation)
        for first, second, box, orientation in zip(*(column.tolist() for column in nearest[:4]), strict=True)
    ]
    pool = ThreadPoolExecutor(threads or cpus_per_process(), initializer=cv2.setNumThreads, initargs=(1,))
    try:
        near = _verified(nominated, _Pixels(paths), pool, advance)
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the remaining pairs
    return Duplicates(len(facts), [*exact, *near])


def is_same(similarity: Similarity) -> bool:
    """Whether two images with this similarity are the same image."""
    mean, least, colour = similarity
    return mean >= _MIN_MEAN and least >= _MIN_WINDOW and colour <= _MAX_COLOUR


class _Nominated(NamedTuple):
    first: int
    second: int
    box: int
    orientation: int


class _Pixels:
    """Shrunk images, loaded when they are needed."""

    def __init__(self, paths: Sequence[str | Path]) -> None:
        self._paths = paths
        self._load = lru_cache(maxsize=_LOADED)(self._read)

    def similarity(self, pair: _Nominated) -> Similarity:
        """How alike the images of a pair are."""
        first, second = self._load(pair.first), self._load(pair.second)
        if first is None or second is None:
            return NOTHING
        turned = np.ascontiguousarray(oriented(first, pair.orientation))
        return pixel_similarity(turned, second, in_orientation(BOXES[pair.box], pair.orientation))

    def _read(self, row: int) -> Rgb | None:
        try:
            image = Image.create(self._paths[row])
            factor = next((each for each in (8, 4, 2) if min(image.shape) >= each * SIDE), 1)
            return cv2.resize(image.pixels(factor), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        except ImageError:  # it was readable a moment ago
            return None


def _verified(
    nominated: Sequence[_Nominated],
    pixels: _Pixels,
    pool: ThreadPoolExecutor,
    advance: Callable[[int, int], None],
) -> list[DuplicatePair]:
    """The pairs that the pixels confirm; none of two images that are connected already."""
    pairs: list[DuplicatePair] = []
    sets = _Sets()
    for begin in range(0, len(nominated), _BATCH):
        several = nominated[begin : begin + _BATCH]
        batch = [pair for pair in several if sets.root(pair.first) != sets.root(pair.second)]
        for pair, similarity in zip(batch, pool.map(pixels.similarity, batch), strict=True):
            if is_same(similarity):
                pairs.append(DuplicatePair(*pair[:2], similarity.mean, is_exact=False, orientation=pair.orientation))
                sets.join(pair.first, pair.second)
        advance(min(begin + _BATCH, len(nominated)), len(nominated))
    return pairs


def _exact_pairs(facts: FactTable) -> list[DuplicatePair]:
    """Each file with the content of an earlier one, with the first of these."""
    rows = np.flatnonzero(facts.is_readable)
    keys = np.ascontiguousarray(facts.digests[rows]).view("V16")[:, 0]
    _, first, same = np.unique(keys, return_index=True, return_inverse=True)
    firsts = rows[first[same]]
    return [
        DuplicatePair(first, second, 1.0, is_exact=True)
        for first, second in zip(firsts.tolist(), rows.tolist(), strict=True)
        if first != second
    ]


def _components(count: int, pairs: Sequence[DuplicatePair]) -> Codes:
    """Shape (count,): the connected component of each image, the least index in it."""
    sets = _Sets()
    for pair in pairs:
        sets.join(pair.first, pair.second)
    codes = np.arange(count, dtype=np.int32)
    for row in sets.parents:
        codes[row] = sets.root(row)
    return codes


class _Sets:
    """Disjoint sets of images (union-find with path halving; Tarjan and van Leeuwen, 1984).

    Attributes:
        parents: the parent of each image that is not the least of its set.
    """

    def __init__(self) -> None:
        self.parents: dict[int, int] = {}

    def root(self, row: int) -> int:
        """The least image of the set."""
        while (parent := self.parents.get(row, row)) != row:
            self.parents[row] = row = self.parents.get(parent, parent)
        return row

    def join(self, first: int, second: int) -> None:
        """Makes one set of two."""
        low, high = sorted((self.root(first), self.root(second)))
        self.parents[high] = low


def _groups(codes: Codes) -> list[tuple[int, ...]]:
    """The rows with equal codes, of those that are not alone."""
    rows = np.flatnonzero(np.bincount(codes, minlength=len(codes))[codes] > 1)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    ends = np.flatnonzero(np.diff(codes[rows])) + 1
    return [tuple(group.tolist()) for group in np.split(rows, ends) if len(group)]
