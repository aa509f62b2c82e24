"""Saved models with random weights, for tests of prediction and export."""

import functools
from pathlib import Path

import numpy as np
import torch

from eyebright.image.canonical import CANONICAL, PixelsVersion
from eyebright.inference.manifest import Manifest
from eyebright.inference.model_folder import model_hash
from eyebright.inference.runtimes.base import ImageBatch
from eyebright.inference.runtimes.onnx_export import export_onnx
from eyebright.inference.save_folder import save_model
from eyebright.models.build import ImageModel, build_model, model_description
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.decision import Decision
from eyebright.transforms.draw import Transform
from eyebright.transforms.spatial import Resize
from eyebright.types import Size

SIZE = Size(32, 40)
CLASSES = ["blue", "green", "red"]


def small_model(seed: int = 0) -> ImageModel:
    """timm's network for tests with a head for three classes; the same for the same seed."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_model(model_description("test_resnet", len(CLASSES), size=SIZE)).eval()


def model_folder(
    folder: Path,
    *,
    seed: int = 0,
    preprocessing: tuple[Transform, ...] = (Resize(SIZE),),
    pixels_version: PixelsVersion = CANONICAL,
) -> Path:
    """The folder, in which the small model has been saved."""
    model = small_model(seed)
    manifest = Manifest(model.description, Decision(CategoryBlock(vocab=CLASSES)), preprocessing, pixels_version)
    return save_model(folder, manifest, model.state_dict())


@functools.cache
def small_graph(version: PixelsVersion = CANONICAL) -> bytes:
    """The small model as an ONNX graph, cached because the export takes seconds."""
    model = small_model()
    return export_onnx(
        model, SIZE, model_hash=model_hash(model.description, model.state_dict()), pixels_version=version
    )


def pixels(count: int, version: PixelsVersion = CANONICAL) -> ImageBatch:
    """The same ``count`` random images (n, h, w, 3) of the small model's input size on every call."""
    images = np.random.default_rng(1).integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)
    return images.astype(np.float32) / 255 if version == CANONICAL else images
