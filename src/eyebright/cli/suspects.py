"""``eyebright suspects``: labels that are probably wrong, using only a model folder."""

from typing import TYPE_CHECKING

from eyebright.cli.output import say
from eyebright.errors import count_text

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments
    from eyebright.evaluation.suspects import Suspect


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.labelling import SuspectOptions

    return (SuspectOptions,)


def suspects(arguments: "CommandArguments") -> None:
    """Find labels that are probably wrong or missing, from the predictions of heads that have not seen them.

    \b
    Examples:
      eyebright suspects model/
      eyebright suspects model/ --limit 100 --out suspects.csv
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.workflow.command_options.labelling import SuspectOptions

    options = arguments.parse(SuspectOptions)
    from eyebright.workflow.suspects import make_suspects

    result = make_suspects(options)
    if result.notice:
        hint = "; to examine all labelled images, train with eyebright train --folds 5"
        say(result.notice + hint * (result.evaluation.part != "out_of_fold"))
    say(f"{count_text(len(result.suspects), 'suspect')} in {count_text(len(result.evaluation), 'image')}")
    for suspect in result.suspects[: options.limit]:
        say(_line(suspect))
    more = len(result.suspects) - options.limit
    if more > 0 and options.limit and options.out is None and options.json is None:
        say(f"{more:,} more; --out FILE has all of them")
    for path in (options.out, options.json):
        if path is not None:
            say(f"suspects: {path}")


def _line(suspect: "Suspect") -> str:
    if suspect.kind in ("wrong point", "wrong number"):
        return (
            f"{suspect.file}: {suspect.label} is {suspect.given}, predicted {suspect.predicted} "
            f"({suspect.score:.1f} standard deviations)"
        )
    copies = f"; a copy has another label: {', '.join(suspect.copies)}" if suspect.copies else ""
    if suspect.kind == "wrong class":
        predicted = f"predicted {suspect.predicted} ({suspect.predicted_probability:.3f})"
        return f"{suspect.file}: is {suspect.given} ({suspect.probability:.3f}), {predicted}{copies}"
    probability = suspect.probability if suspect.given == "yes" else 1 - suspect.probability
    what = "given" if suspect.given == "yes" else "not given"
    return f"{suspect.file}: {suspect.kind}: {suspect.label} is {what}, its probability is {probability:.3f}{copies}"
