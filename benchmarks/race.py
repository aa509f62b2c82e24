"""Scores of held-out images against the time from the start of a command to its finished model.

    python benchmarks/race.py labels.csv --images photos/ --run eyebright plain fastai=PEER/bin/python --json race.jsonl
    python benchmarks/race.py photos/ --run eyebright plain fastai=PEER/bin/python --json race.jsonl
    python benchmarks/race.py biwi/ --points --size 96 128 --run eyebright plain --json race.jsonl
    python benchmarks/race.py --render race.jsonl --svg race.svg

Every program gets the same images for training and validation and the same pretrained weights, runs in its own
documented way, and is run with several numbers of epochs, each a complete command. Seconds are from the start of its
process to the finished model: imports, data, training, saving, report. Not counted: the labels written in the form that
a program reads, before, and the predictions for the held-out images, after. These are scored here, by one function.

Each finished run is a line of the file of --json; a race that was broken off goes on with the runs that are missing.
"""

import argparse
import json
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from os import getloadavg, killpg
from pathlib import Path
from typing import Any

import measure
import numpy as np
import race_data
import race_entrants
import race_render
from comparison import HelpFormatter
from peers.race_protocol import PREDICTIONS, Run
from race_data import Images
from race_entrants import BENCHMARKS, BY_NAME, Entrant

from eyebright._defaults import BATCH_SIZE, IMAGE_SIZE, VALID_PCT
from eyebright.errors import EyebrightError
from eyebright.sources.source import Source
from eyebright.workflow.options import TrainOptions

SECONDS = 1800.0  # of a run


@dataclass(frozen=True)
class Entry:
    """A run that is to be made: program, number of epochs (None: its default), split and seed."""

    entrant: Entrant
    epochs: int | None
    split: int | None
    seed: int

    def key(self, arguments: argparse.Namespace, name: str) -> dict[str, Any]:
        """What tells this run from others in the file of results."""
        return {
            "set": name,
            "arch": arguments.arch,
            "size": list(sides(arguments.size)),
            "bs": arguments.bs,
            "shares": [arguments.held_out, arguments.valid],
            "split": self.split,
            "seed": self.seed,
            "entrant": self.entrant.name,
            "epochs": self.epochs,
        }


def main() -> None:
    arguments = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by a signal"))  # so that the running program ends, too
    try:
        if arguments.render is None:
            race(arguments)
        else:
            race_render.render(arguments.render, arguments.svg)
    except EyebrightError as error:
        raise SystemExit(str(error)) from None


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=HelpFormatter)
    add_data(parser)
    parser.add_argument("--run", nargs="+", default=["eyebright", "plain"], help=entrants_help(), metavar="NAME[=PATH]")
    parser.add_argument("--timm-scripts", type=Path, help="a checkout of timm with its train.py, for the entrant timm")
    parser.add_argument(
        "--arch", default=TrainOptions().backbone, help="a model of timm, for the programs that take one"
    )
    parser.add_argument("--bs", type=int, default=BATCH_SIZE, help="batch size of the others; Eyebright has its own")
    parser.add_argument("--epochs", type=int, nargs="+", default=[1, 3, 5, 10], help="lengths of training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="of training")
    parser.add_argument("--resplits", type=int, help="number of random splits (default: that of the data, or one)")
    parser.add_argument("--valid", type=float, default=VALID_PCT, help="share of the rest for validation")
    parser.add_argument("--limit", type=float, default=SECONDS / 60, help="minutes after which a run is ended")
    parser.add_argument("--render", type=Path, help="print the tables of this file of results, and run nothing")
    parser.add_argument("--svg", type=Path, help="with --render: file for the picture")
    arguments = parser.parse_args()
    if arguments.render is None and (arguments.data is None or arguments.json is None):
        parser.error("give DATA and --json FILE, or --render FILE")
    return arguments


def add_data(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the images, of their held-out part, and of the file of results."""
    parser.add_argument("data", type=Path, nargs="?", help="a table of labels, or a folder with a folder per class")
    parser.add_argument("--images", type=Path, help="the folder that the table's file names are relative to")
    parser.add_argument("--points", action="store_true", help="DATA is a folder in the format of the BIWI dataset")
    parser.add_argument("--name", help="of the set in the tables (default: the name of DATA)")
    parser.add_argument("--size", type=int, nargs="+", default=[IMAGE_SIZE], help="pixels: SIZE, or HEIGHT WIDTH")
    parser.add_argument("--held-out", type=float, default=0.3, help="share held out, if the data do not say which")
    parser.add_argument("--json", type=Path, help="file of the results, a line of JSON per run; runs in it are kept")


def entrants_help() -> str:
    """The help of ``--run``."""
    return f"programs, each with the interpreter that has it unless it is this one: {', '.join(BY_NAME)}"


def entrants(arguments: argparse.Namespace) -> list[Entrant]:
    """The programs that ``--run`` names."""
    chosen: list[Entrant] = []
    for word in arguments.run:
        name, _, python = word.partition("=")
        if name not in BY_NAME:
            raise SystemExit(f"there is no program '{name}' in the race; there are {', '.join(BY_NAME)}")
        # absolute, because the steps run in another folder, but not resolved: a venv's interpreter is a link
        python = str(Path(python).absolute()) if python else sys.executable
        chosen.append(replace(BY_NAME[name], python=python, scripts=arguments.timm_scripts))
    return chosen


def race(arguments: argparse.Namespace) -> None:
    """Makes all runs that the file of results does not have."""
    measure.warn_if_busy()
    with tempfile.TemporaryDirectory() as work:
        source = source_of(arguments, Path(work))
        chosen = entrants(arguments)
        for entrant in chosen:
            entrant.check(race_data.KINDS[source.kind])
        name = arguments.name or arguments.data.resolve().name
        weights = race_entrants.pretrained_weights(arguments.arch, Path(work, "weights"))
        done = [row["key"] for row in read_results(arguments.json) if "score" in row]
        append(arguments.json, {"machine": measure.machine(), "when": now(), "arguments": sys.argv[1:]})
        splits: dict[int | None, Images] = {}
        for number, entry in enumerate(todo := list(schedule(chosen, arguments)), start=1):
            key = entry.key(arguments, name)
            if key in done:
                continue
            if entry.split not in splits:
                splits[entry.split] = parts(source, entry.split, arguments)
            with tempfile.TemporaryDirectory(dir=work) as folder:
                run = create_run(entry, splits[entry.split], arguments, folder)
                result = make_run(entry.entrant, run, splits[entry.split], weights, arguments.limit * 60)
            append(arguments.json, {"key": key, "when": now(), **result})
            outcome = result.get("failed") or f"{result['metric']} {result['score']:.3f} in {result['seconds']:.1f} s"
            print(f"{number} of {len(todo)}: {entry.entrant.title}, epochs {entry.epochs}: {outcome}", file=sys.stderr)


def source_of(arguments: argparse.Namespace, work: Path) -> Source:
    """The labelled images of the command line."""
    if arguments.points:
        return race_data.read_biwi(arguments.data, work / "heads.csv")
    return race_data.read(arguments.data, arguments.images)


def schedule(chosen: list[Entrant], arguments: argparse.Namespace) -> Iterator[Entry]:
    """All runs: for each split and seed all lengths, for each length all programs, so that they alternate."""
    splits = [None] if arguments.resplits is None else range(arguments.resplits)
    lengths: list[int | None] = [0, None, *arguments.epochs]
    for split in splits:
        for seed in arguments.seeds:
            for epochs in lengths:
                for entrant in chosen:
                    if epochs in entrant.lengths(arguments.epochs):
                        yield Entry(entrant, epochs, split, seed)


def parts(source: Source, seed: int | None, arguments: argparse.Namespace) -> Images:
    """The parts of one split; their files are read once, so that the first program does not read from a cold disk."""
    images = race_data.split(source, seed, held_out=arguments.held_out, valid=arguments.valid)
    for image in (*images.train, *images.valid, *images.held_out):
        Path(image["path"]).read_bytes()
    return images


def create_run(entry: Entry, images: Images, arguments: argparse.Namespace, folder: str) -> Run:
    """The run in a folder, which gets its ``run.json``."""
    run = Run(
        kind=images.kind,
        train=images.train,
        valid=images.valid,
        held_out=[image["path"] for image in images.held_out],
        names=images.names,
        arch=arguments.arch,
        size=sides(arguments.size),
        bs=arguments.bs,
        epochs=entry.epochs,
        seed=entry.seed,
        folder=folder,
    )
    run.save()
    return run


def make_run(entrant: Entrant, run: Run, images: Images, weights: Mapping[str, str], limit: float) -> dict[str, Any]:
    """Score and seconds of a run; or why it failed, under "failed".

    Args:
        entrant: the program.
        run: the run, in its own folder.
        images: the parts, with the targets of the held-out images.
        weights: environment variables of the pretrained weights.
        limit: seconds after which the run is ended.
    """
    environment = race_entrants.environment(run, weights)
    load, result = getloadavg()[0], {"load": round(getloadavg()[0], 2)}
    try:
        if entrant.prepares:
            execute(entrant.step("prepare", run), environment, run, limit)
        seconds, processor = execute(entrant.train(run), environment, run, limit)
        execute(entrant.step("predict", run), environment, run, limit)
        score = race_data.score(np.load(run.path(PREDICTIONS)), images)
    except (RuntimeError, ValueError, OSError) as error:
        return {**result, "failed": str(error)}
    return {
        "load": round(max(load, getloadavg()[0]), 2),
        "metric": race_data.SCORES[images.kind][0],
        "score": score,
        "seconds": round(seconds, 2),
        "processor_seconds": round(processor, 2),
        "images": [len(images.train), len(images.valid), len(images.held_out)],
    }


def execute(command: list[str], environment: Mapping[str, str], run: Run, limit: float) -> tuple[float, float]:
    """(elapsed seconds, seconds of all processors) of a command.

    Raises:
        RuntimeError: it failed or took longer than the limit; with the last line that it printed.
    """
    log = run.path("log.txt")
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with log.open("w") as output:
        process = subprocess.Popen(
            command, cwd=BENCHMARKS, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = process.wait(limit)
        except BaseException as error:  # the limit, or an interrupted race: no program of it goes on
            killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            raise RuntimeError(f"not finished after {limit / 60:.3g} minutes") from None
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if code:
        lines = log.read_text(errors="replace").strip().splitlines() or [f"exit code {code}"]
        raise RuntimeError(lines[-1][:300])
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def sides(size: list[int]) -> tuple[int, int]:
    """(h, w) of ``--size``."""
    height, width = size * 2 if len(size) == 1 else size
    return height, width


def read_results(path: Path) -> list[dict[str, Any]]:
    """The lines of runs in a file of results; none if there is no file."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return [row for line in lines if "key" in (row := json.loads(line))]


def append(path: Path, row: Mapping[str, Any]) -> None:
    """Adds a line to a file of results."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


if __name__ == "__main__":
    main()
