"""What ``eyebright train`` does: here, or in each of several processes, ``python -m eyebright.cli.worker JSON``."""

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from eyebright.workflow.train_model import Options


@dataclass(frozen=True)
class Work:
    """One training.

    Args:
        source: a table or a folder.
        out: the model folder.
        reading: how to read the table.
        options: of the training.
        resume: go on from the checkpoint in ``out``.
    """

    source: Path
    out: Path
    reading: dict[str, Any]
    options: "Options"
    resume: bool

    def to_json(self) -> str:
        """The work as text."""
        reading = {name: None if value is None else str(value) for name, value in self.reading.items()}
        return json.dumps([str(self.source), str(self.out), reading, asdict(self.options), self.resume])

    @staticmethod
    def from_json(text: str) -> "Work":
        """The work that ``to_json`` wrote."""
        from eyebright.workflow.train_model import Options

        source, out, reading, options, resume = json.loads(text)
        size = options.pop("size")
        size = size if isinstance(size, int) else tuple(size)
        return Work(Path(source), Path(out), reading, Options(size=size, **options), resume)


def do(work: Work) -> None:
    """Trains, and says what came out."""
    from eyebright.sources.read import read_source
    from eyebright.train.device import is_main_process
    from eyebright.workflow.train_model import train_model

    found = read_source(work.source, **work.reading)
    train_model(found, work.out, options=work.options, resume=work.resume, say=typer.echo)
    if is_main_process():
        report, out = work.out / "report.html", work.out
        typer.echo(f"model: {out}   report: {report}   next: eyebright predict {out} IMAGES --out predictions.csv")


def main() -> None:
    """Does the work as one of several processes, which share the processors."""
    from eyebright._system.launch import run_worker

    run_worker(_share)


def _share() -> None:
    from eyebright._system.launch import share_cpus

    threads = share_cpus()
    work = Work.from_json(sys.argv[1])
    workers = threads if work.options.workers is None else work.options.workers
    do(replace(work, options=replace(work.options, workers=workers)))


if __name__ == "__main__":
    main()
