"""Eyebright's side of the comparison of predictions: ``python -m peers.eyebright_predict < settings.json``.

Beside the predictor's batches stands what they are made of: the images read by as many threads with nothing else
going on, and the runtime fed with pixels that are there already.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import torch

from eyebright import Image, load_predictor
from eyebright.transforms.draw import draw_all
from peers.predict_job import give_answer, read_settings, timed_answers

ROUNDS = 3


def main() -> None:
    settings = read_settings()
    predictor = load_predictor(settings.folder, runtime=settings.runtime, precision=settings.precision, device="cpu")

    def read(path: str) -> np.ndarray[Any, Any]:
        image = Image.create(path)
        return image.warped(draw_all(predictor.manifest.preprocessing, image.shape, None).warp)

    def read_all() -> list[np.ndarray[Any, Any]]:
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return list(pool.map(read, settings.images))

    answer = timed_answers(settings, lambda path: predictor.predict(path)[0].scores.tolist())
    pixels = np.stack(read_all())
    batches = [pixels[i : i + settings.bs] for i in range(0, len(pixels), settings.bs)]
    times = [
        (
            seconds(lambda: predictor.predict(settings.images, bs=settings.bs)),
            seconds(read_all),
            seconds(lambda: [predictor.runtime.run(batch) for batch in batches]),
        )
        for _ in range(ROUNDS)
    ]
    batch, reading, model = middle(times)
    said = {"batch": batch, "bare": (reading, model), "said": str(predictor.runtime)}
    give_answer({**answer, **said}, "eyebright", "onnxruntime")


def middle(times: list[tuple[float, float, float]]) -> tuple[float, float, float]:
    """The round whose ratio of the predictor to its parts is the median."""
    return sorted(times, key=lambda one: one[0] / (one[1] + one[2]))[len(times) // 2]


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
