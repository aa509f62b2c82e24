"""``eyebright inspect``: what is inside a model folder, and whether each file is what was saved; nothing is run."""

import json
from typing import TYPE_CHECKING, Any

import typer

from eyebright.cli.output import print_data, say
from eyebright.errors import count_text

if TYPE_CHECKING:
    from eyebright.cli.command import CommandArguments
    from eyebright.inference.inspect_folder import Inspection

_PROBLEM = 2  # the exit code
_SET_FIELDS = ("method", "coverage", "confidence", "n_images")
_RISK_FIELDS = ("risk", "bound", "threshold", "n_images", "part")


def option_classes() -> tuple[type, ...]:
    """The dataclasses of the command's options."""
    from eyebright.workflow.command_options.folder import InspectOptions

    return (InspectOptions,)


def inspect(arguments: "CommandArguments") -> None:
    """Show what is inside a model folder and check its files, without running anything; exit code 2 for a damaged one.

    \b
    Examples:
      eyebright inspect model/
      eyebright inspect model/ --json
    """  # noqa: D301 - a backspace keeps the lines as they are
    from eyebright.inference.inspect_folder import inspect_folder
    from eyebright.workflow.command_options.folder import InspectOptions

    options = arguments.parse(InspectOptions)
    found = inspect_folder(options.model)
    if options.json:
        print_data(json.dumps(found.to_json(), indent=1) + "\n")  # in ASCII: names can have any bytes
    else:
        _say(found)
    for problem in found.problems:
        say(f"error: {problem}", err=True)
    if found.problems:
        raise typer.Exit(_PROBLEM)


def _say(found: "Inspection") -> None:
    from eyebright.errors import listing, short_repr

    facts = found.facts
    if facts:
        labels = facts["labels"]
        names = f": {listing(labels)}" if labels else ""
        say(f"{facts['arch']}, kind {facts['kind']}, {count_text(facts['outputs'], 'output')}{names}")
        say(f"saved {facts['created']}, schema {facts['schema']}, pixels {facts['pixels'] or 'legacy-1'}")
        say(f"input: {_pairs(facts['input'])}")
        say(f"calibration: {facts['calibration'] or 'none'}; thresholds: {short_repr(facts['thresholds'], limit=300)}")
        say(f"promises: {'; '.join(map(_pairs, facts['promises'])) or 'none'}")
        for key, title, names in (("label_sets", "prediction sets", _SET_FIELDS), ("risk", "risk", _RISK_FIELDS)):
            if isinstance(made := facts[key], dict):
                say(f"{title}: {_pairs({name: made.get(name) for name in names})}")
        say(f"scores: {_pairs(facts['scores']) or 'none'}")
        say(f"data: {_pairs(facts['data'])}")
        licence = facts["weights_licence"]
        known = "not recorded" if licence is None else licence or "not declared"
        say(f"licence of the backbone's weights: {known}")
        say(f"versions: {_pairs(facts['versions'])}")
    for graph in found.exports:
        say(f"exported {graph.file}: {graph.sentence}")
    for file in found.files:
        size = "missing" if file.bytes is None else f"{file.bytes:,} bytes"
        what = f" ({file.what})" if file.what else ""
        say(f"  {file.name}{what}: {size}, {file.check}" + (f": {file.note}" if file.note else ""))


def _pairs(values: Any) -> str:
    """The entries of an object as text: ``mAP 0.922, valid_loss 0.15``."""
    if not isinstance(values, dict):
        return str(values)
    return ", ".join(
        f"{name} {f'{value:.4g}' if isinstance(value, float) else value}" for name, value in values.items()
    )
