"""Pairs of images that a model cannot tell apart: copies of one image, whose labels should be the same.

Only images of one group are compared, since training puts near-duplicates into a group. A group may also hold different
images, such as those of a patient, so both must have nearly the same outputs, too.
"""

import numpy as np
from jaxtyping import Float, Int

from eyebright.evaluation.evaluation import Evaluation

_MIN_OUTPUTS = 3  # with fewer outputs, different images often have the same ones
_MAX_DISTANCE = 0.1  # root mean square difference of the outputs, in their standard deviations
_NEIGHBOURS = 4  # nearest images in the order of the mean output that each image is compared with


def copies(evaluation: Evaluation) -> Int[np.ndarray, "p 2"]:
    """The rows of each two images of one group with nearly the same outputs, the lower row first.

    Each image is compared with the few of its group whose mean output is nearest, so large groups take no longer. With
    fewer than 3 outputs no image counts as a copy of another.
    """
    codes = evaluation.group_codes
    outputs = evaluation.outputs.double().cpu().numpy()
    if codes is None or outputs.shape[1] < _MIN_OUTPUTS:
        return np.empty((0, 2), dtype=np.int64)
    spread = outputs.std(axis=0)
    scaled = (outputs / np.where(spread > 0, spread, 1)).astype(np.float32)
    order = np.lexsort((scaled.mean(axis=1), codes))
    pairs = [_near_pairs(scaled, codes, order, shift) for shift in range(1, _NEIGHBOURS + 1)]
    unordered = np.sort(np.concatenate(pairs), axis=1)
    return unordered[np.lexsort((unordered[:, 1], unordered[:, 0]))]


def _near_pairs(
    scaled: Float[np.ndarray, "n k"], codes: Int[np.ndarray, " n"], order: Int[np.ndarray, " n"], shift: int
) -> Int[np.ndarray, "p 2"]:
    """The near pairs among those that are ``shift`` places apart in ``order``."""
    first, second = order[:-shift], order[shift:]
    together = codes[first] == codes[second]
    first, second = first[together], second[together]
    near = np.sqrt(np.square(scaled[first] - scaled[second]).mean(axis=1)) <= _MAX_DISTANCE
    return np.stack([first[near], second[near]], axis=1)
