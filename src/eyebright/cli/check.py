"""``eyebright check``: says what is understood of labelled images, before anything is trained."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options import CheckOptions
    from eyebright.workflow.options import ReadOptions

    return (ReadOptions, CheckOptions)


def check(arguments: "CommandArguments") -> None:
    """Say what is understood of labelled images: their format, labels, parts and what is left out.

    \b
    Examples:
      eyebright check labels.csv --images photos/
      eyebright check annotations/instances.json --images images/ --json check.json
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.cli.option_strings import with_option_strings
    from eyebright.workflow.command_options import CheckOptions
    from eyebright.workflow.option import option_fields
    from eyebright.workflow.options import ReadOptions

    options, given = arguments.parse(CheckOptions), arguments.parse(ReadOptions)
    from eyebright.workflow.check import check_source, write_check
    from eyebright.workflow.reading import read

    source = read(options.source, given)
    found = check_source(source)
    fields = [field for cls in option_classes() for field in option_fields(cls)]
    for sentence in source.messages:
        say(with_option_strings(sentence, fields))
    say(found.summary)
    if options.json is not None:
        write_check(found, options.json)
        say(f"what was understood: {options.json}")
