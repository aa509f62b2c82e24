"""``eyebright split``: a part for each image so that nothing leaks, with its reason and its summary."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say
from eyebright.cli.progress import reading_progress

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.data import SplitOptions
    from eyebright.workflow.read_options import ReadOptions

    return (ReadOptions, SplitOptions)


def split(arguments: "CommandArguments") -> None:
    """Split labelled images into training, validation and test sets: groups and copies stay in one part.

    \b
    Examples:
      eyebright split labels.csv --images photos/ --out split.csv
      eyebright split labels.csv --images photos/ --group patient_id --folds 5 --out folds.csv
      eyebright train labels.csv --images photos/ --split split.csv --out model/
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.cli.option_strings import with_option_strings
    from eyebright.workflow.command_options.data import SplitOptions
    from eyebright.workflow.option import option_fields
    from eyebright.workflow.read_options import ReadOptions

    options, read_options = arguments.parse(SplitOptions), arguments.parse(ReadOptions)
    from eyebright.image.cache import ImageCache
    from eyebright.workflow.check import same_images
    from eyebright.workflow.reading import read
    from eyebright.workflow.split import check_out, make_split, write_split

    check_out(options.out)
    source = read(options.source, read_options)
    same = None
    if options.pixels:
        with reading_progress() as advance:
            same = same_images(source, cache=ImageCache.from_option(options.cache), advance=advance)
    new_split = make_split(source, options, same=same)
    fields = [field for cls in option_classes() for field in option_fields(cls)]
    for sentence in (*source.messages, *new_split.messages):
        say(with_option_strings(sentence, fields))
    for name, value in new_split.summary.facts():
        say(f"{name}: {value}")
    if options.out is not None:
        write_split(new_split, options.out)
        say(f"the part of each image, and why: {options.out}")
