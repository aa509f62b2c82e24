"""Evaluates a saved model on labelled images: the outputs of `load_predictor(folder).predict` with the targets."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from eyebright._choices import EvaluatedPart
from eyebright.errors import DataError, InputError
from eyebright.evaluation.evaluation import Evaluation
from eyebright.image.warp import Warp
from eyebright.inference.manifest import Manifest
from eyebright.inference.predictions import SkippedImage
from eyebright.io.file_hash import file_hashes
from eyebright.io.files import common_folder, relative_name


class ImageOutputs(NamedTuple):
    """The model's outputs for one image.

    Args:
        outputs: the outputs before calibration and activation, in the user's units.
        warp: the warp from the original image to the input of the model.
    """

    outputs: Float[Tensor, " k"]
    warp: Warp


class Evaluated(NamedTuple):
    """An evaluation, and the skipped images.

    Args:
        evaluation: the evaluation of the images that could be read; its `indices` are their positions among all given
            images.
        skipped: the reason for each image that could not be read, by its path.
    """

    evaluation: Evaluation
    skipped: Mapping[str, str]


class OutputsOf(Protocol):
    """The part of a predictor that an evaluation needs: its manifest, its hash, and the outputs for images."""

    manifest: Manifest

    def model_hash(self) -> str:
        """A hash of the model and its weights."""
        ...

    def outputs(self, sources: Iterable[Any], *, bs: int = ...) -> Iterator[ImageOutputs | SkippedImage]:
        """The outputs for each image."""
        ...


def evaluate_images(
    predictor: OutputsOf, images: Sequence[Any], targets: Sequence[Any], *, part: EvaluatedPart, bs: int
) -> Evaluated:
    """The model's outputs for labelled images, with their targets.

    Args:
        predictor: the predictor of the saved model.
        images: the images, each a path, bytes, an array, a tensor or a Pillow image.
        targets: the target of each image, in a form that the target block reads; unknown values are NaN or in a
            `LabelSet`.
        part: what the images are for.
        bs: number of images in a batch.

    Raises:
        DataError: the numbers of targets and images differ, or a target has a label that the model lacks.
        InputError: no image can be read, or a source has another type.
    """
    if len(images) != len(targets):
        raise DataError(f"each image needs a target, got {len(images):,} images and {len(targets):,} targets")
    manifest = predictor.manifest
    encoded = [_encoded(manifest, target, i) for i, target in enumerate(targets)]
    results = list(predictor.outputs(images, bs=bs))
    read = [(i, result) for i, result in enumerate(results) if isinstance(result, ImageOutputs)]
    if not read:
        reason = next((result.reason for result in results if isinstance(result, SkippedImage)), "there is none")
        raise InputError(f"no image to evaluate: none of the {len(images):,} images can be read ({reason})")
    rows, image_outputs = [i for i, _ in read], [result for _, result in read]
    paths = [str(images[i]) if isinstance(images[i], (str, Path)) else None for i in rows]
    root = common_folder([path for path in paths if path is not None])
    evaluation = Evaluation(
        manifest.decision,
        torch.stack([result.outputs for result in image_outputs]).float(),
        torch.stack([encoded[i] for i in rows]),
        tuple(relative_name(path, root) if path else f"item {i}" for i, path in zip(rows, paths, strict=True)),
        root,
        torch.tensor([result.warp.input_size for result in image_outputs], dtype=torch.int64),
        tuple(rows),
        tuple(result.warp for result in image_outputs),
        part=part,
        training=manifest.targets,
        weights=predictor.model_hash(),
        hashes=file_hashes(paths),
    )
    return Evaluated(evaluation, {item.path: item.reason for item in results if isinstance(item, SkippedImage)})


def _encoded(manifest: Manifest, target: Any, i: int) -> Tensor:
    """The encoded target of the i-th image, in the user's units."""
    block = manifest.target
    try:
        return block.encode(block.read(target))
    except InputError as error:
        raise DataError(f"the target of image {i}: {error}") from None
