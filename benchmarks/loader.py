"""How fast images come: threads against processes, and what each stage of one image costs.

    python benchmarks/loader.py labels.csv --images photos/ [--train] [--json out.json]
    python benchmarks/loader.py labels.csv --images photos/ --cache [--json out.json]

Both give the very same batches, and stay alive between epochs. With ``--train`` the model learns from every batch, so
that reading competes with training for the processors and for the interpreter's lock, as it does in earnest.

With ``--cache`` threads read with and without a cache of decoded images: the epoch that fills it, and later ones.
"""

import copy
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from multiprocessing import active_children
from operator import itemgetter
from pathlib import Path
from typing import Any

import cv2
import measure
import sides
import torch
from peers.eyebright_side import dataloaders, make_learner
from stages import stage_times
from torch import Tensor

from eyebright._system.cpus import cpu_count
from eyebright.data.loader import Loader
from eyebright.image.cache import PixelCache
from eyebright.transforms.pipeline import Pipeline

WORKERS = (1, 2, 4)

Batches = Callable[[], Iterable[Tensor]]
Use = Callable[[Tensor], None]


def main() -> None:
    parser = sides.parser(__doc__)
    parser.add_argument("--train", action="store_true", help="learn from each batch with --arch")
    parser.add_argument("--cache", action="store_true", help="compare reading with and without a cache instead")
    parser.add_argument("--rounds", type=int, default=5, help="how often each way reads all images")
    arguments = parser.parse_args()
    measure.warn_if_busy()
    told = sides.settings(arguments, "unfrozen", *sides.labelled(arguments.data, arguments.images))
    cv2.setNumThreads(1)  # images are spread over workers already, in every way that is compared
    read = dataloaders(told).train
    read.pipeline, read.device = Pipeline(read.pipeline.transforms), torch.device("cpu")
    read.sample(0)  # what is loaded with the first image counts for no way
    use = learn_with(make_learner(told).model) if arguments.train else lambda _: None
    settings = sides.told_without_images(told) | {"train": arguments.train}
    if arguments.cache:
        measure.save(arguments.json, {"settings": settings, "caches": caches(read, use, arguments.rounds)})
        return
    ways = {f"processes {n}": passes_of(read, n, processes=True) for n in WORKERS}
    ways |= {f"threads {n}": passes_of(read, n) for n in (0, *WORKERS)}
    started = {name: first_pass(batches) for name, batches in ways.items()}
    rates = measure.alternate({name: passes(batches, use) for name, batches in ways.items()}, range(arguments.rounds))
    results = {name: started[name] | {"images/s": measure.spread(rates[name])} for name in ways}
    ratios = {str(n): measure.ratios(rates[f"processes {n}"], rates[f"threads {n}"]) for n in WORKERS}
    stages = stage_times(read, arguments.rounds)
    report(results, ratios, stages)
    measured = {"ways": results, "processes over threads": ratios, "milliseconds": stages}
    measure.save(arguments.json, {"settings": settings, **measured})


def caches(read: Loader, use: Use, rounds: int) -> dict[str, Any]:
    """Images per second without a cache and with each kind, in the epoch that fills it and in later ones; printed."""
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"no cache": None, "memory": PixelCache.in_memory(), "folder": PixelCache.in_folder(folder)}
        ways = {name: passes(passes_of(cached(read, cache), cpu_count()), use) for name, cache in kinds.items()}
        first = {name: way(0) for name, way in ways.items()}
        later = measure.alternate(ways, range(rounds))
        results = {
            name: {
                "first epoch, images/s": first[name],
                "later, images/s": measure.spread(later[name]),
                "times no cache": measure.ratios(later[name], later["no cache"]),
                "kB an image": None if cache is None else cache.store.used_bytes / len(read.dataset) / 1000,
                "found": None if cache is None else cache.hits / cache.lookups,
            }
            for name, cache in kinds.items()
        }
    print(measure.table(["cache", *results["memory"]], [[name, *one.values()] for name, one in results.items()]))
    return results


def cached(read: Loader, cache: PixelCache | None) -> Loader:
    """The same loader with a cache."""
    with_cache = copy.copy(read)
    with_cache.pipeline = replace(read.pipeline, cache=cache)
    return with_cache


def passes_of(loader: Loader, workers: int, *, processes: bool = False) -> Batches:
    """Passes over the data with so many threads, or processes; 0 reads in the thread that asks."""
    made = Loader(
        loader.dataset,
        loader.pipeline,
        bs=loader.bs,
        training=True,
        shuffle=True,
        drop_last=True,
        workers=workers,
        processes=processes,
        device=loader.device,
    )
    return lambda: map(itemgetter(0), made)


def learn_with(model: torch.nn.Module) -> Use:
    """Learning from a batch: forward and backward, with any loss."""
    device = next(model.parameters()).device
    model.train().requires_grad_()

    def use(x: Tensor) -> None:
        model(x.to(device)).square().mean().backward()
        model.zero_grad()

    return use


def first_pass(batches: Batches) -> dict[str, Any]:
    """Seconds to the first batch, and the memory that new processes have for themselves when all images are read."""
    before = active_children()
    started = time.perf_counter()
    several = iter(batches())
    next(several)
    seconds = time.perf_counter() - started
    for _ in several:
        pass
    own = [private_megabytes(child.pid) for child in active_children() if child not in before]
    return {"first batch, s": seconds, "MB of processes": sum(own) if own else None}


def private_megabytes(process: int | None) -> float:
    """Memory that a process shares with no other; NaN where the system does not tell."""
    told = Path(f"/proc/{process}/smaps_rollup")
    if not told.exists():
        return float("nan")
    lines = [line.split() for line in told.read_text().splitlines()]
    return sum(int(words[1]) for words in lines if words[0].startswith("Private_")) / 1024


def passes(batches: Batches, use: Use) -> Callable[[int], float]:
    """Images per second of a whole pass."""

    def one(_: int) -> float:
        started, images = time.perf_counter(), 0
        for x in batches():
            use(x)
            images += len(x)
        return images / (time.perf_counter() - started)

    return one


def report(
    results: Mapping[str, Mapping[str, Any]],
    ratios: Mapping[str, measure.Spread],
    stages: Mapping[str, measure.Spread],
) -> None:
    """Print the three tables."""
    columns = ["way", *next(iter(results.values()))]
    print(measure.table(columns, [[name, *one.values()] for name, one in results.items()]))
    print("\nTimes as many images with processes as with threads, round by round:\n")
    print(measure.table(["workers", "ratio"], list(ratios.items())))
    print("\nMilliseconds of one image on one thread:\n")
    print(measure.table(["stage", "ms"], list(stages.items())))


if __name__ == "__main__":
    main()
