"""``eyebright report``: the report of a saved model, made again from its folder."""

import typer

from eyebright.cli.command import Given
from eyebright.workflow.options import ReportOptions

CLASSES = (ReportOptions,)


def report(given: Given) -> None:
    """Make the report of a model again from its folder; the model does not run.

    \b
    Examples:
      eyebright report model/
      eyebright report model/ --images photos/ --out report.html    (the images are in another folder now)
    """  # noqa: D301 - a backspace keeps the lines as they are
    options = given.options(ReportOptions)
    from eyebright.workflow.report import REPORT, make_report

    data = make_report(options.model, images=options.images, out=options.out, normalise_by=options.normalise_by)
    for row in data.scores:
        typer.echo(row.line)
    for notice in data.notices:
        typer.echo(f"{notice}: --images FOLDER", err=True)
    typer.echo(f"report: {options.out or options.model / REPORT}")
