"""What ``eyebright train`` does: here, or in each of several processes, ``python -m eyebright.cli.worker JSON``."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from eyebright.cli.words import with_flags
from eyebright.workflow.option import declared, options_from_json, options_to_json
from eyebright.workflow.options import Options, ReadOptions, TrainCommand


@dataclass(frozen=True)
class Training:
    """One training.

    Args:
        source: a table or a folder.
        out: the model folder.
        reading: how the source is read.
        options: how the model is trained.
        resume: go on from the checkpoint in ``out``.
    """

    source: Path
    out: Path
    reading: ReadOptions
    options: Options
    resume: bool

    def to_json(self) -> str:
        """The training as text."""
        options = [options_to_json(self.reading), options_to_json(self.options)]
        return json.dumps([str(self.source), str(self.out), *options, self.resume])

    @staticmethod
    def from_json(text: str) -> "Training":
        """The training that ``to_json`` wrote."""
        source, out, reading, options, resume = json.loads(text)
        return Training(
            Path(source),
            Path(out),
            options_from_json(ReadOptions, reading, file="the first process"),
            options_from_json(Options, options, file="the first process"),
            resume,
        )


def run_training(training: Training) -> None:
    """Trains, and says what came out."""
    from eyebright.sources.read import read_source
    from eyebright.train.device import is_main_process
    from eyebright.workflow.train_model import train_model

    options = [each for cls in (TrainCommand, ReadOptions, Options) for each in declared(cls)]
    reading, out = training.reading, training.out
    source = read_source(
        training.source,
        images=reading.images,
        files=reading.files,
        labels=reading.labels,
        delimiter=reading.delimiter,
        kind=reading.kind,
        mirror=reading.mirror,
        unit=reading.unit,
    )
    train_model(
        source,
        out,
        options=training.options,
        resume=training.resume,
        say=lambda sentence: typer.echo(with_flags(sentence, options)),
    )
    if is_main_process():
        report = out / "report.html"
        typer.echo(f"model: {out}   report: {report}   next: eyebright predict {out} IMAGES --out predictions.csv")


def main() -> None:
    """Does the work as one of several processes, which share the processors."""
    from eyebright._system.launch import run_worker

    run_worker(_share)


def _share() -> None:
    from eyebright._system.launch import share_cpus

    share_cpus()
    run_training(Training.from_json(sys.argv[1]))


if __name__ == "__main__":
    main()
