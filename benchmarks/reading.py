"""Milliseconds from an image file to its place in a finished batch: read, presize, augment, normalise; no training.

    python benchmarks/reading.py photos/ --fastai-python PATH [--json out.json]
    python benchmarks/reading.py photos/ --fastai-python PATH --make 2000x1500 --count 96 [--mosaic]

Compares fastai with none and with two worker processes (the faster one is the reference), torchvision's reference
transforms, timm's loader and Eyebright. Each runs in a process of its own, alternately. A process loads one cold epoch,
which is only reported, and then ``--epochs`` more. "whole" is the time of whole epochs, with all that a library does in
each: fastai and torchvision's references start new workers, timm and Eyebright keep theirs. "steady" excludes the
first two batches (one for each worker process) and the time until the second. Batches that were prefetched by then
favour the libraries with worker processes, less so the more batches there are.

Also measures the difference of Eyebright's validation preprocessing to a full decode with Pillow's antialiased resize,
in grey levels (of 255). ``--make`` makes large JPEGs (quality 90) from the photographs in a temporary folder: each
photograph enlarged, or with ``--mosaic`` many photographs as tiles, which have more detail than large photographs.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import comparison
import measure
from large_images import difference_to_full_decode, make_large
from peers.eyebright_training import dataloaders
from peers.reading_protocol import START, Epoch, ReadingResult
from peers.training_protocol import Item, Settings

from eyebright import get_image_files

ARCH = "resnet34"  # only its mean and std are used


def main() -> None:
    arguments = parse()
    measure.warn_if_busy()
    files = get_image_files(arguments.folder.resolve())[: arguments.count]
    with tempfile.TemporaryDirectory() as folder:
        if arguments.make is not None:
            files = make_large(files, arguments.make, Path(folder), mosaic=arguments.mosaic)
        settings = create_settings(files, arguments)
        differences = difference_to_full_decode(files, dataloaders(settings).valid.pipeline.transforms)
        results = measure.alternate(variants(settings, arguments.fastai_python), range(arguments.rounds))
        mean_bytes = sum(file.stat().st_size for file in files) / len(files)
    summaries = {name: summary(rounds) for name, rounds in results.items()}
    speed_ups = {
        name: speed_up(rounds, results["eyebright"]) for name, rounds in results.items() if name != "eyebright"
    }
    fastai = [name for name in speed_ups if name.startswith("fastai")]
    reference = min(fastai, key=lambda name: speed_ups[name]["whole"].median)
    report(summaries, speed_ups, reference)
    print(
        "\nValidation preprocessing compared with a full decode and antialiased resize: mean difference "
        f"{statistics.mean(differences):.2f} grey levels (of 255), of the worst image {max(differences):.2f}"
    )
    record = comparison.settings_record(settings)
    record |= {"kB": mean_bytes / 1000, "make": arguments.make, "mosaic": arguments.mosaic}
    measured = {
        "variants": summaries,
        "speed-ups": speed_ups,
        "reference": reference,
        "differences": measure.spread(differences),
    }
    measure.save(arguments.json, {"settings": record, **measured, "results": results})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=comparison.HelpFormatter)
    parser.add_argument("folder", type=Path, help="a folder of photographs")
    parser.add_argument("--fastai-python", required=True, help="a Python interpreter with fastai and timm")
    parser.add_argument("--count", type=int, default=480, help="number of images to use, or to make")
    parser.add_argument("--make", type=width_and_height, help="first make JPEGs of this size, for example 2000x1500")
    parser.add_argument("--mosaic", action="store_true", help="with --make: tiles of several photographs")
    parser.add_argument("--size", type=int, default=224, help="size of the finished images in pixels")
    parser.add_argument("--bs", type=int, default=32, help="batch size")
    parser.add_argument("--epochs", type=int, default=2, help="timed epochs in each process, after a cold one")
    parser.add_argument("--rounds", type=int, default=3, help="how often each library runs")
    comparison.add_json_argument(parser)
    return parser.parse_args()


def width_and_height(text: str) -> tuple[int, int]:
    """The two numbers in text such as ``2000x1500``."""
    width, height = map(int, text.split("x"))
    return width, height


def create_settings(files: Sequence[Path], arguments: argparse.Namespace) -> Settings:
    """The settings: all images as training set, and the first also as validation set, which the libraries require."""
    if len(files) < (START + 1) * arguments.bs:
        raise SystemExit(f"{len(files)} images are fewer than {START + 1} batches of {arguments.bs}")
    items = [Item(path=str(file), target="ab"[i % 2], valid=False) for i, file in enumerate(files)]
    items.append(Item(path=str(files[0]), target="a", valid=True))
    for item in items:  # so that the first library does not have to read from a cold disk cache
        Path(item["path"]).read_bytes()
    size = (arguments.size, arguments.size)
    return Settings("single", items, ARCH, size, arguments.bs, 0.0, "reading", epochs=arguments.epochs)


def variants(settings: Settings, fastai_python: str) -> dict[str, Callable[[int], ReadingResult]]:
    """The loaders of all libraries by name."""
    variant = comparison.variant
    return {
        "fastai, 0 workers": variant(fastai_python, "peers.fastai_reading", replace(settings, num_workers=0)),
        "fastai, 2 workers": variant(fastai_python, "peers.fastai_reading", replace(settings, num_workers=2)),
        "torchvision": variant(sys.executable, "peers.torchvision_reading", settings),
        "timm": variant(sys.executable, "peers.timm_reading", settings),
        "eyebright": variant(sys.executable, "peers.eyebright_reading", settings),
    }


def summary(results: Sequence[ReadingResult]) -> dict[str, measure.Spread]:
    """Seconds of the start-up and milliseconds per image; each round is represented by the median of its epochs."""
    return {
        "start_up, s": measure.spread([result["start_up"] for result in results]),
        "cold, ms": measure.spread([whole(result["cold"]) for result in results]),
        "whole, ms": measure.spread(medians(results, whole)),
        "steady, ms": measure.spread(medians(results, steady)),
    }


def speed_up(slow: Sequence[ReadingResult], fast: Sequence[ReadingResult]) -> dict[str, measure.Spread]:
    """How many times as fast the second library is, round by round."""
    return {
        "whole": measure.ratios(medians(slow, whole), medians(fast, whole)),
        "steady": measure.ratios(medians(slow, steady), medians(fast, steady)),
    }


def medians(results: Sequence[ReadingResult], time_of: Callable[[Epoch], float]) -> list[float]:
    """The median over the epochs of each round."""
    return [statistics.median(map(time_of, result["epochs"])) for result in results]


def whole(epoch: Epoch) -> float:
    """Milliseconds per image of the whole epoch."""
    return 1000 * epoch["whole"] / epoch["images"]


def steady(epoch: Epoch) -> float:
    """Milliseconds per image after the start of the epoch."""
    return 1000 * (epoch["whole"] - epoch["start"]) / (epoch["images"] - epoch["start_images"])


def report(
    summaries: Mapping[str, Mapping[str, measure.Spread]],
    speed_ups: Mapping[str, Mapping[str, measure.Spread]],
    reference: str,
) -> None:
    """Prints both tables."""
    print("Milliseconds per image, median [min-max] of the rounds:\n")
    print(measure.table(["", *summaries["eyebright"]], [[name, *row.values()] for name, row in summaries.items()]))
    print("\nEyebright is this many times as fast, round by round:\n")
    rows = [[f"{name} (reference)" if name == reference else name, *row.values()] for name, row in speed_ups.items()]
    print(measure.table(["as", "whole epochs", "steady"], rows))


if __name__ == "__main__":
    main()
