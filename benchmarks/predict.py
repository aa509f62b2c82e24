"""Milliseconds of one prediction with a loaded model, and images per second in batches, in fastai and in Eyebright.

    python benchmarks/predict.py photos/ --arch resnet34 --fastai-python PATH [--json out.json]

Both libraries use the same weights, images and preprocessing (centre crop to a square, resized). Each runs in a process
of its own, alternately, and measures the time from its start to the first prediction, then single predictions after
warm-up, then all images in batches. Eyebright runs with ONNX Runtime and with torch, and also measures reading alone
and the model alone for the same batches. The probabilities are compared on images that need no resizing, and on images
that each library resizes itself.
"""

import argparse
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Literal

import comparison
import measure
import numpy as np
import PIL.Image
import torch
from peers.prediction_protocol import PredictionResult, Settings

from eyebright import CategoryBlock, Image, Resize, get_image_files
from eyebright.inference.load_predictor import save_onnx
from eyebright.inference.manifest import Manifest
from eyebright.inference.save_folder import save_model
from eyebright.models.build import ImageModel, build_model, model_description
from eyebright.tasks.decision import Decision
from eyebright.train.batchnorm_statistics import recompute_statistics
from eyebright.train.device import Device
from eyebright.transforms.draw import draw_all
from eyebright.types import Size

CLASSES = ["a", "b", "c", "d", "e"]
STATISTICS_IMAGES = 64  # for the batch norm statistics
RESIZED_IMAGES = 32  # whose probabilities are compared without resizing


def main() -> None:
    arguments = parse()
    measure.warn_if_busy()
    images = [str(file) for file in get_image_files(arguments.folder.resolve())[: arguments.count]]
    with tempfile.TemporaryDirectory() as folder:
        settings = save_for_both(Path(folder), images, arguments)
        results = measure.alternate(variants(settings, arguments), range(arguments.rounds))
    summaries = {name: summary(rounds, len(images)) for name, rounds in results.items()}
    comparisons = {name: compare(results["fastai"], rounds) for name, rounds in results.items() if name != "fastai"}
    report(summaries, comparisons)
    for name, rounds in results.items():
        print(f"{name}: {rounds[-1]['configuration']}")
    record = asdict(settings) | {"images": len(images), "resized_images": len(settings.resized_images)}
    record |= {"folder": None, "weights": None}
    measured = {"variants": summaries, "comparisons": comparisons, "results": results}
    measure.save(arguments.json, {"settings": record, **measured})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=comparison.HelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of images")
    parser.add_argument("--fastai-python", required=True, help="a Python interpreter with fastai and timm")
    parser.add_argument("--arch", default="tf_efficientnet_lite0", help="tf_efficientnet_lite0/1/2, or resnet18/34/50")
    parser.add_argument("--size", type=int, default=224, help="input size in pixels")
    parser.add_argument("--count", type=int, default=256, help="number of images that are predicted in batches")
    parser.add_argument("--singles", type=int, default=50, help="number of images that are predicted one by one")
    parser.add_argument("--bs", type=int, default=32, help="batch size")
    parser.add_argument("--rounds", type=int, default=3, help="how often each library runs")
    parser.add_argument("--bfloat16", action="store_true", help="also run Eyebright with torch in bfloat16")
    comparison.add_json_argument(parser)
    return parser.parse_args()


def save_for_both(folder: Path, images: list[str], arguments: argparse.Namespace) -> Settings:
    """The settings of both libraries, after saving the model in the format of each in ``folder``."""
    size = Size(arguments.size, arguments.size)
    model = make_model(arguments.arch, size, images)
    preprocessing = (Resize(size),)
    manifest = Manifest(model.description, Decision(CategoryBlock(vocab=CLASSES)), preprocessing)
    save_model(folder / "model", manifest, model.state_dict())
    save_onnx(folder / "model")
    torch.save(list(model.state_dict().values()), folder / "weights.pt")
    stats = (list(model.description.input.mean), list(model.description.input.std))
    return Settings(
        images,
        [save_resized(path, preprocessing, folder / f"{i}.png") for i, path in enumerate(images[:RESIZED_IMAGES])],
        arguments.arch,
        (size.height, size.width),
        CLASSES,
        stats,
        str(folder / "model"),
        str(folder / "weights.pt"),
        arguments.singles,
        arguments.bs,
    )


def save_resized(path: str, preprocessing: tuple[Resize, ...], to: Path) -> str:
    """The path of the preprocessed image, saved as PNG."""
    image = Image.create(path)
    PIL.Image.fromarray(image.warped(draw_all(preprocessing, image.shape, None).warp)).save(to)
    return str(to)


def make_model(arch: str, size: Size, images: list[str]) -> ImageModel:
    """A model with a random head and a pretrained backbone (random for ResNets), whose predictions vary with the image.

    The batch norm statistics are computed from images: with random weights and initial statistics, outputs would be so
    large that all probabilities were 0 or 1, which would hide differences.
    """
    pretrained = arch.startswith("tf_efficientnet_lite")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(model_description(arch, len(CLASSES), size=size), pretrained=pretrained).train()
    model.body.train(not pretrained)
    thumbnails = [
        np.asarray(Image.create(path).to_thumb(size.height).resize(size)) for path in images[:STATISTICS_IMAGES]
    ]
    batches = torch.from_numpy(np.stack(thumbnails)).permute(0, 3, 1, 2).split(16)
    recompute_statistics(model, [(batch, batch) for batch in batches], Device("cpu", "float32"))
    return model.eval()


def variants(settings: Settings, arguments: argparse.Namespace) -> dict[str, Callable[[int], PredictionResult]]:
    """fastai, and Eyebright with each of its runtimes, by name."""

    def run(python: str, module: str, settings: Settings, _: int) -> PredictionResult:
        return comparison.run_module(python, module, settings)

    eyebright = partial(run, sys.executable, "peers.eyebright_prediction")
    named = {
        "fastai": partial(run, arguments.fastai_python, "peers.fastai_prediction", settings),
        "onnx": partial(eyebright, replace(settings, runtime="onnx")),
        "torch": partial(eyebright, replace(settings, runtime="torch")),
    }
    if arguments.bfloat16:
        named["bfloat16"] = partial(eyebright, replace(settings, runtime="torch", precision="bfloat16"))
    return named


def summary(results: list[PredictionResult], images: int) -> dict[str, measure.Spread | None]:
    """The times of one library over the rounds."""
    overhead = [
        result["batches"] / sum(result["reading_and_model"]) for result in results if result["reading_and_model"]
    ]
    return {
        "first prediction, s": measure.spread([result["first"] for result in results]),
        "one image, ms": measure.spread(medians(results, "single")),
        "images/s": measure.spread([images / result["batches"] for result in results]),
        "over reading + model": measure.spread(overhead) if overhead else None,
    }


def compare(slow: list[PredictionResult], fast: list[PredictionResult]) -> dict[str, measure.Spread | float]:
    """How many times as fast the second library is, round by round, and the differences of the probabilities."""
    scores = [np.array(results[0]["scores"]) for results in (slow, fast)]
    resized_scores = [np.array(results[0]["resized_scores"]) for results in (slow, fast)]
    return {
        "one image": measure.ratios(medians(slow, "single"), medians(fast, "single")),
        "its processor time": measure.ratios(medians(slow, "single_busy"), medians(fast, "single_busy")),
        "batches": measure.ratios([one["batches"] for one in slow], [one["batches"] for one in fast]),
        "first prediction": measure.ratios([one["first"] for one in slow], [one["first"] for one in fast]),
        "same class": float(np.mean(resized_scores[0].argmax(1) == resized_scores[1].argmax(1))),
        "largest difference": float(np.abs(resized_scores[0] - resized_scores[1]).max()),
        "with own resizing": float(np.abs(scores[0] - scores[1]).max()),
    }


def medians(results: list[PredictionResult], field: Literal["single", "single_busy"]) -> list[float]:
    """The median milliseconds of a single prediction in each round."""
    return [median(result[field]) for result in results]


def report(
    summaries: dict[str, dict[str, measure.Spread | None]],
    comparisons: dict[str, dict[str, measure.Spread | float]],
) -> None:
    """Prints both tables."""
    print("Median [min-max] of the rounds:\n")
    print(measure.table(["", *summaries["fastai"]], [[name, *row.values()] for name, row in summaries.items()]))
    print("\nTimes as fast as fastai, round by round, and probabilities compared with fastai's:\n")
    rows = [
        [name, *(f"{cell:.2g}" if isinstance(cell, float) else cell for cell in row.values())]
        for name, row in comparisons.items()
    ]
    print(measure.table(["", *comparisons["onnx"]], rows), "\n")


if __name__ == "__main__":
    main()
