"""``eyebright split``: a part for each image so that nothing leaks, with its reason and its proof."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options import SplitOptions
    from eyebright.workflow.options import ReadOptions

    return (ReadOptions, SplitOptions)


def split(arguments: "CommandArguments") -> None:
    """Split labelled images into training, validation and test sets so that no group is in two of them.

    \b
    Examples:
      eyebright split labels.csv --images photos/ --out split.csv
      eyebright split labels.csv --images photos/ --group patient_id --folds 5 --out folds.csv
      eyebright train labels.csv --images photos/ --split split.csv --out model/
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.cli.option_strings import with_option_strings
    from eyebright.workflow.command_options import SplitOptions
    from eyebright.workflow.option import option_fields
    from eyebright.workflow.options import ReadOptions

    options, given = arguments.parse(SplitOptions), arguments.parse(ReadOptions)
    from eyebright.workflow.reading import read
    from eyebright.workflow.split import check_out, make_split, write_split

    check_out(options.out)
    source = read(options.source, given)
    found = make_split(source, options)
    fields = [field for cls in option_classes() for field in option_fields(cls)]
    for sentence in (*source.messages, *found.messages):
        say(with_option_strings(sentence, fields))
    for name, value in found.proof.facts():
        say(f"{name}: {value}")
    if options.out is not None:
        write_split(found, options.out)
        say(f"the part of each image, and why: {options.out}")
