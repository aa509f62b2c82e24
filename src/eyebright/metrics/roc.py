"""The area under the ROC curve of labels, as in scikit-learn, with unknown targets ignored."""

import numpy as np
import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.labels import split_targets


def roc_auc(scores: Float[Tensor, "n k"], target: Shaped[Tensor, "n k"]) -> Float[Tensor, " k"]:
    """The area under the ROC curve of each class, in float64; NaN for a class without positives or negatives.

    It is the fraction of the pairs of a positive and a negative in which the positive has the greater score; equal
    scores count one half (Fawcett, 2006, doi:10.1016/j.patrec.2005.10.010, section 7).

    Args:
        scores: any numbers; the greater, the likelier.
        target: 1 where the image has the label, 0 where not, NaN where unknown.

    Raises:
        InputError: the shapes differ, a score is NaN, or a target is another number.
    """
    positive, known = split_targets(target, scores)
    if bool(scores.isnan().any()):
        raise InputError("scores must be numbers, got NaN")
    ranked = scores.detach().cpu().double().numpy()
    cells = zip(ranked.T, positive.numpy().T, known.numpy().T, strict=True)
    return torch.tensor([_area(s[k], p[k]) for s, p, k in cells], dtype=torch.float64)


def _area(scores: np.ndarray, positive: np.ndarray) -> float:
    negatives = np.sort(scores[~positive])
    hits = scores[positive]
    if not len(hits) or not len(negatives):
        return float("nan")
    below = np.searchsorted(negatives, hits, side="left") + np.searchsorted(negatives, hits, side="right")
    return float(below.mean() / (2 * len(negatives)))
