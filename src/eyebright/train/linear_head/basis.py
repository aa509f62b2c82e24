"""Standardised features in the basis of their principal directions, in which a solver needs few steps.

The penalty of a head, the squared length of its weights, is the same in every orthonormal basis. In the basis of the
eigenvectors of the covariance the second derivatives of the objective are nearly diagonal, so that a diagonal
preconditioner serves every label and every C. With fewer images than features only directions in which the images
differ can have weights (the representer theorem; Schoelkopf, Herbrich & Smola, 2001, A Generalized Representer
Theorem), so the problem has no more unknowns than images.

Axes: n images, d features, r principal directions, r1 the directions and the intercept (the last row or column).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_BLOCK_IMAGES = 8192  # images that are standardised at a time
_RANK_TOLERANCE = 1e-14
"""Directions with less than this share of the largest variance are left out: float64 cannot distinguish them from 0."""


@dataclass(frozen=True)
class Basis:
    """Images in the coordinates of their principal directions.

    Args:
        coordinates: the coordinates of each image, and a last column of ones for the intercept.
        spectrum: the sum of squares of each column of ``coordinates``.
        directions: the unit vectors of the directions in the space of the standardised features.
        mean: the mean of each feature.
        scale: the standard deviation of each feature, at least the median one; 1 where the feature is constant.
        constant: whether each feature is constant.
    """

    coordinates: Float[Tensor, "n r1"]
    spectrum: Float[Tensor, " r1"]
    directions: Float[Tensor, "d r"]
    mean: Float[Tensor, " d"]
    scale: Float[Tensor, " d"]
    constant: Bool[Tensor, " d"]

    def head(self, solution: Float[Tensor, "r1 k"]) -> tuple[Float[Tensor, "k d"], Float[Tensor, " k"]]:
        """Weights and biases for the raw features, in float64.

        Args:
            solution: a column of weights for each output, in this basis; the last row has the intercepts.
        """
        solution = solution.double()
        weight = (self.directions @ solution[:-1]).T / self.scale
        weight[:, self.constant] = 0
        return weight, solution[-1] - weight @ self.mean


def principal_basis(features: Float[Tensor, "n d"], *, dtype: torch.dtype) -> Basis:
    """The images in the coordinates of their principal directions.

    Args:
        features: raw features of any float dtype.
        dtype: the dtype of the coordinates; everything else is float64.
    """
    mean, scale, constant = _standardisation(features)
    build = _by_images if len(features) < features.shape[1] else _by_features
    coordinates, spectrum, directions = build(features, mean, scale, dtype)
    coordinates[:, -1] = 1
    spectrum = torch.cat([spectrum, spectrum.new_full((1,), len(features))])
    return Basis(coordinates, spectrum, directions, mean, scale, constant)


def _standardisation(features: Float[Tensor, "n d"]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean and scale of each feature, and whether it is constant, by scikit-learn's rule.

    The scale is the standard deviation, but at least the median one: features that are nearly always 0 would otherwise
    get such large weights that a new image in which they are not 0 is an outlier. The mean is rounded to the dtype in
    which it is subtracted: the intercept compensates for the rounding.
    """
    n, dtype = len(features), _working_dtype(features)
    mean = _summed(features, lambda block: block) / n
    center = mean.to(dtype)
    variance = _summed(features, lambda block: (block.to(dtype) - center).double().square_()) / n
    variance = (variance - (mean - center.double()).square()).clamp(min=0)
    epsilon = torch.finfo(torch.float64).eps
    constant = variance <= n * epsilon * variance + (n * mean * epsilon).square()
    scale = variance.sqrt()
    floor = scale[~constant].median() if not constant.all() else scale.new_ones(())
    return center.double(), torch.where(constant, 1.0, scale.clamp(min=floor)), constant


def _summed(features: Float[Tensor, "n d"], function: Callable[[Tensor], Tensor]) -> Float[Tensor, " d"]:
    """The sum of a function over all images, in float64."""
    return torch.stack(
        [function(block).sum(dim=0, dtype=torch.float64) for block in features.split(_BLOCK_IMAGES)]
    ).sum(dim=0)


def _working_dtype(features: Float[Tensor, "n d"]) -> torch.dtype:
    """The dtype in which features can be centered without an error: float32, or float64 for float64 features."""
    return torch.float64 if features.dtype == torch.float64 else torch.float32


def _standardised(
    features: Float[Tensor, "b d"], mean: Float[Tensor, " d"], scale: Float[Tensor, " d"], dtype: torch.dtype
) -> Float[Tensor, "b d"]:
    """The features minus their mean, over their standard deviation."""
    working = _working_dtype(features)
    return (features.to(working) - mean.to(working)).to(dtype).div_(scale.to(dtype))


def _by_features(
    features: Float[Tensor, "n d"], mean: Float[Tensor, " d"], scale: Float[Tensor, " d"], dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates, spectrum and directions by the eigenvectors of the covariance of the features."""
    products = torch.zeros(len(mean), len(mean), dtype=torch.float64)
    for block in features.split(_BLOCK_IMAGES):
        standardised = _standardised(block, mean, scale, dtype)
        products += standardised.T @ standardised
    spectrum, directions = _kept(*torch.linalg.eigh(products))
    coordinates = torch.empty(len(features), len(spectrum) + 1, dtype=dtype)
    rotation = directions.to(dtype)
    for rows, block in zip(coordinates.split(_BLOCK_IMAGES), features.split(_BLOCK_IMAGES), strict=True):
        torch.mm(_standardised(block, mean, scale, dtype), rotation, out=rows[:, :-1])
    return coordinates, spectrum, directions


def _by_images(
    features: Float[Tensor, "n d"], mean: Float[Tensor, " d"], scale: Float[Tensor, " d"], dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor]:
    """Coordinates, spectrum and directions by the eigenvectors of the products of the images."""
    standardised = _standardised(features, mean, scale, torch.float64)
    spectrum, vectors = _kept(*torch.linalg.eigh(standardised @ standardised.T))
    lengths = spectrum.sqrt()
    coordinates = torch.empty(len(features), len(spectrum) + 1, dtype=dtype)
    coordinates[:, :-1] = vectors * lengths
    return coordinates, spectrum, standardised.T @ (vectors / lengths)


def _kept(spectrum: Float[Tensor, " e"], vectors: Float[Tensor, "m e"]) -> tuple[Tensor, Tensor]:
    """The eigenvalues and eigenvectors that are not negligible."""
    kept = spectrum > _RANK_TOLERANCE * spectrum[-1].clamp(min=torch.finfo(torch.float64).tiny)
    return spectrum[kept], vectors[:, kept].contiguous()
