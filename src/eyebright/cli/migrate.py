"""``eyebright migrate``: a model folder of an older version as one of today."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.folder import MigrateOptions

    return (MigrateOptions,)


def migrate(arguments: "CommandArguments") -> None:
    """Write a model folder of an older version as one of today; its predictions stay the same.

    \b
    Examples:
      eyebright migrate model/
      eyebright migrate model/ --out new/
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.command_options.folder import MigrateOptions

    options = arguments.parse(MigrateOptions)
    from eyebright.workflow.migrate import migrate_model

    say(f"model: {migrate_model(options.model, out=options.out, say=say)}")
