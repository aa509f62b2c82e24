"""Runs a training job: in this process, or as one of several with ``python -m eyebright.cli.worker JSON``."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from eyebright.cli.option_strings import with_option_strings
from eyebright.cli.output import say
from eyebright.workflow.command_options.training import TrainCommandOptions
from eyebright.workflow.option import option_fields, options_from_json, options_to_json
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.read_options import ReadOptions


@dataclass(frozen=True)
class TrainingJob:
    """All that one training run needs, in a form that can be passed to another process.

    Args:
        source: the table of labels or the folder of images.
        out: the model folder.
        reading: how the source is read.
        options: how the model is trained.
        resume: True to continue from the checkpoint in ``out``.
        started: when the command began, as ``time.time()``.
    """

    source: Path
    out: Path
    reading: ReadOptions
    options: TrainOptions
    resume: bool
    started: float

    def to_json(self) -> str:
        """The job as a JSON text."""
        options = [options_to_json(self.reading), options_to_json(self.options)]
        return json.dumps([str(self.source), str(self.out), *options, self.resume, self.started])

    @staticmethod
    def from_json(text: str) -> "TrainingJob":
        """The job from the text that `to_json` returned."""
        source, out, reading, options, resume, started = json.loads(text)
        return TrainingJob(
            Path(source),
            Path(out),
            options_from_json(ReadOptions, reading, file="the first process"),
            options_from_json(TrainOptions, options, file="the first process"),
            resume,
            started,
        )


def run_training(job: TrainingJob) -> None:
    """Trains a model and prints the messages, the scores and the paths of the results.

    Raises:
        EyebrightError: as in `eyebright.workflow.train_model.train_model`.
    """
    from eyebright.train.device import is_main_process
    from eyebright.workflow.reading import read
    from eyebright.workflow.train_model import train_model

    fields = [field for cls in (TrainCommandOptions, ReadOptions, TrainOptions) for field in option_fields(cls)]
    out = job.out
    source = read(job.source, job.reading)
    train_model(
        source,
        out,
        options=job.options,
        resume=job.resume,
        started=job.started,
        say=lambda sentence: say(with_option_strings(sentence, fields)),
    )
    if is_main_process():
        report = out / "report.html"
        say(f"model: {out}   report: {report}   next: eyebright predict {out} IMAGES --out predictions.csv")


def main() -> None:
    """Runs the job in the first command-line argument, as one of several processes."""
    from eyebright._system.launch import run_worker

    run_worker(_run_job)


def _run_job() -> None:
    from eyebright._system.launch import share_cpus

    share_cpus()
    run_training(TrainingJob.from_json(sys.argv[1]))


if __name__ == "__main__":
    main()
