"""`joined`: images that belong together for any of several reasons, such as a patient and near-duplicates."""

from collections.abc import Sequence

import numpy as np

from eyebright.sources.categorical import Codes
from eyebright.sources.indices import IndexArray


def joined(together: Sequence[Codes], n: int) -> IndexArray:
    """Shape (n,): a code for each image; images that are connected, directly or through others, have the same code.

    >>> joined([np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])], 4).tolist()
    [0, 0, 0, 3]

    Args:
        together: arrays of shape (n,); images with the same code in one of them belong together.
        n: the number of images.
    """
    root = np.arange(n)
    links = [_links(codes) for codes in together]
    first = np.concatenate([rows for rows, _ in links]) if links else root[:0]
    second = np.concatenate([other for _, other in links]) if links else root[:0]
    while True:
        low, high = np.minimum(root[first], root[second]), np.maximum(root[first], root[second])
        differ = low != high
        if not differ.any():
            return root
        np.minimum.at(root, high[differ], low[differ])
        root = _followed(root)


def numbered(codes: "Codes | IndexArray") -> IndexArray:
    """Shape (n,): the codes numbered from 0 on, in order of first appearance.

    >>> numbered(np.array([7, 2, 7, 5])).tolist()
    [0, 1, 0, 2]
    """
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), dtype=np.int64)
    rank[np.argsort(first, kind="stable")] = np.arange(len(first))
    return rank[inverse]


def _links(codes: Codes) -> tuple[IndexArray, IndexArray]:
    """The first image with each code, and each other image with it."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    own_first = first[inverse]
    others = np.flatnonzero(own_first != np.arange(len(codes)))
    return own_first[others], others


def _followed(root: IndexArray) -> IndexArray:
    """The last root of each image, where a root may have a root of its own."""
    while True:
        next_root = root[root]
        if (next_root == root).all():
            return root
        root = next_root
