"""``eyebright export``: a saved model as a graph for other programs, or as a page that answers in a browser."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.folder import ExportOptions

    return (ExportOptions,)


def export(arguments: "CommandArguments") -> None:
    """Export a saved model: a graph for another runtime, or an HTML page; and prove that it answers the same.

    \b
    Examples:
      eyebright export model/ --to onnx
      eyebright export model/ --to onnx --out shipped/
      eyebright export model/ --to openvino
      eyebright export model/ --to torch-export
      eyebright export model/ --to page
      eyebright export model/ --check
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.command_options.folder import ExportOptions

    options = arguments.parse(ExportOptions)
    from eyebright.cli.option_strings import with_option_strings
    from eyebright.workflow.export import export_model
    from eyebright.workflow.option import option_fields

    fields = option_fields(ExportOptions)
    export_model(options, say=lambda sentence: say(with_option_strings(sentence, fields)))
