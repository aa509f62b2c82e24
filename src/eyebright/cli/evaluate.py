"""``eyebright evaluate``: the scores of a saved model on labelled images that it has not seen."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say
from eyebright.cli.progress import reading_progress

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.evaluation import EvaluateOptions
    from eyebright.workflow.read_options import ReadOptions

    return (ReadOptions, EvaluateOptions)


def evaluate(arguments: "CommandArguments") -> None:
    """Score a saved model on labelled images, with intervals; save the evaluation for promises or tests on request.

    \b
    Examples:
      eyebright evaluate model/ new.csv --images photos/
      eyebright evaluate model/ new.csv --images photos/ --part promise     (then: eyebright tune model/ --promise ...)
      eyebright evaluate model/ new.csv --images photos/ --out scores.html --json scores.json
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.cli.option_strings import with_option_strings
    from eyebright.workflow.command_options.evaluation import EvaluateOptions
    from eyebright.workflow.option import option_fields
    from eyebright.workflow.read_options import ReadOptions

    options, read_options = arguments.parse(EvaluateOptions), arguments.parse(ReadOptions)
    from eyebright.workflow.evaluate import evaluate_model
    from eyebright.workflow.report import REPORT

    fields = [field for cls in option_classes() for field in option_fields(cls)]
    with reading_progress() as advance:
        scores = evaluate_model(
            options, read_options, say=lambda sentence: say(with_option_strings(sentence, fields)), advance=advance
        )
    for sentence in scores.notices:
        say(sentence)
    for row in scores.rows:
        say(f"{row.line}, on {row.rests_on}" if row.rests_on else row.line)
    if options.json is not None:
        say(f"scores: {options.json}")
    if options.out is not None:
        say(f"page: {options.out}")
    if options.part == "promise":
        say(
            f"{len(scores.evaluation):,} images are kept in {options.model} for promises; next: eyebright tune "
            f"{options.model} --promise 'precision >= 0.9'"
        )
    elif options.part is not None:
        say(
            f"{len(scores.evaluation):,} images are kept in {options.model} for testing; report: "
            f"{options.model / REPORT}"
        )
