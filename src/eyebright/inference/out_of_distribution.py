"""`OutOfDistribution`: a score of how dissimilar an image is from the training images, from its features and outputs.

Training images differ from each other mostly in a few directions of the feature space, their first principal
components. One part of the score is the norm of an image's features orthogonal to these directions (Guan et al., 2023,
arXiv:2309.16634; they scale the features to length 1 too. Averages and maxima over the positions of a feature map are
scaled separately). It detects images that are unrelated to the training images. The other part, for labels and classes,
is the greatest logit (Hendrycks et al., 2022, arXiv:1911.11132): an image of an unknown class has no label with a high
logit. Both are divided by their standard deviations over the validation images, and the second is subtracted from the
first, as ViM subtracts the energy from the residual (Wang et al., 2022, arXiv:2203.10807, equation 7).
``benchmarks/unlike.py`` measures what each part detects.

A score of 0 is that of a typical validation image, and 5 % of the validation images are above 1. It takes one product
with a matrix, on the features of the prediction's own forward pass.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from eyebright.errors import ArtifactError, shortened
from eyebright.io.tensors import non_finite_reason

THRESHOLD = 1.0
"""The score above which an image is out of distribution."""

FLAGGED_SHARE = 0.05
"""Share of the validation images that have a score above 1."""
MAX_DIRECTIONS = 32
MIN_IMAGES = 10
"""The minimum number of training images, and of validation images, for fitting a score."""

MAX_IMAGES = 1000
"""The maximum number of training images that it is fitted to; more change little."""

_TENSORS = ("mean", "directions")
_NUMBERS = ("blocks", "distance_weight", "logit_weight", "offset", "n_train", "n_valid")


@dataclass(frozen=True, eq=False)
class OutOfDistribution:
    """Computes the out-of-distribution score of images from their features.

    Args:
        mean: the mean of the features of training images, each block scaled to length 1.
        directions: the first principal components, orthonormal columns.
        blocks: number of equal parts of the features that are scaled separately.
        distance_weight: the weight of the distance from the principal subspace.
        logit_weight: the weight of the greatest logit, which is subtracted; 0 for points and numbers.
        offset: the constant term.
        n_train: number of training images that the score was fitted to.
        n_valid: number of validation images that the threshold was computed from.
    """

    mean: Float[Tensor, " d"]
    directions: Float[Tensor, "d r"]
    blocks: int
    distance_weight: float
    logit_weight: float
    offset: float
    n_train: int
    n_valid: int

    def scores(self, features: Float[Tensor, "b d"], outputs: Float[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        """The score of each image: above 1 it is less like the training images than 95 % of the validation images.

        Args:
            features: the pooled features, the input of the model's head.
            outputs: the outputs of the head.
        """
        scores = self.distance_weight * self.distances(features) + self.offset
        return scores - self.logit_weight * outputs.flatten(1).amax(dim=1) if self.logit_weight else scores

    def distances(self, features: Float[Tensor, "b d"]) -> Float[Tensor, " b"]:
        """The distance of the features of each image from the principal subspace of the training images."""
        centred = _unit_length(features, self.blocks) - self.mean
        inside = centred @ self.directions
        return (centred.square().sum(dim=1) - inside.square().sum(dim=1)).clamp_min(0).sqrt()

    def to_bytes(self) -> bytes:
        """The content of a safetensors file."""
        tensors = {name: getattr(self, name).float().contiguous() for name in _TENSORS}
        return save(tensors, {"numbers": json.dumps({name: getattr(self, name) for name in _NUMBERS})})

    @staticmethod
    def from_bytes(content: bytes) -> "OutOfDistribution":
        """The score that `to_bytes` wrote.

        Raises:
            ArtifactError: the content is not such a file.
        """
        try:
            tensors, numbers = load(content), _numbers(content)
            mean, directions = (tensors[name] for name in _TENSORS)
            blocks, n_train, n_valid = (int(numbers[name]) for name in ("blocks", "n_train", "n_valid"))
            of_distance, of_logit, offset = (
                float(numbers[name]) for name in ("distance_weight", "logit_weight", "offset")
            )
        except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
            raise ArtifactError(f"the out-of-distribution score cannot be read: {shortened(str(error))}") from None
        _check(mean, directions, blocks, (of_distance, of_logit, offset))
        return OutOfDistribution(mean, directions, blocks, of_distance, of_logit, offset, n_train, n_valid)


def fit_out_of_distribution(
    train: Float[Tensor, "n d"],
    valid: Float[Tensor, "m d"],
    logits: Float[Tensor, "m k"] | None = None,
    *,
    blocks: int = 1,
    share: float = FLAGGED_SHARE,
) -> OutOfDistribution | None:
    """The score fitted to images; None if there are fewer than 10 of either kind, or they hardly differ.

    Args:
        train: the pooled features of training images.
        valid: the pooled features of validation images.
        logits: the outputs for the validation images; None if they are not logits of labels.
        blocks: number of equal parts of the features that are scaled separately.
        share: the share of the validation images above 1.
    """
    if min(len(train), len(valid)) < MIN_IMAGES:
        return None
    rows = _unit_length(train.double(), blocks)
    mean = rows.mean(dim=0)
    directions = _principal_components(rows - mean)
    if directions.shape[1] < 2:
        return None
    parts = mean.float(), directions[:, : min(MAX_DIRECTIONS, directions.shape[1] // 2)].float().contiguous()
    counts = len(train), len(valid)
    distances = OutOfDistribution(*parts, blocks, 1.0, 0.0, 0.0, *counts).distances(valid.float()).double()
    of_distance = 1 / float(distances.std()) if float(distances.std()) > 0 else 0.0
    greatest = torch.zeros_like(distances) if logits is None else logits.double().amax(dim=1)
    of_logit = 1 / float(greatest.std()) if float(greatest.std()) > 0 else 0.0
    both = of_distance * distances - of_logit * greatest
    typical = float(both.median())
    span = _upper_quantile(both, share) - typical
    if not (of_distance > 0 and span > 0):
        return None
    return OutOfDistribution(*parts, blocks, of_distance / span, of_logit / span, -typical / span, *counts)


def _check(mean: Tensor, directions: Tensor, blocks: int, weights: Sequence[float]) -> None:
    """Raises `ArtifactError` unless shapes and numbers agree, and all is finite."""
    fits = mean.ndim == 1 and directions.ndim == 2 and len(mean) == len(directions) > 0
    fits = fits and blocks > 0 and len(mean) % blocks == 0 and mean.dtype == directions.dtype == torch.float32
    fits = fits and all(map(math.isfinite, weights)) and weights[0] > 0 and weights[1] >= 0
    if not fits or non_finite_reason({"mean": mean, "directions": directions}):
        raise ArtifactError("the out-of-distribution score cannot be used: its parts do not match, or are not finite")


def _unit_length(features: Float[Tensor, "b d"], blocks: int) -> Float[Tensor, "b d"]:
    parts = features.unflatten(1, (blocks, -1))
    return (parts / parts.norm(dim=2, keepdim=True).clamp_min(1e-12)).flatten(1)


def _principal_components(centred: Float[Tensor, "n d"]) -> Float[Tensor, "d k"]:
    """The principal directions by decreasing variance, without those of zero variance up to rounding."""
    n, d = centred.shape
    products = centred @ centred.T if n < d else centred.T @ centred
    values, vectors = torch.linalg.eigh(products)  # the smaller matrix has the same eigenvalues
    values, vectors = values.flip(0), vectors.flip(1)
    kept = values > values[0].clamp_min(1e-12) * 1e-9
    directions = vectors[:, kept]
    if n < d:
        directions = centred.T @ directions / values[kept].sqrt()
    # The sign of an eigenvector is arbitrary: with a positive greatest entry it is the same on every machine.
    return directions * directions.gather(0, directions.abs().argmax(dim=0, keepdim=True)).sign()


def _upper_quantile(distances: Float[Tensor, " m"], share: float) -> float:
    """The order statistic that a new image of the same kind exceeds with at most this probability, or the greatest.

    Vovk et al. (2005), Algorithmic Learning in a Random World, chapter 2.
    """
    ordered = distances.sort().values
    place = math.ceil((len(ordered) + 1) * (1 - share)) - 1
    return float(ordered[min(place, len(ordered) - 1)])


def _numbers(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["numbers"])
