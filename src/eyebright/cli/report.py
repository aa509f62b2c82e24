"""``eyebright report``: writes the report of a saved model again, from its folder."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.folder import ReportOptions

    return (ReportOptions,)


def report(arguments: "CommandArguments") -> None:
    """Write the report of a saved model again, using only its folder.

    \b
    Examples:
      eyebright report model/
      eyebright report model/ --images photos/ --out report.html    (the images were moved)
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.command_options.folder import ReportOptions

    options = arguments.parse(ReportOptions)
    from eyebright.workflow.report import REPORT, report_model

    data = report_model(options, say=lambda sentence: say(sentence, err=True))
    for row in data.metric_rows:
        say(row.line)
    for leak in data.leaks:
        say(leak, err=True)
    for missing in data.missing_images:
        say(f"{missing}: --images FOLDER", err=True)
    say(f"report: {options.out or options.model / REPORT}")
