"""The cost of canonical evaluation pixels, and what they change: beside the faster pixels of ``--fast-decode``.

    python benchmarks/canonical_pixels.py photos/ [--make 4000x3000] [--size 224] [--json out.json]
    python benchmarks/canonical_pixels.py photos/ --model model/ [--json out.json]

Without a model: milliseconds of processor time per image, in one thread, from a JPEG to preprocessed pixels, and the
differences of the pixels in grey levels (of 255). ``--make`` first enlarges photographs to JPEGs of this size (quality
90). With a model folder that ``eyebright train`` wrote: the validation images (``photos/`` is their folder) are
predicted with both, and their scores, the largest difference of a probability and the changed decisions are compared.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import comparison
import cv2
import measure
import numpy as np
import PIL.Image
import torch

from eyebright import Image, Resize, get_image_files, load_predictor
from eyebright.image.canonical import CANONICAL, LIBRARY_PIXELS
from eyebright.inference.model_folder import load_evaluation
from eyebright.transforms.pipeline import Pipeline


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=comparison.HelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of photographs")
    parser.add_argument("--model", type=Path, help="compare the predictions of this model folder")
    parser.add_argument("--make", help="first make JPEGs of this size, for example 4000x3000 (default: none)")
    parser.add_argument("--count", type=int, default=64, help="number of images")
    parser.add_argument("--size", type=int, default=224, help="size of the preprocessed images in pixels")
    parser.add_argument("--rounds", type=int, default=5, help="how often each version runs")
    comparison.add_json_argument(parser)
    arguments = parser.parse_args()
    if arguments.model is not None:
        measure.save(arguments.json, compare_predictions(arguments.model, arguments.folder))
        return
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as temporary:
        files = sorted(get_image_files(arguments.folder))[: arguments.count]
        if arguments.make:
            width, height = map(int, arguments.make.split("x"))
            files = enlarge(files, (width, height), Path(temporary))
        measure.save(arguments.json, compare_pixels(files, arguments.size, arguments.rounds))


def enlarge(files: Sequence[Path], size: tuple[int, int], folder: Path) -> list[Path]:
    """JPEGs of this (width, height), made from photographs."""
    made = [folder / f"{i}.jpg" for i in range(len(files))]
    for file, to in zip(files, made, strict=True):
        with PIL.Image.open(file) as image:
            image.convert("RGB").resize(size, PIL.Image.Resampling.BICUBIC).save(to, quality=90)
    return made


def compare_pixels(files: Sequence[Path], size: int, rounds: int) -> dict[str, object]:
    """Prints and returns milliseconds per image of each version, and the differences of their pixels."""
    images = [Image.create(file) for file in files]
    pipelines = {
        "legacy-1": Pipeline((Resize(size),), saved_version=LIBRARY_PIXELS),
        "canonical-1": Pipeline((Resize(size),), saved_version=CANONICAL),
        "canonical-1, fast_decode": Pipeline((Resize(size),), saved_version=CANONICAL, fast_decode=True),
    }
    times = measure.alternate({name: timed(pipeline, images) for name, pipeline in pipelines.items()}, range(rounds))
    spreads = {name: measure.spread(values) for name, values in times.items()}
    ratios = {name: measure.ratios(values, times["legacy-1"]) for name, values in times.items()}
    print(
        measure.table(["", "ms per image", "times legacy-1"], [[n, str(spreads[n]), str(ratios[n])] for n in spreads])
    )
    exact, fast = (pixels(pipelines[name], images) for name in ("canonical-1", "canonical-1, fast_decode"))
    differences = [255 * np.abs(a - b) for a, b in zip(exact, fast, strict=True)]
    mean, worst = float(np.mean(differences)), float(max(difference.max() for difference in differences))
    print(f"fast_decode changes pixels by {mean:.3f} of 255 on average, and by {worst:.1f} at most")
    return {"ms": spreads, "ratios": ratios, "mean_difference": mean, "largest_difference": worst}


def timed(pipeline: Pipeline, images: Sequence[Image]) -> Callable[[int], float]:
    """A function that preprocesses all images and returns milliseconds of processor time per image."""

    def run(_: int) -> float:
        start = time.process_time()
        pixels(pipeline, images)
        return 1000 * (time.process_time() - start) / len(images)

    return run


def pixels(pipeline: Pipeline, images: Sequence[Image]) -> list[np.ndarray]:
    """The preprocessed pixels of each image."""
    return [pipeline.preprocess(pipeline.draw(image, None)).pixels for image in images]


def compare_predictions(model: Path, folder: Path) -> dict[str, object]:
    """Prints and returns the scores of a model's validation images with each version of the pixels."""
    evaluation = replace(load_evaluation(model), root=folder)
    block, decision = evaluation.decision.target, evaluation.decision
    outputs: dict[str, torch.Tensor] = {}
    rows: list[list[str]] = []
    record: dict[str, object] = {}
    for name, fast in (("canonical-1", False), ("canonical-1, fast_decode", True)):
        scores = predict(model, evaluation.paths, fast_decode=fast)
        outputs[name] = scores
        inputs = {"decisions": decision.decide(scores), "logits": scores.log()} if block.is_categorical else {}
        values = {
            metric.name: metric(inputs.get(metric.takes, scores), evaluation.targets) for metric in block.metrics()
        }
        record[name] = values
        rows.append([name, *(f"{value:.4f}" for value in values.values())])
        names = list(values)
    print(f"{len(evaluation)} images, {block.describe()}\n")
    print(measure.table(["", *names], rows))
    exact, fast_scores = outputs.values()
    difference = (exact - fast_scores).abs()
    changed = sum(a != b for a, b in zip(decision.decode_batch(exact), decision.decode_batch(fast_scores), strict=True))
    print(f"\nscores differ by {difference.mean():.2g} on average and {difference.max():.2g} at most; ", end="")
    print(f"{changed} of {len(evaluation)} predictions change" if block.is_categorical else "")
    return {**record, "mean": difference.mean().item(), "max": difference.max().item(), "changed": changed}


def predict(model: Path, paths: Sequence[Path], *, fast_decode: bool) -> torch.Tensor:
    """The scores of the images."""
    predictor = load_predictor(model, fast_decode=fast_decode)
    if predictor.manifest.pixels_version != CANONICAL:
        raise SystemExit(f"the model has the pixels {predictor.manifest.pixels_version}; train one with this version")
    return torch.stack([prediction.activated for prediction in predictor.predict(list(paths))])


if __name__ == "__main__":
    main()
