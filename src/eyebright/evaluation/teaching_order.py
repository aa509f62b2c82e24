"""Orders images for labelling, most informative first: uncertain predictions and rare labels, and a variety of images.

Each image has a value: the uncertainty of its most valuable label, times the rarity of the label among the labelled
images. Similar images are in one cluster, and the value of an image is divided by how many images of its cluster are
labelled or come before it, so that a batch is spread over all clusters. (Batches of uncertain images that take from
every cluster in turn: Citovsky et al., 2021, Batch Active Learning at Scale, section 3.)

Axes: n images, d features, k labels or classes, u images without a label, c clusters.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from eyebright.errors import InputError

_MAX_CLUSTERS = 512
_PER_CLUSTER = 8  # approximate number of images of a cluster
_DIMENSIONS = 64  # dimensions of the random projection in which clusters are found
_SAMPLE = 20_000  # images that clusters are found with
_STEPS = 8  # of k-means
_BLOCK_IMAGES = 8192
_ENDS_AT = 1e-6
_DUPLICATE_SIMILARITY = 0.95  # cosine
_MAX_CANDIDATES = 16  # maximum number of waiting images from which the next one is chosen


class TeachingOrder(NamedTuple):
    """The images without a label, most informative first.

    Args:
        rows: the rows of these images.
        values: the value of each image.
        labels: the column of the label that contributes most to the value; -1 without probabilities.
        uncertainties: the uncertainty of that label, from 0 to 1.
        rarities: the rarity of that label among the labelled images: 1 for the rarest label, less for others.
        distances: the cosine distance of each image to the nearest labelled one; 1 without labelled images.
    """

    rows: Int[np.ndarray, " u"]
    values: Float[np.ndarray, " u"]
    labels: Int[np.ndarray, " u"]
    uncertainties: Float[np.ndarray, " u"]
    rarities: Float[np.ndarray, " u"]
    distances: Float[np.ndarray, " u"]


def teaching_order(
    features: Float[np.ndarray, "n d"],
    probabilities: Float[np.ndarray, "n k"] | None,
    targets: Float[np.ndarray, "n k"],
    *,
    exclusive: bool = False,
    counts: Float[np.ndarray, " k"] | None = None,
    seed: int = 0,
) -> TeachingOrder:
    """The images without any known target, most informative first.

    Args:
        features: the features of a frozen backbone; images with NaN are left out.
        probabilities: the probability of each label, by a model that was fitted to the targets; NaN where it has none;
            None: there is no model yet.
        targets: 0, 1 or NaN (unknown); for classes, a column for each class.
        exclusive: True if an image has exactly one class.
        counts: the number of labelled images with each label; None: counted from the targets.
        seed: the seed of the clusters.

    Raises:
        InputError: the arrays are not for the same images and labels.
    """
    _check(features, probabilities, targets)
    usable = np.isfinite(features).all(axis=1)
    unknown = np.isnan(targets).all(axis=1)
    rows, labelled = np.flatnonzero(usable & unknown), np.flatnonzero(usable & ~unknown)
    units = _units(features, np.concatenate([rows, labelled]), seed)
    clusters = _clusters(units, seed)
    frequent = np.nansum(targets[labelled], axis=0) if counts is None else counts
    uncertain, rarities = _values(
        _row_probabilities(probabilities, rows, targets.shape[1]), frequent, exclusive=exclusive
    )
    worth = uncertain * rarities
    value = worth.max(axis=1, initial=0)
    label = worth.argmax(axis=1) if worth.shape[1] and probabilities is not None else np.full(len(rows), -1)
    distances = (1 - _nearest(units[: len(rows)], units[len(rows) :])[1].clip(0, 1)).astype(np.float64)
    order = _spread_order(value, clusters[: len(rows)], clusters[len(rows) :])
    order = _without_neighbours(order, clusters[: len(rows)], units[: len(rows)])
    chosen = label.clip(0)[:, None]
    uncertainty = np.take_along_axis(uncertain, chosen, axis=1)[:, 0] if worth.shape[1] else np.zeros(len(rows))
    rarity = rarities[chosen[:, 0]] if worth.shape[1] else np.zeros(len(rows))
    return TeachingOrder(*(column[order] for column in (rows, value, label, uncertainty, rarity, distances)))


def _check(
    features: Float[np.ndarray, "n d"],
    probabilities: Float[np.ndarray, "n k"] | None,
    targets: Float[np.ndarray, "n k"],
) -> None:
    """Raises `InputError` unless the arrays have matching rows and columns."""
    if len(features) != len(targets):
        raise InputError(
            f"features need one row for each image, like the targets: got {len(features):,} rows and {len(targets):,}"
        )
    if probabilities is not None and probabilities.shape != targets.shape:
        raise InputError(f"probabilities need the shape of the targets: got {probabilities.shape} and {targets.shape}")


# ------------------------------------------------------------------ values


def _values(
    probabilities: Float[np.ndarray, "u k"], counts: Float[np.ndarray, " k"], *, exclusive: bool
) -> tuple[Float[np.ndarray, "u k"], Float[np.ndarray, " k"]]:
    """(the uncertainty of each label of each image, the rarity of each label), both from 0 to 1.

    Args:
        probabilities: the probabilities; NaN (no prediction) counts as uncertain.
        counts: the number of labelled images with each label.
        exclusive: whether the labels are classes.
    """
    rarities = 1 / np.sqrt(counts + 1)
    rarities /= rarities.max(initial=1e-12)
    if exclusive:
        return _class_uncertainties(probabilities), rarities
    p = np.nan_to_num(probabilities, nan=0.5).clip(0, 1)
    return 1 - np.abs(2 * p - 1), rarities


def _class_uncertainties(probabilities: Float[np.ndarray, "u k"]) -> Float[np.ndarray, "u k"]:
    """One minus the margin between the two most probable classes, for both of them, and 0 for all others.

    Best versus second best: Joshi, Porikli & Papanikolopoulos (2009, Multi-Class Active Learning for Image
    Classification, section 4).
    """
    uncertain = np.zeros_like(probabilities)
    if probabilities.shape[1] < 2:
        return uncertain
    p = np.nan_to_num(probabilities, nan=1 / probabilities.shape[1])
    best = np.argpartition(-p, 1, axis=1)[:, :2]
    two = np.take_along_axis(p, best, axis=1)
    margin = np.abs(two[:, :1] - two[:, 1:]).clip(0, 1)
    np.put_along_axis(uncertain, best, np.repeat(1 - margin, 2, axis=1), axis=1)
    return uncertain


# ------------------------------------------------------------------ likeness


def _units(features: Float[np.ndarray, "n d"], rows: Int[np.ndarray, " m"], seed: int) -> Float[np.ndarray, "m e"]:
    """Standardised features of these rows in at most 64 random directions, of length 1: products approximate cosines.

    Random directions keep distances (Johnson & Lindenstrauss, 1984, Extensions of Lipschitz Mappings).
    """
    d = features.shape[1]
    if not len(rows) or not d:
        return np.zeros((len(rows), 1), dtype=np.float32)
    generator = np.random.default_rng(seed)
    sample = features[rows if len(rows) <= _SAMPLE else np.sort(generator.choice(rows, _SAMPLE, replace=False))]
    mean, scale = sample.mean(axis=0, dtype=np.float64), sample.std(axis=0)
    scale = np.where(scale > 0, scale.clip(np.median(scale)), 1)
    directions = np.eye(d) if d <= _DIMENSIONS else generator.standard_normal((d, _DIMENSIONS))
    directions = (directions / scale[:, None]).astype(np.float32)
    offset = (mean @ directions).astype(np.float32)
    units = np.concatenate(
        [features[rows[i : i + _BLOCK_IMAGES]] @ directions - offset for i in range(0, len(rows), _BLOCK_IMAGES)]
    )
    return units / np.linalg.norm(units, axis=1, keepdims=True).clip(1e-6)


def _clusters(units: Float[np.ndarray, "n e"], seed: int) -> Int[np.ndarray, " n"]:
    """The cluster of each image by spherical k-means (Dhillon & Modha, 2001, Concept Decompositions)."""
    n = len(units)
    count = int(np.clip(n // _PER_CLUSTER, 1, _MAX_CLUSTERS))
    generator = np.random.default_rng(seed)
    sample = units if n <= _SAMPLE else units[np.sort(generator.choice(n, _SAMPLE, replace=False))]
    centres = sample[np.sort(generator.choice(len(sample), min(count, len(sample)), replace=False))]
    for _ in range(_STEPS):
        nearest = _nearest(sample, centres)[0]
        sums = np.zeros_like(centres)
        np.add.at(sums, nearest, sample)
        lengths = np.linalg.norm(sums, axis=1, keepdims=True)
        centres = np.where(lengths > _ENDS_AT, sums / lengths.clip(_ENDS_AT), centres)
    return _nearest(units, centres)[0]


def _nearest(
    units: Float[np.ndarray, "n e"], others: Float[np.ndarray, "m e"]
) -> tuple[Int[np.ndarray, " n"], Float[np.ndarray, " n"]]:
    """(the row of the most similar of the others, the product with it); rows 0 and products -1 without any."""
    if not len(others):
        return np.zeros(len(units), dtype=np.int64), np.full(len(units), -1.0, dtype=np.float32)
    rows, products = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.float32)]
    block = max(_BLOCK_IMAGES * _MAX_CLUSTERS // max(len(others), 1), 1)
    for i in range(0, len(units), block):
        similar = units[i : i + block] @ others.T
        rows.append(similar.argmax(axis=1))
        products.append(np.take_along_axis(similar, rows[-1][:, None], axis=1)[:, 0])
    return np.concatenate(rows), np.concatenate(products).astype(np.float32)


# ------------------------------------------------------------------ the order


def _spread_order(
    values: Float[np.ndarray, " u"], clusters: Int[np.ndarray, " u"], labelled: Int[np.ndarray, " m"]
) -> Int[np.ndarray, " u"]:
    """The order of the images by value divided by the number of images of the cluster that are labelled or come before.

    Args:
        values: the value of each image.
        clusters: the cluster of each image.
        labelled: the clusters of the labelled images.
    """
    if not len(values):
        return np.zeros(0, dtype=np.int64)
    by_cluster = np.lexsort((-values, clusters))
    sorted_clusters = clusters[by_cluster]
    starts = np.flatnonzero(np.diff(sorted_clusters, prepend=-1))
    rank = np.arange(len(values)) - np.repeat(starts, np.diff(starts, append=len(values)))
    known = np.bincount(labelled, minlength=int(clusters.max()) + 1)
    spread = np.empty(len(values))
    spread[by_cluster] = (values[by_cluster] + _ENDS_AT) / (1 + known[sorted_clusters] + rank)
    return np.argsort(-spread, kind="stable")


def _without_neighbours(
    order: Int[np.ndarray, " u"], clusters: Int[np.ndarray, " u"], units: Float[np.ndarray, "u e"]
) -> Int[np.ndarray, " u"]:
    """The order in which an image that is similar to the previous one is postponed, as long as there are others.

    Two images are similar if they are in one cluster, or nearly the same but in neighbouring clusters.
    """
    result: list[int] = []
    waiting: list[int] = []

    def alike(row: int) -> bool:
        return bool(result) and bool(
            clusters[row] == clusters[result[-1]] or units[row] @ units[result[-1]] > _DUPLICATE_SIMILARITY
        )

    def take_waiting() -> None:
        place = next((i for i, row in enumerate(waiting[:_MAX_CANDIDATES]) if not alike(row)), None)
        if place is not None:
            result.append(waiting.pop(place))

    for row in order.tolist():
        take_waiting()
        (waiting if alike(row) else result).append(row)
    while waiting:
        before = len(waiting)
        take_waiting()
        if len(waiting) == before:
            result.append(waiting.pop(0))
    return np.array(result, dtype=np.int64)


def _row_probabilities(
    probabilities: Float[np.ndarray, "n k"] | None, rows: Int[np.ndarray, " u"], count: int
) -> Float[np.ndarray, "u k"]:
    """The probabilities of these images; NaN if there is no model."""
    return np.full((len(rows), count), np.nan) if probabilities is None else probabilities[rows]
