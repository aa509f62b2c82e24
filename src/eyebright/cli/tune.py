"""``eyebright tune``: changes the decision of a saved model, using only its folder."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.evaluation import TuneOptions

    return (TuneOptions,)


def tune(arguments: "CommandArguments") -> None:
    """Calibrate a saved model, tune its thresholds, compute promises or prediction sets; without training.

    \b
    Examples:
      eyebright tune model/ --objective f2_macro
      eyebright tune model/ --cost fn=5,fp=1
      eyebright tune model/ --promise "precision >= 0.95"
      eyebright tune model/ --promise "precision >= 0.95" --promise "recall >= 0.9"    (between: ask a person)
      eyebright tune model/ --sets 0.9
      eyebright tune model/ --risk "missed_labels <= 0.1"
      eyebright tune model/ --undo
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.command_options.evaluation import TuneOptions

    options = arguments.parse(TuneOptions)
    from eyebright.cli.option_strings import with_option_strings
    from eyebright.workflow.option import option_fields
    from eyebright.workflow.report import REPORT
    from eyebright.workflow.tune import tune_model, undo_tuning

    fields = option_fields(TuneOptions)
    if options.undo:
        data = undo_tuning(options.model, say=say)
        say("the model decides as it did before the last change")
    else:
        data = tune_model(options, say=lambda sentence: say(with_option_strings(sentence, fields)))
    for row in data.metric_rows:
        say(row.line)
    say(f"report: {options.model / REPORT}")
