"""``eyebright convert``: writes labelled images in the format of another tool."""

import shlex
from typing import TYPE_CHECKING, Any

from eyebright.cli.output import say
from eyebright.errors import count_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from eyebright.cli.command import CommandArguments


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.data import ConvertOptions
    from eyebright.workflow.read_options import ReadOptions

    return (ReadOptions, ConvertOptions)


def convert(arguments: "CommandArguments") -> None:
    """Write labelled images in the format of another tool: CSV, Parquet, COCO, Label Studio or class folders.

    \b
    Examples:
      eyebright convert export.json --images photos/ --to csv --out labels.csv
      eyebright convert labels.csv --images photos/ --to labelstudio --out tasks.json
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.cli.option_strings import with_option_strings
    from eyebright.workflow.command_options.data import ConvertOptions
    from eyebright.workflow.option import option_fields
    from eyebright.workflow.read_options import ReadOptions

    options, read_options = arguments.parse(ConvertOptions), arguments.parse(ReadOptions)
    from eyebright.sources.convert import convert_source
    from eyebright.workflow.reading import read

    source = read(options.source, read_options)
    converted = convert_source(source, options.to, options.out)
    fields = [field for cls in option_classes() for field in option_fields(cls)]
    for sentence in (*source.messages, *converted.messages):
        say(with_option_strings(sentence, fields))
    say(f"{count_text(len(source), 'image')}: {converted.path}")
    say(f"read it with: eyebright check {_words(converted.path, converted.read_options)}", whole=True)


def _words(path: "Path", options: "Mapping[str, Any]") -> str:
    """The arguments of the command line that read what was written."""
    words = [str(path)]
    for name, value in options.items():
        for element in value if isinstance(value, list) else [value]:
            words += [f"--{name}", str(element)]
    return shlex.join(words)
