"""``eyebright suspects``: labels that are probably wrong, using only a model folder."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments
    from eyebright.evaluation.suspects import Suspect


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.labelling import SuspectOptions

    return (SuspectOptions,)


def suspects(arguments: "CommandArguments") -> None:
    """Find labels that are probably wrong or missing, from what the heads that have not seen them say instead.

    \b
    Examples:
      eyebright suspects model/
      eyebright suspects model/ --limit 100 --out suspects.csv
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.command_options.labelling import SuspectOptions

    options = arguments.parse(SuspectOptions)
    from eyebright.workflow.suspects import make_suspects

    found = make_suspects(options)
    if found.notice:
        say(f"{found.notice}; those of all labelled images are written by eyebright train --folds 5")
    say(f"{len(found.suspects):,} suspects in {len(found.evaluation):,} images")
    for one in found.suspects[: options.limit]:
        say(_line(one))
    more = len(found.suspects) - options.limit
    if more > 0 and options.limit and options.out is None and options.json is None:
        say(f"{more:,} more; --out FILE has all of them")
    for path in (options.out, options.json):
        if path is not None:
            say(f"suspects: {path}")


def _line(one: "Suspect") -> str:
    if one.kind in ("wrong point", "wrong number"):
        return (
            f"{one.file}: {one.label} is {one.given}, predicted {one.predicted} ({one.score:.1f} standard deviations)"
        )
    copies = f"; a copy has another label: {', '.join(one.copies)}" if one.copies else ""
    if one.kind == "wrong class":
        predicted = f"predicted {one.predicted} ({one.predicted_probability:.3f})"
        return f"{one.file}: is {one.given} ({one.probability:.3f}), {predicted}{copies}"
    probability = one.probability if one.given == "yes" else 1 - one.probability
    what = "given" if one.given == "yes" else "not given"
    return f"{one.file}: {one.kind}: {one.label} is {what}, its probability is {probability:.3f}{copies}"
