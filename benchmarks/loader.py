"""Images per second with threads and with processes, and milliseconds of each stage of reading an image.

    python benchmarks/loader.py labels.csv --images photos/ [--train] [--json out.json]
    python benchmarks/loader.py labels.csv --images photos/ --cache [--json out.json]

Threads and processes load the same batches, and are kept between epochs. With ``--train`` the model trains on each
batch, so that reading competes with training for the processors and the GIL, as in a real training run.

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

import comparison
import cv2
import measure
import torch
from peers.eyebright_training import dataloaders, make_learner
from reading_stages import stage_times
from torch import Tensor

from eyebright._system.cpus import cpu_count
from eyebright.data.loader import Loader
from eyebright.image.cache import ImageCache
from eyebright.transforms.pipeline import Pipeline

WORKERS = (1, 2, 4)

Batches = Callable[[], Iterable[Tensor]]
Consume = Callable[[Tensor], None]


def main() -> None:
    parser = comparison.create_parser(__doc__)
    parser.add_argument("--train", action="store_true", help="train the model of --arch on each batch")
    parser.add_argument("--cache", action="store_true", help="compare reading with and without a cache instead")
    parser.add_argument("--rounds", type=int, default=5, help="how often each variant reads all images")
    arguments = parser.parse_args()
    measure.warn_if_busy()
    kind, items = comparison.labelled_items(arguments.data, arguments.images)
    settings = comparison.create_settings(arguments, "unfrozen", kind, items)
    cv2.setNumThreads(1)  # images are already distributed over workers in all variants
    train = dataloaders(settings).train
    train.pipeline, train.device = Pipeline(train.pipeline.transforms), torch.device("cpu")
    train.sample(0)  # so that no variant is charged for lazy imports
    consume = training_step(make_learner(settings).model) if arguments.train else lambda _: None
    record = comparison.settings_record(settings) | {"train": arguments.train}
    if arguments.cache:
        measure.save(arguments.json, {"settings": record, "caches": caches(train, consume, arguments.rounds)})
        return
    variants = {f"processes {n}": loader_with(train, n, processes=True) for n in WORKERS}
    variants |= {f"threads {n}": loader_with(train, n) for n in (0, *WORKERS)}
    starts = {name: first_epoch(batches) for name, batches in variants.items()}
    timed = {name: images_per_second(batches, consume) for name, batches in variants.items()}
    rates = measure.alternate(timed, range(arguments.rounds))
    summaries = {name: starts[name] | {"images/s": measure.spread(rates[name])} for name in variants}
    ratios = {str(n): measure.ratios(rates[f"processes {n}"], rates[f"threads {n}"]) for n in WORKERS}
    stages = stage_times(train, arguments.rounds)
    report(summaries, ratios, stages)
    measured = {"variants": summaries, "processes over threads": ratios, "milliseconds": stages}
    measure.save(arguments.json, {"settings": record, **measured})


def caches(train: Loader, consume: Consume, rounds: int) -> dict[str, Any]:
    """Images per second without a cache and with each kind of cache, in the first and in later epochs; also printed."""
    with tempfile.TemporaryDirectory() as folder:
        kinds = {"no cache": None, "memory": ImageCache.in_memory(), "folder": ImageCache.in_folder(folder)}
        timed = {
            name: images_per_second(loader_with(with_cache(train, cache), cpu_count()), consume)
            for name, cache in kinds.items()
        }
        first = {name: epoch(0) for name, epoch in timed.items()}
        later = measure.alternate(timed, range(rounds))
        results = {
            name: {
                "first epoch, images/s": first[name],
                "later, images/s": measure.spread(later[name]),
                "relative to no cache": measure.ratios(later[name], later["no cache"]),
                "kB per image": None if cache is None else cache.store.used_bytes / len(train.dataset) / 1000,
                "hit rate": None if cache is None else cache.hits / cache.lookups,
            }
            for name, cache in kinds.items()
        }
    print(measure.table(["cache", *results["memory"]], [[name, *row.values()] for name, row in results.items()]))
    return results


def with_cache(loader: Loader, cache: ImageCache | None) -> Loader:
    """A copy of the loader that uses the cache."""
    copied = copy.copy(loader)
    copied.pipeline = replace(loader.pipeline, cache=cache)
    return copied


def loader_with(loader: Loader, workers: int, *, processes: bool = False) -> Batches:
    """A function that starts an epoch with this number of threads or processes; 0 reads in the calling thread."""
    new = Loader(
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
    return lambda: map(itemgetter(0), new)


def training_step(model: torch.nn.Module) -> Consume:
    """A forward and backward pass with an arbitrary loss."""
    device = next(model.parameters()).device
    model.train().requires_grad_()

    def step(x: Tensor) -> None:
        model(x.to(device)).square().mean().backward()
        model.zero_grad()

    return step


def first_epoch(batches: Batches) -> dict[str, Any]:
    """Seconds until the first batch, and the private memory of new worker processes after the epoch."""
    before = active_children()
    start = time.perf_counter()
    epoch = iter(batches())
    next(epoch)
    seconds = time.perf_counter() - start
    for _ in epoch:
        pass
    megabytes = [private_megabytes(child.pid) for child in active_children() if child not in before]
    return {"first batch, s": seconds, "MB of processes": sum(megabytes) if megabytes else None}


def private_megabytes(process: int | None) -> float:
    """Memory that the process does not share with any other; NaN if the system does not report it."""
    file = Path(f"/proc/{process}/smaps_rollup")
    if not file.exists():
        return float("nan")
    lines = [line.split() for line in file.read_text().splitlines()]
    return sum(int(words[1]) for words in lines if words[0].startswith("Private_")) / 1024


def images_per_second(batches: Batches, consume: Consume) -> Callable[[int], float]:
    """A function that runs one epoch and returns its images per second."""

    def rate(_: int) -> float:
        start, images = time.perf_counter(), 0
        for x in batches():
            consume(x)
            images += len(x)
        return images / (time.perf_counter() - start)

    return rate


def report(
    summaries: Mapping[str, Mapping[str, Any]],
    ratios: Mapping[str, measure.Spread],
    stages: Mapping[str, measure.Spread],
) -> None:
    """Prints the three tables."""
    columns = ["readers", *next(iter(summaries.values()))]
    print(measure.table(columns, [[name, *row.values()] for name, row in summaries.items()]))
    print("\nImages per second with processes relative to threads, round by round:\n")
    print(measure.table(["readers", "ratio"], list(ratios.items())))
    print("\nMilliseconds per image on one thread:\n")
    print(measure.table(["stage", "ms"], list(stages.items())))


if __name__ == "__main__":
    main()
