"""How fast images become finished batches: read, presized, augmented, normalised, on all processors, nobody learning.

    python benchmarks/reading.py photos/ --fastai-python PATH [--json out.json]
    python benchmarks/reading.py photos/ --fastai-python PATH --make 2000x1500 --count 96 [--mosaic]

Sides: fastai with none and with two worker processes (the better one counts), torchvision's reference transforms,
timm's loader, Eyebright. Each runs in a process of its own, in turn. A process reads one epoch cold, which is only
reported, and then ``--epochs`` more. A whole epoch holds all that a library does for each epoch: fastai and
torchvision's references start their workers anew, timm and Eyebright keep theirs. "Steady" leaves out the first two
batches, one for each worker process, and the time to the second. What was read ahead by then favours the libraries that
have worker processes, the less the more batches there are.

It also says how far Eyebright's validation preprocessing is from a full decode with Pillow's antialiased resize of the
same part of the image, in grey levels of 255. ``--make`` writes large JPEGs (quality 90) out of the photographs into a
temporary folder: each photograph enlarged, or, with ``--mosaic``, many tiles, which hold more detail than photographs.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import measure
import sides
from peers.eyebright_side import dataloaders
from peers.job import Item, Settings
from peers.reading_job import START, Epoch, ReadingAnswer
from views import difference_to_full_decode, make_large

from eyebright import get_image_files

ARCH = "resnet34"  # whose mean and standard deviation the images are normalised with


def main() -> None:
    arguments = parse()
    measure.warn_if_busy()
    files = get_image_files(arguments.images_in.resolve())[: arguments.count]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.make is not None:
            files = make_large(files, arguments.make, Path(folder), mosaic=arguments.mosaic)
        told = settings(files, arguments)
        differences = difference_to_full_decode(files, dataloaders(told).valid.pipeline.transforms)
        answers = measure.alternate(make_sides(told, arguments.fastai_python), range(arguments.rounds))
        size = sum(file.stat().st_size for file in files) / len(files)
    results = {name: summary(side) for name, side in answers.items()}
    ratios = {name: against(side, answers["eyebright"]) for name, side in answers.items() if name != "eyebright"}
    counts = min((name for name in ratios if name.startswith("fastai")), key=lambda name: ratios[name]["whole"].median)
    report(results, ratios, counts)
    print(
        "\nValidation views beside a full decode with an antialiased resize: "
        f"{statistics.mean(differences):.2f} grey levels of 255 on average, {max(differences):.2f} at most"
    )
    record = sides.told_without_images(told) | {"kB": size / 1000, "make": arguments.make, "mosaic": arguments.mosaic}
    measured = {
        "sides": results,
        "times as fast": ratios,
        "fastai that counts": counts,
        "differences": measure.spread(differences),
    }
    measure.save(arguments.json, {"settings": record, **measured, "answers": answers})


def parse() -> argparse.Namespace:
    """The arguments."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("images_in", metavar="images", type=Path, help="a folder of photographs")
    made.add_argument("--fastai-python", required=True, help="an interpreter with fastai and timm")
    made.add_argument("--count", type=int, default=480, help="use, or make, that many (480)")
    made.add_argument("--make", type=width_and_height, help="first make JPEGs of this size, such as 2000x1500")
    made.add_argument("--mosaic", action="store_true", help="with --make: tiles of photographs, not one enlarged")
    made.add_argument("--size", type=int, default=224, help="pixels of a finished image (224)")
    made.add_argument("--bs", type=int, default=32, help="images in a batch (32)")
    made.add_argument("--epochs", type=int, default=2, help="that count in each process, after a cold one (2)")
    made.add_argument("--rounds", type=int, default=3, help="how often each side runs (3)")
    made.add_argument("--json", type=Path, help="write everything that was measured there")
    return made.parse_args()


def width_and_height(text: str) -> tuple[int, int]:
    """The two numbers of ``2000x1500``."""
    width, height = map(int, text.split("x"))
    return width, height


def settings(files: Sequence[Path], arguments: argparse.Namespace) -> Settings:
    """What all sides are told. The first image stands there once more, because libraries want to validate."""
    if len(files) < (START + 1) * arguments.bs:
        raise SystemExit(f"{len(files)} images are fewer than {START + 1} batches of {arguments.bs}")
    items = [Item(path=str(file), answer="ab"[i % 2], valid=False) for i, file in enumerate(files)]
    items.append(Item(path=str(files[0]), answer="a", valid=True))
    for item in items:  # so that the side that comes first need not wait for the disk
        Path(item["path"]).read_bytes()
    size = (arguments.size, arguments.size)
    return Settings("single", items, ARCH, size, arguments.bs, 0.0, "reading", epochs=arguments.epochs)


def make_sides(told: Settings, fastai_python: str) -> dict[str, Callable[[int], ReadingAnswer]]:
    """Each library's way to read."""
    return {
        "fastai, 0 workers": sides.side(fastai_python, "peers.fastai_reading", replace(told, workers=0)),
        "fastai, 2 workers": sides.side(fastai_python, "peers.fastai_reading", replace(told, workers=2)),
        "torchvision": sides.side(sys.executable, "peers.torchvision_reading", told),
        "timm": sides.side(sys.executable, "peers.timm_reading", told),
        "eyebright": sides.side(sys.executable, "peers.eyebright_reading", told),
    }


def summary(answers: Sequence[ReadingAnswer]) -> dict[str, measure.Spread]:
    """Seconds of the start-up, and milliseconds for each image; each round counts with the median of its epochs."""
    return {
        "start_up, s": measure.spread([one["start_up"] for one in answers]),
        "cold, ms": measure.spread([whole(one["cold"]) for one in answers]),
        "whole, ms": measure.spread(medians(answers, whole)),
        "steady, ms": measure.spread(medians(answers, steady)),
    }


def against(slow: Sequence[ReadingAnswer], fast: Sequence[ReadingAnswer]) -> dict[str, measure.Spread]:
    """How many times as long the first side took for an image, round by round."""
    return {
        "whole": measure.ratios(medians(slow, whole), medians(fast, whole)),
        "steady": measure.ratios(medians(slow, steady), medians(fast, steady)),
    }


def medians(answers: Sequence[ReadingAnswer], each: Callable[[Epoch], float]) -> list[float]:
    """Of the epochs of each round."""
    return [statistics.median(map(each, one["epochs"])) for one in answers]


def whole(epoch: Epoch) -> float:
    """Milliseconds for each image of the epoch."""
    return 1000 * epoch["whole"] / epoch["images"]


def steady(epoch: Epoch) -> float:
    """Milliseconds for each image after the start of the epoch."""
    return 1000 * (epoch["whole"] - epoch["start"]) / (epoch["images"] - epoch["in_start"])


def report(
    results: Mapping[str, Mapping[str, measure.Spread]], ratios: Mapping[str, Mapping[str, measure.Spread]], counts: str
) -> None:
    """Print both tables."""
    print("Milliseconds for each image, median [min-max] of the rounds:\n")
    print(measure.table(["side", *results["eyebright"]], [[name, *one.values()] for name, one in results.items()]))
    print("\nEyebright is so many times as fast, round by round:\n")
    rows = [[f"{name} (counts)" if name == counts else name, *one.values()] for name, one in ratios.items()]
    print(measure.table(["as", "whole epochs", "steady"], rows))


if __name__ == "__main__":
    main()
