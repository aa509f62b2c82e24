"""``eyebright push``: uploads a saved model to the Hugging Face hub, without what names files of its data."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.folder import PushOptions

    return (PushOptions,)


def push(arguments: "CommandArguments") -> None:
    """Upload a saved model to the Hugging Face hub, with a model card and without what names files of its data.

    \b
    Examples:
      eyebright push model/ owner/name --private --licence apache-2.0
      eyebright predict hf-hub:owner/name photos/ --out predictions.csv
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.cli.option_strings import with_option_strings
    from eyebright.workflow.command_options.folder import PushOptions
    from eyebright.workflow.option import option_fields

    options = arguments.parse(PushOptions)
    from eyebright.workflow.push import push_to_hub

    fields = option_fields(PushOptions)
    address = push_to_hub(
        options.model,
        options.repository,
        private=options.private,
        with_evaluation=options.with_evaluation,
        licence=options.licence,
        say=lambda sentence: say(with_option_strings(sentence, fields)),
    )
    say(f"model: {address}")
