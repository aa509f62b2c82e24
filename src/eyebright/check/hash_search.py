"""`near_hashes`: pairs of images whose perceptual hashes differ in few bits, without comparing each with each.

Locality-sensitive hashing by sampled bits (Indyk and Motwani, 1998, "Approximate nearest neighbors: towards removing
the curse of dimensionality"): each of a number of tables sorts the images by the values of b bits, and only images
with the same values in a table are compared. Two hashes that differ in d of 63 bits agree in all b of them with a
probability of about (1 - d / 63)^b. With b near log2(n) the work grows about linearly with the number n of images.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt64

from eyebright._system.cpus import cpus_per_process
from eyebright.image.perceptual_hash import orientations, transposed

MAX_SIGN_DISTANCE = 8
"""Bits of the hash of signs in which the images of a pair differ at most. Of 400 planted copies (cropped by up to 5 %
on each side, resized, compressed to quality 30), none differed in more than 7."""

MAX_DISTANCE = 18
"""Bits of both hashes, together; of the copies none differed in more than 14."""

MAX_COLOUR_DIFFERENCE = 0.12
"""Difference of mean red, green or blue, and of the contrast, in [0, 1]; of the copies at most 0.099, where a bright
border was cropped."""

_TABLES = 24
_MIN_BITS, _MAX_BITS = 8, 22  # of the hashes, that a table compares
_MAX_PER_BUCKET = 64
_MAX_PER_IMAGE = 32
_MAX_SURE_DISTANCE = 4  # bits; an image with 32 pairs of at most this distance needs no more of them
_CHUNK_HASHES = 1 << 16  # hashes
_HASH_BITS = 63

Keys = np.ndarray[Any, np.dtype[np.int64]]
Rows = np.ndarray[Any, np.dtype[np.int32]]


class HashPairs(NamedTuple):
    """Pairs of images whose hashes differ in few bits, each once, the nearest first.

    Args:
        first: shape (m,), index of an image, of which a crop, in one of eight orientations, is like ``second``.
        second: shape (m,), index of another image.
        box: shape (m,), which crop: an index in `eyebright.image.perceptual_hash.BOXES`.
        orientation: shape (m,), see `eyebright.image.perceptual_hash.orientations`.
        distance: shape (m,), the number of differing bits, summed over both hashes.
    """

    first: Int[np.ndarray, "m"]
    second: Int[np.ndarray, "m"]
    box: Int[np.ndarray, "m"]
    orientation: Int[np.ndarray, "m"]
    distance: Int[np.ndarray, "m"]


def near_hashes(
    signs: UInt64[np.ndarray, "n k"],
    magnitudes: UInt64[np.ndarray, "n k"],
    colours: Float[np.ndarray, "n c"],
    *,
    threads: int | None = None,
) -> HashPairs:
    """The pairs of images of which a crop of one, in any orientation, is like the other, see `MAX_SIGN_DISTANCE`.

    A pair is missed with a small probability, which grows with the distance, see the module's docstring. Each image is
    in at most 32 pairs as the first, those with the nearest hashes; so of n images that are all alike, every one is in
    some pair, and not all n² / 2 pairs are listed.

    Args:
        signs: the hashes of the signs of each image and its crops; the first of each row is that of the whole image.
        magnitudes: the hashes of the magnitudes of the same crops.
        colours: the colours of each image, values that a copy has nearly the same, in [0, 1], see
            `MAX_COLOUR_DIFFERENCE`.
        threads: number of threads; None: the number of CPUs.
    """
    n = len(signs)
    n_bits = int(np.clip(np.ceil(np.log2(max(n, 1))), _MIN_BITS, _MAX_BITS))
    rng = np.random.default_rng(0)  # the same tables each time
    pairs: Rows = np.zeros((0, 4), np.int32)
    searched = np.arange(n)
    pool = ThreadPoolExecutor(threads or cpus_per_process())
    for _ in range(_TABLES if n > 1 else 0):
        chosen = rng.choice(_HASH_BITS, n_bits, replace=False) + 1
        table = _Table(signs, magnitudes, colours, sum(1 << int(bit) for bit in chosen), n_bits)
        step = max(_CHUNK_HASHES // (8 * signs.shape[1]), 1)
        rows = pool.map(table.near, (searched[begin : begin + step] for begin in range(0, len(searched), step)))
        pairs = _nearest(np.concatenate([pairs, *rows]))
        sure = np.bincount(pairs[pairs[:, 0] <= _MAX_SURE_DISTANCE, 1], minlength=n)
        searched = np.flatnonzero(sure < _MAX_PER_IMAGE)
    pool.shutdown()
    distance, first, second, variant = pairs[np.argsort(pairs[:, 0], kind="stable")].T
    return HashPairs(first, second, variant // 8, variant % 8, distance)


class _Table:
    """Whole images by the values of some bits of their hashes.

    Args:
        signs: shape (n, k), of k crops of each image; the first is the whole.
        magnitudes: shape (n, k).
        colours: shape (n, c).
        mask: the bits of the signs that are compared.
        n_bits: their number.
    """

    def __init__(
        self,
        signs: UInt64[np.ndarray, "n k"],
        magnitudes: UInt64[np.ndarray, "n k"],
        colours: Float[np.ndarray, "n c"],
        mask: int,
        n_bits: int,
    ) -> None:
        self._signs, self._magnitudes, self._colours = signs, magnitudes, colours
        self._mask = np.uint64(mask)
        self._shift = np.uint64(64 - n_bits)
        self._whole = np.ascontiguousarray(signs[:, 0])
        keys = self._keys(self._whole)
        self._order = np.argsort(keys, kind="stable").astype(np.int32)
        self._counts = np.bincount(keys, minlength=1 << n_bits).astype(np.int32)
        self._starts = (np.cumsum(self._counts) - self._counts).astype(np.int32)

    def near(self, images: Keys) -> Rows:
        """Rows (distance, first, second, variant) of some images, in all crops and orientations, with the others."""
        variants = orientations(self._signs[images]).reshape(-1)
        keys = self._keys(variants)
        usable = np.flatnonzero(self._counts[keys])
        keys = keys[usable]
        of_key = self._counts[keys]
        counts = np.minimum(of_key, _MAX_PER_BUCKET)
        query = np.repeat(np.arange(len(keys)), counts)
        place = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
        # Of a bucket that is too large, each query takes other entries.
        place += np.where(of_key > _MAX_PER_BUCKET, usable * 7919, 0)[query]
        second = self._order[self._starts[keys[query]] + place % of_key[query]]
        query = usable[query]
        distance = np.bitwise_count(variants[query] ^ self._whole[second])
        keep = np.flatnonzero(distance <= MAX_SIGN_DISTANCE)
        return self._checked(images, query[keep], second[keep], distance[keep])

    def _checked(self, images: Keys, query: Keys, second: Rows, sign_distance: "np.ndarray[Any, Any]") -> Rows:
        """The rows of those that also have near magnitudes and colours."""
        first, variant = np.divmod(query, 8 * self._signs.shape[1])
        box, orientation = np.divmod(variant, 8)
        first = images[first]
        magnitudes = self._magnitudes[first, box]
        magnitudes = np.where(orientation >= 4, transposed(magnitudes), magnitudes)  # mirroring changes no magnitude
        distance = sign_distance.astype(np.int32) + np.bitwise_count(magnitudes ^ self._magnitudes[second, 0])
        keep = (distance <= MAX_DISTANCE) & (first != second)
        keep[keep] = (np.abs(self._colours[first[keep]] - self._colours[second[keep]]) <= MAX_COLOUR_DIFFERENCE).all(
            axis=1
        )
        columns = (distance[keep], first[keep], second[keep], variant[keep])
        return np.stack([column.astype(np.int32) for column in columns], axis=1)

    def _keys(self, values: UInt64[np.ndarray, "m"]) -> Keys:
        """The compared bits, mixed to a number below 2^bits (Fibonacci hashing: Knuth, TAOCP 3, 6.4)."""
        return ((values & self._mask) * np.uint64(0x9E3779B97F4A7C15) >> self._shift).astype(np.int64)


def _nearest(rows: Rows) -> Rows:
    """Each pair once, with its least distance; of each first image the nearest pairs."""
    rows = rows[np.lexsort((rows[:, 3], rows[:, 0]))]
    low, high = np.minimum(rows[:, 1], rows[:, 2]), np.maximum(rows[:, 1], rows[:, 2])
    _, once = np.unique(low.astype(np.int64) << 32 | high, return_index=True)
    rows = rows[np.sort(once)]  # by distance
    by_first = rows[np.argsort(rows[:, 1], kind="stable")]
    starts = np.flatnonzero(np.diff(by_first[:, 1], prepend=-1))
    rank = np.arange(len(by_first)) - np.repeat(starts, np.diff(starts, append=len(by_first)))
    return by_first[rank < _MAX_PER_IMAGE]
