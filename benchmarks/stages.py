"""What one image costs, stage by stage, on one thread."""

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

IMAGES = 200  # at most


def stage_times(loader: Loader, rounds: int) -> dict[str, measure.Spread]:
    """Milliseconds of each stage of one image; the last is all of them as the loader does it."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    count = min(len(loader.dataset), IMAGES)
    spent = measure.alternate(
        {name: timed(stage, count) for name, stage in _stages(loader, count).items()}, range(rounds)
    )
    spent["warp"] = [both - decode for both, decode in zip(spent["decode and warp"], spent["decode"], strict=True)]
    order = ("open", "draw", "decode", "warp", "look-up table", "stack", "everything")
    return {name: measure.spread(spent[name]) for name in order}


def timed(stage: Callable[[], Any], images: int) -> Callable[[int], float]:
    """Milliseconds for each image."""

    def one(_: int) -> float:
        started = time.perf_counter()
        stage()
        return (time.perf_counter() - started) / images * 1000

    return one


def one_pixel(warp: Warp) -> Warp:
    """The middle pixel of what the warp gives: it needs the same decoding, and next to no resampling."""
    left, top = (warp.size.width - 1) / 2, (warp.size.height - 1) / 2
    return warp.then(Warp.crop(warp.size, Size(1, 1), left=left, top=top))


def _stages(loader: Loader, count: int) -> dict[str, Callable[[], Any]]:
    """Each stage for that many images, with what the stages before it made ready."""
    transforms, chance = loader.pipeline.transforms, np.random.default_rng(0)
    paths = [item["path"] for item in loader.dataset.items[:count]]
    images = [Image.create(path) for path in paths]
    draws = [draw_all(transforms, image.shape, chance) for image in images]
    drawn = list(zip(images, draws, strict=True))
    looks = [loader.sample(i)[0] for i in range(count)]
    lit = [(look.pixels, draw.lighting) for look, draw in zip(looks, draws, strict=True)]
    groups = [range(count)[i : i + loader.bs] for i in range(0, count, loader.bs)]
    return {
        "open": lambda: [Image.create(path) for path in paths],
        "draw": lambda: [draw_all(transforms, image.shape, chance) for image in images],
        "decode": lambda: [image.warped(one_pixel(draw.warp)) for image, draw in drawn],
        "decode and warp": lambda: [image.warped(draw.warp) for image, draw in drawn],
        "look-up table": lambda: [cv2.LUT(pixels, lighting.table()) for pixels, lighting in lit],
        "stack": lambda: [loader.pipeline.finish([looks[i] for i in group], loader.device) for group in groups],
        "everything": lambda: [loader.collate([loader.sample(i) for i in group]) for group in groups],
    }
