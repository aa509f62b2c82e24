"""Eyebright in the comparison of prediction: ``python -m peers.eyebright_prediction < settings.json``.

Also times the two parts of batched prediction separately: reading the images with as many threads, and running the
model on pixels that are already in memory.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

import numpy as np
import torch

from eyebright import Image, load_predictor
from eyebright._choices import RuntimeName
from eyebright.inference.runtimes.base import Precision
from eyebright.transforms.draw import draw_all
from peers.prediction_protocol import print_result, read_settings, time_single_predictions

ROUNDS = 3


def main() -> None:
    settings = read_settings()
    runtime, precision = cast("RuntimeName", settings.runtime), cast("Precision", settings.precision)
    predictor = load_predictor(settings.folder, runtime=runtime, precision=precision, device="cpu")

    def read(path: str) -> np.ndarray[Any, Any]:
        image = Image.create(path)
        return image.warped(draw_all(predictor.manifest.preprocessing, image.shape, None).warp)

    def read_all() -> list[np.ndarray[Any, Any]]:
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(read, settings.images))

    result = time_single_predictions(settings, lambda path: predictor.predict(path)[0].activated.tolist())
    pixels = np.stack(read_all())
    pixel_batches = [pixels[i : i + settings.bs] for i in range(0, len(pixels), settings.bs)]
    times = [
        (
            seconds(lambda: predictor.predict(settings.images, bs=settings.bs)),
            seconds(read_all),
            seconds(lambda: [predictor.runtime.run(batch) for batch in pixel_batches]),
        )
        for _ in range(ROUNDS)
    ]
    batches, reading, model = median_round(times)
    measured = {
        "batches": batches,
        "reading_and_model": (reading, model),
        "configuration": str(predictor.runtime),
    }
    print_result({**result, **measured}, "eyebright", "onnxruntime")


def median_round(times: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """The round with the median ratio of the predictor's time to the sum of its parts."""
    return sorted(times, key=lambda round_times: round_times[0] / sum(round_times[1:]))[len(times) // 2]


def seconds(work: Callable[[], object]) -> float:
    """The elapsed time of ``work()``."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
