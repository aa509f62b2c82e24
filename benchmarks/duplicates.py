"""Whether planted duplicates are found, how many pairs are wrong, and how long that takes.

    python benchmarks/duplicates.py planted FOLDER... [--copies 50] [--seeds 3]
    python benchmarks/duplicates.py reading FOLDER [--rounds 5]
    python benchmarks/duplicates.py search [--counts 1000 10000 100000 1000000]

`planted` copies images of each folder: in eight orientations, and by chance compressed again (quality 30 to 90), sized
(0.4 to 1.3), or cropped by 5 % (each side, in all, or off the centre), or all of it. It prints how many copies are in
one group with their original, and every pair that connects other images: real duplicates of the set, or errors. Look at
them.

`reading` times the facts of each image, from which everything else is computed, beside reading and decoding each image
once, alternating; then the comparison of all images.

`search` times the search for near hashes among random hashes; the time per image should grow slowly.
"""

import argparse
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import measure
import numpy as np
import PIL.Image
from PIL.Image import Transpose

from eyebright._system.cpus import cpus_per_process
from eyebright.check.duplicates import find_duplicates
from eyebright.check.facts import read_facts
from eyebright.check.hash_search import near_hashes
from eyebright.image.image import Image
from eyebright.image.perceptual_hash import BOXES
from eyebright.io.files import get_image_files

Row = dict[str, Any]
CHANGES = ("none", "compressed", "resized", "cropped", "all")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="file for the numbers; before the command")
    commands = parser.add_subparsers(dest="command", required=True)
    planted = commands.add_parser("planted")
    planted.add_argument("folders", type=Path, nargs="+")
    planted.add_argument("--copies", type=int, default=50)
    planted.add_argument("--seeds", type=int, default=3)
    reading = commands.add_parser("reading")
    reading.add_argument("folder", type=Path)
    reading.add_argument("--rounds", type=int, default=5)
    search = commands.add_parser("search")
    search.add_argument("--counts", type=int, nargs="+", default=[10**3, 10**4, 10**5, 10**6])
    args = parser.parse_args()
    if args.command == "planted":
        runs = [(folder, seed) for folder in args.folders for seed in range(args.seeds)]
        rows = [find_planted(folder, args.copies, seed) for folder, seed in runs]
    elif args.command == "reading":
        measure.warn_if_busy()
        rows = time_reading(args.folder, args.rounds)
    else:
        measure.warn_if_busy()
        rows = time_search(args.counts)
    measure.save(args.json, {args.command: rows})


# ---------------------------------------------------------------------- planted copies


def find_planted(folder: Path, copies: int, seed: int) -> Row:
    """How many planted copies are found, and the other pairs; printed, too."""
    files = [Path(file) for file in get_image_files(folder)]
    chosen = random.Random(seed).sample(range(len(files)), min(copies, len(files) // 2))
    with tempfile.TemporaryDirectory() as target:
        planted = [write_copy(files[row], Path(target), number, seed) for number, row in enumerate(chosen)]
        paths = [*files, *planted]
        started = time.perf_counter()
        found = find_duplicates(paths, read_facts(paths))
        seconds = time.perf_counter() - started
    origin = {len(files) + number: row for number, row in enumerate(chosen)}
    codes = found.codes(whole=True)
    together = sum(int(codes[copy] == codes[row]) for copy, row in origin.items())
    others = [pair for pair in found.pairs if origin.get(pair[0], pair[0]) != origin.get(pair[1], pair[1])]
    print(f"{folder.name}, seed {seed}: {together} of {len(chosen)} copies found in {seconds:.1f} s; ", end="")
    print(f"{len(found.pairs)} pairs, {len(others)} of other images")
    for pair in others:
        print(f"    {pair.similarity:.3f} {paths[pair.first].name} {paths[pair.second].name}")
    return {"set": folder.name, "seed": seed, "copies": len(chosen), "found": together, "others": len(others)}


def write_copy(file: Path, folder: Path, number: int, seed: int) -> Path:
    """Writes a changed copy of an image; returns its path."""
    rng = random.Random(1000 * seed + number)
    image = PIL.Image.open(file).convert("RGB")
    change = rng.choice(CHANGES)
    if change in ("cropped", "all"):
        image = cropped(image, rng)
    if change in ("resized", "all"):
        scale = rng.uniform(0.4, 1.3)
        size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
        image = image.resize(size, PIL.Image.Resampling.BICUBIC)
    image = [image, *[image.transpose(turn) for turn in Transpose]][number % 8]
    path = folder / f"copy{number:04}.{rng.choice(('jpg', 'jpg', 'jpg', 'png'))}"
    image.save(path, quality=95 if change == "none" else rng.choice([30, 50, 75, 90]))
    return path


def cropped(image: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image:
    """The image without 5 % on each side, without 5 % of its width and height in the middle, or off the centre."""
    width, height = image.size
    kind = rng.choice(("side", "all", "off"))
    if kind == "off":
        left, top = rng.random() * 0.05, rng.random() * 0.05
        box = (left, top, left + 0.95, top + 0.95)
    else:
        cut = 0.05 if kind == "side" else 0.025
        box = (cut, cut, 1 - cut, 1 - cut)
    return image.crop((int(box[0] * width), int(box[1] * height), int(box[2] * width), int(box[3] * height)))


# ---------------------------------------------------------------------- time


def time_reading(folder: Path, rounds: int) -> list[Row]:
    """Seconds of the facts beside reading and decoding each image once, and of the comparison; printed, too."""
    paths = get_image_files(folder)
    threads = cpus_per_process()
    rows: list[Row] = []
    for _ in range(rounds):
        started = time.perf_counter()
        with ThreadPoolExecutor(threads) as pool:
            for _ in pool.map(decode_each, [paths[first : first + 16] for first in range(0, len(paths), 16)]):
                pass
        once = time.perf_counter() - started
        started = time.perf_counter()
        facts = read_facts(paths)
        took = time.perf_counter() - started
        rows.append({"images": len(paths), "decoded once": once, "facts": took})
        print(f"{len(paths)} images: decoded once {once:.2f} s, facts {took:.2f} s, ratio {took / once:.2f}")
    started = time.perf_counter()
    found = find_duplicates(paths, facts)
    ratio = median(row["facts"] / row["decoded once"] for row in rows)
    print(f"ratio, median: {ratio:.2f}; comparison {time.perf_counter() - started:.2f} s, ", end="")
    print(f"{len(found.pairs)} pairs")
    return rows


def decode_each(paths: Sequence[str | Path]) -> None:
    """Reads and decodes each image."""
    for path in paths:
        Image.create(path).pixels()


def time_search(counts: list[int]) -> list[Row]:
    """Seconds and memory of the search among so many random hashes; printed, too."""
    rows: list[Row] = []
    for count in counts:
        rng = np.random.default_rng(0)
        signs, magnitudes = (rng.integers(0, 2**63, (count, len(BOXES)), dtype=np.uint64) * 2 for _ in range(2))
        colours = rng.random((count, 4), dtype=np.float32)
        started = time.perf_counter()
        found = near_hashes(signs, magnitudes, colours)
        seconds = time.perf_counter() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"{count:>9,} hashes: {seconds:8.1f} s, {1e6 * seconds / count:6.0f} us each, {memory:.1f} GB at most, ",
            end="",
        )
        print(f"{len(found.first)} pairs", flush=True)
        rows.append({"hashes": count, "seconds": seconds, "gigabytes": memory})
    return rows


if __name__ == "__main__":
    main()
