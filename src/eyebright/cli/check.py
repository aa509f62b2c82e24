"""``eyebright check``: checks how labelled images are read and what is wrong with them, before any training."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from eyebright.cli.output import say
from eyebright.cli.progress import reading_progress

if TYPE_CHECKING:
    from eyebright.check.finding import Finding
    from eyebright.cli.command import CommandArguments

_MAX_SHOWN = 3  # files or groups of files that are printed of a finding


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.data import CheckOptions
    from eyebright.workflow.read_options import ReadOptions

    return (ReadOptions, CheckOptions)


def check(arguments: "CommandArguments") -> None:
    """Check labelled images: how their labels are read, duplicates, leaks, and problems of labels and images.

    \b
    Examples:
      eyebright check labels.csv --images photos/ --page check.html
      eyebright check annotations/instances.json --images images/ --json check.json
      eyebright check labels.csv --strict                         (exit code 1 for an error or a warning)
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.cli.option_strings import with_option_strings
    from eyebright.workflow.command_options.data import CheckOptions
    from eyebright.workflow.option import option_fields
    from eyebright.workflow.options import TrainOptions
    from eyebright.workflow.read_options import ReadOptions

    options, read_options = arguments.parse(CheckOptions), arguments.parse(ReadOptions)
    from eyebright.image.cache import ImageCache
    from eyebright.web.page import check_page_file
    from eyebright.workflow.check import check_json_file, check_source, write_check, write_check_page
    from eyebright.workflow.reading import read

    if options.json is not None:
        check_json_file(options.json)  # before the images are read
    if options.page is not None:
        check_page_file(options.page, "check")
    source = read(options.source, read_options)
    # Remedies name options of training, too.
    fields = [field for cls in (*option_classes(), TrainOptions) for field in option_fields(cls)]
    for sentence in source.messages:
        say(with_option_strings(sentence, fields))
    with reading_progress() as advance:
        result = check_source(
            source, pixels=options.pixels, cache=ImageCache.from_option(options.cache), advance=advance
        )
    say(result.summary)
    for finding in result.findings:
        for line in finding_lines(finding):
            say(with_option_strings(line, fields))
    say(result.counts)
    if options.json is not None:
        write_check(result, options.json)
        say(f"what was understood and found: {options.json}")
    if options.page is not None:
        write_check_page(result, options.page, worded=lambda sentence: with_option_strings(sentence, fields))
        say(f"page: {options.page}")
    if options.strict and not result.is_clean:
        raise typer.Exit(1)


def finding_lines(finding: "Finding") -> list[str]:
    """A finding as lines for the console: what was found, what to do, and some of the files."""
    lines = [f"{finding.severity} [{finding.kind}]: {finding.sentence}", f"    {finding.remedy}"]
    between = " = " if "duplicate" in finding.kind else ", "
    groups = [between.join(group[:_MAX_SHOWN]) + _more(group) for group in finding.groups[:_MAX_SHOWN]]
    if groups:
        lines.append(f"    {'; '.join(groups)}{_more(finding.groups)}")
    elif finding.files:
        lines.append(f"    {', '.join(finding.files[:_MAX_SHOWN])}{_more(finding.files)}")
    return lines


def _more(items: "Sequence[object]") -> str:
    return f" and {len(items) - _MAX_SHOWN:,} more" if len(items) > _MAX_SHOWN else ""
