"""How long answers take: one image with a loaded model, and many in batches, in fastai and in Eyebright.

    python benchmarks/predict.py photos/ --arch resnet34 --fastai-python PATH [--json out.json]

Both libraries get the same tensors, the same images and the same view (the middle square, resized). Each side runs in
a process of its own, in turn, and times itself: from the start to the first answer, then single answers with everything
warm, then all images in batches. Eyebright answers with ONNX Runtime and with torch, and says what reading alone and
the model alone take for the same batches. Whether the answers are the same is looked at where nothing is resized, and
where each library does that itself.
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

import measure
import numpy as np
import PIL.Image
import sides
import torch
from peers.predict_job import Answer, Settings

from eyebright import CategoryBlock, Image, Resize, get_image_files
from eyebright.inference.manifest import Manifest, save_model
from eyebright.inference.predictor import save_onnx
from eyebright.models.build import ImageModel, build_model, describe
from eyebright.train.batchnorm_statistics import recompute_statistics
from eyebright.train.device import Device
from eyebright.transforms.draw import draw_all
from eyebright.types import Size

CLASSES = ["a", "b", "c", "d", "e"]
SEEN = 64  # images that the norm layers count their statistics on
READY = 32  # images whose answers are compared without resizing


def main() -> None:
    arguments = parse()
    measure.warn_if_busy()
    images = [str(file) for file in get_image_files(arguments.images.resolve())[: arguments.count]]
    with tempfile.TemporaryDirectory() as folder:
        told = save_both(Path(folder), images, arguments)
        answers = measure.alternate(make_sides(told, arguments), range(arguments.rounds))
    results = {name: summary(side, len(images)) for name, side in answers.items()}
    against = {name: compare(answers["fastai"], side) for name, side in answers.items() if name != "fastai"}
    report(results, against)
    for name, side in answers.items():
        print(f"{name}: {side[-1]['said']}")
    record = asdict(told) | {"images": len(images), "ready": len(told.ready), "folder": None, "weights": None}
    measure.save(arguments.json, {"settings": record, "sides": results, "against": against, "answers": answers})


def parse() -> argparse.Namespace:
    """The arguments."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("images", type=Path, help="a folder of images")
    made.add_argument("--fastai-python", required=True, help="an interpreter with fastai and timm")
    made.add_argument("--arch", default="tf_efficientnet_lite0", help="tf_efficientnet_lite0/1/2, or resnet18/34/50")
    made.add_argument("--size", type=int, default=224, help="pixels (224)")
    made.add_argument("--count", type=int, default=256, help="images that are answered in batches (256)")
    made.add_argument("--singles", type=int, default=50, help="images that are answered one by one (50)")
    made.add_argument("--bs", type=int, default=32, help="images in a batch (32)")
    made.add_argument("--rounds", type=int, default=3, help="how often each side runs (3)")
    made.add_argument("--bfloat16", action="store_true", help="a further side: torch in bfloat16")
    made.add_argument("--json", type=Path, help="write everything that was measured there")
    return made.parse_args()


def save_both(folder: Path, images: list[str], arguments: argparse.Namespace) -> Settings:
    """What the sides are told; the model lies in the folder as each of them reads it."""
    size = Size(arguments.size, arguments.size)
    model = make_model(arguments.arch, size, images)
    view = (Resize(size),)
    save_model(folder / "model", Manifest(model.description, CategoryBlock(vocab=CLASSES), view), model.state_dict())
    save_onnx(folder / "model")
    torch.save(list(model.state_dict().values()), folder / "weights.pt")
    stats = (list(model.description.input.mean), list(model.description.input.std))
    return Settings(
        images,
        [save_ready(path, view, folder / f"{i}.png") for i, path in enumerate(images[:READY])],
        arguments.arch,
        tuple(size),
        CLASSES,
        stats,
        str(folder / "model"),
        str(folder / "weights.pt"),
        arguments.singles,
        arguments.bs,
    )


def save_ready(path: str, view: tuple[Resize, ...], to: Path) -> str:
    """Where the image now lies as the model sees it."""
    image = Image.create(path)
    PIL.Image.fromarray(image.warped(draw_all(view, image.shape, None).warp)).save(to)
    return str(to)


def make_model(arch: str, size: Size, images: list[str]) -> ImageModel:
    """A model that says something else for every image: a random head, and a random body where none was trained.

    Norm layers over random weights must have seen images, or the outputs are so large that every probability is 0
    or 1 and no difference would show.
    """
    trained = arch.startswith("tf_efficientnet_lite")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(describe(arch, len(CLASSES), size=size), pretrained=trained).train()
    model.body.train(not trained)
    seen = np.stack([np.asarray(Image.create(path).to_thumb(size.height).resize(size)) for path in images[:SEEN]])
    batches = torch.from_numpy(seen).permute(0, 3, 1, 2).split(16)
    recompute_statistics(model, [(batch, batch) for batch in batches], Device("cpu", "float32"))
    return model.eval()


def make_sides(told: Settings, arguments: argparse.Namespace) -> dict[str, Callable[[int], Answer]]:
    """fastai, and Eyebright with each of its runtimes."""

    def ask(python: str, module: str, settings: Settings, _: int) -> Answer:
        return sides.ask(python, module, settings)

    made = {
        "fastai": partial(ask, arguments.fastai_python, "peers.fastai_predict", told),
        "onnx": partial(ask, sys.executable, "peers.eyebright_predict", replace(told, runtime="onnx")),
        "torch": partial(ask, sys.executable, "peers.eyebright_predict", replace(told, runtime="torch")),
    }
    if arguments.bfloat16:
        reduced = replace(told, runtime="torch", precision="bfloat16")
        made["bfloat16"] = partial(ask, sys.executable, "peers.eyebright_predict", reduced)
    return made


def summary(answers: list[Answer], images: int) -> dict[str, measure.Spread | None]:
    """What a side took over the rounds."""
    bare = [one["batch"] / sum(one["bare"]) for one in answers if one["bare"]]
    return {
        "first answer, s": measure.spread([one["first"] for one in answers]),
        "one image, ms": measure.spread(medians(answers, "singles")),
        "images/s": measure.spread([images / one["batch"] for one in answers]),
        "over reading + model": measure.spread(bare) if bare else None,
    }


def compare(slow: list[Answer], fast: list[Answer]) -> dict[str, measure.Spread | float]:
    """How many times as fast the second side is, round by round, and how far its probabilities lie from the first's."""
    resized, exact = ([np.array(side[0][key]) for side in (slow, fast)] for key in ("scores", "exact"))
    return {
        "one image": measure.ratios(medians(slow, "singles"), medians(fast, "singles")),
        "its work": measure.ratios(medians(slow, "working"), medians(fast, "working")),
        "batches": measure.ratios([one["batch"] for one in slow], [one["batch"] for one in fast]),
        "first answer": measure.ratios([one["first"] for one in slow], [one["first"] for one in fast]),
        "same decisions": float(np.mean([a.argmax() == b.argmax() for a, b in zip(*exact, strict=True)])),
        "differ by": float(np.abs(exact[0] - exact[1]).max()),
        "resized, by": float(np.abs(resized[0] - resized[1]).max()),
    }


def medians(answers: list[Answer], times: Literal["singles", "working"]) -> list[float]:
    """The median time of a single answer in each round."""
    return [median(one[times]) for one in answers]


def report(
    results: dict[str, dict[str, measure.Spread | None]], against: dict[str, dict[str, measure.Spread | float]]
) -> None:
    """Print both tables."""
    print("Median [min-max] of the rounds:\n")
    print(measure.table(["side", *results["fastai"]], [[name, *one.values()] for name, one in results.items()]))
    print("\nTimes as fast as fastai, round by round, and the answers beside fastai's:\n")
    rows = [
        [name, *(f"{cell:.2g}" if isinstance(cell, float) else cell for cell in one.values())]
        for name, one in against.items()
    ]
    print(measure.table(["side", *against["onnx"]], rows), "\n")


if __name__ == "__main__":
    main()
