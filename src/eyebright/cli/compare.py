"""``eyebright compare``: two saved models on the images that both evaluated."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyebright.cli.command import CommandArguments
    from eyebright.evaluation.model_comparison import ImageChange


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.evaluation import CompareOptions

    return (CompareOptions,)


def compare(arguments: "CommandArguments") -> None:
    """Compare two saved models on the images that both evaluated: scores with intervals, and which images changed.

    \b
    Examples:
      eyebright compare model-a/ model-b/
      eyebright compare model-a/ model-b/ --out changes.html --json changes.json
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.command_options.evaluation import CompareOptions

    options = arguments.parse(CompareOptions)
    from eyebright.report.comparison import comparison_sentences
    from eyebright.workflow.compare import make_comparison

    found = make_comparison(options)
    for sentence in comparison_sentences(found):
        say(sentence)
    _say_images("worse", found.worse, options.show)
    _say_images("better", found.better, options.show)
    if options.out is not None:
        say(f"comparison: {options.out}")


def _say_images(how: str, changes: "Sequence[ImageChange]", most: int) -> None:
    for change in changes[:most]:
        truth, before, after = (text or "none" for text in (change.truth, *change.answers))
        say(f"{how}: {change.file}: target {truth}; from {before} to {after}")
    if len(changes) > most > 0:
        say(f"{how}: {len(changes) - most:,} more; --json FILE has all of them")
