"""Milliseconds of each stage of reading an image, on one thread."""

import time
from collections.abc import Callable
from typing import Any

import cv2
import measure
import numpy as np
import torch

from eyebright.data.loader import Loader
from eyebright.image.image import Image
from eyebright.image.warp import Warp
from eyebright.transforms.draw import draw_all
from eyebright.types import Size

MAX_IMAGES = 200


def stage_times(loader: Loader, rounds: int) -> dict[str, measure.Spread]:
    """Milliseconds per image of each stage; "everything" is all stages together, as the loader runs them."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    count = min(len(loader.dataset), MAX_IMAGES)
    times = measure.alternate(
        {name: timed(stage, count) for name, stage in _stages(loader, count).items()}, range(rounds)
    )
    times["warp"] = [both - decode for both, decode in zip(times["decode and warp"], times["decode"], strict=True)]
    order = ("open", "draw", "decode", "warp", "look-up table", "stack", "everything")
    return {name: measure.spread(times[name]) for name in order}


def timed(stage: Callable[[], Any], images: int) -> Callable[[int], float]:
    """A function that runs the stage and returns milliseconds per image."""

    def milliseconds(_: int) -> float:
        start = time.perf_counter()
        stage()
        return (time.perf_counter() - start) / images * 1000

    return milliseconds


def one_pixel(warp: Warp) -> Warp:
    """The warp, cropped to its middle pixel: it needs the same decoding, but almost no resampling."""
    left, top = (warp.output_size.width - 1) / 2, (warp.output_size.height - 1) / 2
    return warp.then(Warp.crop(warp.output_size, Size(1, 1), left=left, top=top))


def _stages(loader: Loader, count: int) -> dict[str, Callable[[], Any]]:
    """Each stage for ``count`` images; the results of earlier stages are computed in advance."""
    transforms, generator = loader.pipeline.transforms, np.random.default_rng(0)
    paths = [item["path"] for item in loader.dataset.items[:count]]
    images = [Image.create(path) for path in paths]
    draws = [draw_all(transforms, image.shape, generator) for image in images]
    images_and_draws = list(zip(images, draws, strict=True))
    samples = [loader.sample(i)[0] for i in range(count)]
    pixels_and_lighting = [(sample.pixels, draw.lighting) for sample, draw in zip(samples, draws, strict=True)]
    batches = [range(count)[i : i + loader.bs] for i in range(0, count, loader.bs)]
    return {
        "open": lambda: [Image.create(path) for path in paths],
        "draw": lambda: [draw_all(transforms, image.shape, generator) for image in images],
        "decode": lambda: [image.warped(one_pixel(draw.warp)) for image, draw in images_and_draws],
        "decode and warp": lambda: [image.warped(draw.warp) for image, draw in images_and_draws],
        "look-up table": lambda: [cv2.LUT(pixels, lighting.table()) for pixels, lighting in pixels_and_lighting],
        "stack": lambda: [loader.pipeline.to_batch([samples[i] for i in batch], loader.device) for batch in batches],
        "everything": lambda: [loader.collate([loader.sample(i) for i in batch]) for batch in batches],
    }
