"""``eyebright suggest``: which images to label next, and what the model proposes for them."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.labelling import SuggestOptions

    return (SuggestOptions,)


def suggest(arguments: "CommandArguments") -> None:
    """Suggest which images without labels to label next, in the order in which that teaches most.

    \b
    Examples:
      eyebright suggest model/ new/
      eyebright suggest model/ new/ --count 200 --out suggested.csv
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.command_options.labelling import SuggestOptions

    options = arguments.parse(SuggestOptions)
    from eyebright.cli.progress import share_progress
    from eyebright.workflow.suggest import suggest as suggest_images

    with share_progress("computing features") as progress:
        suggestions = suggest_images(options, say=lambda text: say(text, err=True), progress=progress)
    target = suggestions.manifest.target
    if options.out is None and options.json is None:
        for image in suggestions.images:
            proposed = target.text(suggestions.manifest.decision.decode(image.activated))
            say(f"{image.path}: {proposed or '-'} ({image.why})")
    say(f"{len(suggestions.images):,} of {suggestions.n_unlabelled:,} images without labels", err=True)
    for path in (options.out, options.json):
        if path is not None:
            say(f"suggestions: {path}")
