"""Held-out scores of the default training with other batch sizes, learning rates and numbers of epochs.

    python benchmarks/batches.py labels.csv --images photos/ --try auto 8/3e-4/5 32/3e-4/5 --json batches.jsonl
    python benchmarks/batches.py biwi/ --points --size 96 128 --try auto 8/3e-4/5 --json batches.jsonl
    python benchmarks/batches.py --render batches.jsonl

Each attempt is BATCH/RATE/EPOCHS, or "auto" for the defaults; 0 epochs are the frozen model. The parts of a split are
those of race.py with the same number. All runs are in one process, so that the imports are not measured: seconds are
CPU seconds of training. OMP_NUM_THREADS=1 makes them comparable on a busy machine. Finished runs of the file are kept.
"""

import argparse
import json
import resource
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import measure
import numpy as np
import race
import race_data
from peers import race_eyebright
from peers.race_protocol import Run
from race_data import Images

from eyebright._defaults import VALID_PCT
from eyebright.learner.fine_tuned import FineTuned
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.workflow.fine_tuning import fit
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.prepare import prepare
from eyebright.workflow.train_model import make_learner

DEFAULT = "auto"
KINDS = {"multi": "labels", "single": "class", "points": "points"}


def main() -> None:
    arguments = parse()
    if arguments.render is not None:
        render(race.read_results(arguments.render))
        return
    done = [row["key"] for row in race.read_results(arguments.json)]
    race.append(arguments.json, {"machine": measure.machine(), "arguments": sys.argv[1:]})
    with tempfile.TemporaryDirectory() as work:
        source = race.source_of(arguments, Path(work))
        for split in range(arguments.resplits):
            images = race_data.split(source, split, held_out=arguments.held_out, valid=VALID_PCT)
            folder = Path(work, str(split))
            folder.mkdir()
            table = write_table(images, race.sides(arguments.size), folder)
            for attempt in arguments.attempts:
                key = {"set": arguments.name or arguments.data.resolve().name, "split": split, "attempt": attempt}
                if key not in done:
                    row = {"key": key, **result(table, images, options(attempt, race.sides(arguments.size)), folder)}
                    race.append(arguments.json, row)
                    print(json.dumps(row), file=sys.stderr)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    race.add_data(parser)
    parser.add_argument("--try", nargs="+", default=[DEFAULT], dest="attempts", help="BATCH/RATE/EPOCHS, or auto")
    parser.add_argument("--resplits", type=int, default=5, help="number of random splits (default: 5)")
    parser.add_argument("--render", type=Path, help="print the table of this file of results, and run nothing")
    arguments = parser.parse_args()
    if arguments.render is None and (arguments.data is None or arguments.json is None):
        parser.error("give DATA and --json FILE, or --render FILE")
    return arguments


def write_table(images: Images, size: tuple[int, int], folder: Path) -> Source:
    """The images for training and validation, by the table that `eyebright train` gets in the race."""
    run = Run(
        kind=images.kind,
        train=images.train,
        valid=images.valid,
        held_out=[image["path"] for image in images.held_out],
        names=images.names,
        arch=TrainOptions().backbone,
        size=size,
        bs=0,
        epochs=None,
        seed=0,
        folder=str(folder),
    )
    race_eyebright.prepare(run)
    labels, delimiter = (None, None) if run.kind == "points" else ("labels", "|" if run.kind == "multi" else None)
    return read_source(run.path(race_eyebright.TABLE), kind=KINDS[run.kind], labels=labels, delimiter=delimiter)


def options(attempt: str, size: tuple[int, int]) -> TrainOptions:
    """The options of an attempt; the checks of the images are left out, since they are the same each time."""
    settings: dict[str, Any] = {}
    if attempt != DEFAULT:
        batch, rate, epochs = attempt.split("/")
        settings = {"bs": int(batch), "lr": float(rate), "epochs": int(epochs)}
    return TrainOptions(size=size, seed=0, check=False, progress="quiet", **settings).with_defaults()


def result(table: Source, images: Images, settings: TrainOptions, folder: Path) -> dict[str, Any]:
    """The score of the held-out images, the CPU seconds of training, and which model was kept."""
    started, checkpoint = cpu_seconds(), folder / "checkpoint.safetensors"
    prepared = prepare(table, settings, silent)
    learner = make_learner(prepared.dls, settings, silent)
    fine_tuned = fit(
        learner, settings, budget=None, groups=prepared.groups, checkpoint=checkpoint, resume=False, say=silent
    )
    seconds = cpu_seconds() - started
    checkpoint.unlink(missing_ok=True)
    predictor = learner.predictor()
    predictions = predictor.predict([image["path"] for image in images.held_out])
    if images.kind == "points":
        predicted = np.array([prediction.decoded.xy for prediction in predictions])
    else:
        columns = [list(predictor.vocab or ()).index(name) for name in images.names]
        predicted = np.array([prediction.activated[columns] for prediction in predictions])
    score = race_data.score(predicted, images)
    sizes = {"images": [len(images.train), len(images.valid), len(images.held_out)], "bs": learner.dls.bs}
    return {
        "metric": race_data.SCORES[images.kind][0],
        "score": score,
        "cpu_seconds": seconds,
        **sizes,
        **kept(fine_tuned),
    }


def kept(fine_tuned: FineTuned | None) -> dict[str, Any]:
    """Which model was kept, and the share of the fine-tuned weights in it."""
    return {} if fine_tuned is None else {"keeps_frozen": fine_tuned.keeps_frozen, "share": fine_tuned.share}


def render(rows: Sequence[Mapping[str, Any]]) -> None:
    """Prints a line for each set and attempt: the mean score over the splits that all attempts have, and the time."""
    results: dict[str, dict[str, dict[int, Mapping[str, Any]]]] = {}
    for row in rows:
        key = row["key"]
        results.setdefault(key["set"], {}).setdefault(key["attempt"], {})[key["split"]] = row
    lines = []
    for name, attempts in results.items():
        splits = sorted(set.intersection(*(set(runs) for runs in attempts.values())))
        for attempt, runs in attempts.items():
            scores = [runs[split]["score"] for split in splits]
            seconds = [runs[split]["cpu_seconds"] for split in splits]
            title = f"{name}: {runs[splits[0]]['metric']} ({len(splits)} splits)"
            lines.append(
                [title, attempt, str(measure.spread(scores)), f"{np.mean(scores):.3f}", f"{np.mean(seconds):.0f}"]
            )
    print(measure.table(["set", "attempt", "median [range]", "mean", "CPU seconds"], lines))


def cpu_seconds() -> float:
    """CPU time of this process and of those that it started and that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def silent(_: str) -> None:
    """Prints nothing."""


if __name__ == "__main__":
    main()
