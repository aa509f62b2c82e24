"""The interface between a predictor and the library that computes a model's outputs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright._choices import Precision

ImageBatch = Shaped[np.ndarray[Any, np.dtype[Any]], "b h w c"]
"""Preprocessed images: uint8, or float32 in [0, 1]."""
ForwardFunction = Callable[[ImageBatch], Float[Tensor, "b ..."]]
"""A function from preprocessed images to the model's outputs before the activation: float32, on the CPU."""
FeatureFunction = Callable[[ImageBatch], tuple[Float[Tensor, "b ..."], Float[Tensor, "b d"]]]
"""The same, with the pooled features that the outputs are computed from: float32, on the CPU."""


@dataclass(frozen=True)
class Runtime:
    """A model that is loaded for prediction, and why this runtime was chosen.

    Args:
        name: ``"torch"`` or ``"onnx"``.
        precision: dtype in which the backbone computes.
        why: the reason for the choice, as one sentence.
        run: the function from preprocessed images of shape (batch, height, width, channels), uint8 or float32 in [0,
            1], to the model's outputs: float32, on the CPU.
        run_with_features: the same, with the pooled features of the images (`eyebright.models.split_model`) from the
            same forward pass; None for a graph that older versions exported.
    """

    name: Literal["torch", "onnx"]
    precision: Precision
    why: str
    run: ForwardFunction
    run_with_features: FeatureFunction | None = None

    def __str__(self) -> str:
        return f"{self.name}, {self.precision}: {self.why}"
