"""``eyebright check``: says what is understood of labelled images and what is wrong with them, before any training."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from eyebright.cli.output import say

if TYPE_CHECKING:
    from eyebright.check.finding import Finding
    from eyebright.cli.command import CommandArguments
    from eyebright.workflow.check import Advance

_SHOWN = 3  # files or groups of files that are printed of a finding


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options import CheckOptions
    from eyebright.workflow.options import ReadOptions

    return (ReadOptions, CheckOptions)


def check(arguments: "CommandArguments") -> None:
    """Say what is understood of labelled images, and what is wrong with them: duplicates, leaks, labels, images.

    \b
    Examples:
      eyebright check labels.csv --images photos/ --page check.html
      eyebright check annotations/instances.json --images images/ --json check.json
      eyebright check labels.csv --strict                         (exit code 1 for an error or a warning)
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.cli.option_strings import with_option_strings
    from eyebright.workflow.command_options import CheckOptions
    from eyebright.workflow.option import option_fields
    from eyebright.workflow.options import ReadOptions

    options, given = arguments.parse(CheckOptions), arguments.parse(ReadOptions)
    from eyebright.image.cache import ImageCache
    from eyebright.web.page import check_page_file
    from eyebright.workflow.check import check_json_file, check_source, write_check, write_check_page
    from eyebright.workflow.reading import read

    if options.json is not None:
        check_json_file(options.json)  # before the images are read
    if options.page is not None:
        check_page_file(options.page, "check")
    source = read(options.source, given)
    fields = [field for cls in option_classes() for field in option_fields(cls)]
    for sentence in source.messages:
        say(with_option_strings(sentence, fields))
    with _progress() as advance:
        found = check_source(
            source, pixels=options.pixels, cache=ImageCache.from_option(options.cache), advance=advance
        )
    say(found.summary)
    for finding in found.findings:
        for line in finding_lines(finding):
            say(with_option_strings(line, fields))
    say(found.counts)
    if options.json is not None:
        write_check(found, options.json)
        say(f"what was understood and found: {options.json}")
    if options.page is not None:
        write_check_page(found, options.page, worded=lambda sentence: with_option_strings(sentence, fields))
        say(f"page: {options.page}")
    if options.strict and not found.is_clean:
        raise typer.Exit(1)


def finding_lines(finding: "Finding") -> list[str]:
    """A finding as lines for the console: what was found, what to do, and some of the files."""
    lines = [f"{finding.severity}: {finding.sentence}", f"    {finding.remedy}"]
    groups = [" = ".join(group[:_SHOWN]) + _more(group) for group in finding.groups[:_SHOWN]]
    if groups:
        lines.append(f"    {'; '.join(groups)}{_more(finding.groups)}")
    elif finding.files:
        lines.append(f"    {', '.join(finding.files[:_SHOWN])}{_more(finding.files)}")
    return lines


def _more(items: "Sequence[object]") -> str:
    return f" and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""


@contextmanager
def _progress() -> "Generator[Advance, None, None]":
    """A progress bar with the rate, on a terminal; removed at the end."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    words = {"images": "reading images", "pairs": "comparing pairs"}
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=30), MofNCompleteColumn())
    rate = TextColumn("{task.fields[rate]}")
    with Progress(
        *columns, rate, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        tasks = {what: bar.add_task(text, total=None, visible=False, rate="") for what, text in words.items()}

        def advance(what: str, done: int, total: int) -> None:
            task = tasks[what]
            speed = next((each.speed for each in bar.tasks if each.id == task), None)
            bar.update(task, completed=done, total=total, visible=True, rate=f"{speed or 0:,.0f}/s")

        yield advance
