"""The share of an epoch in which processors neither read images nor run the model, and where the time goes.

    python benchmarks/idle.py labels.csv --images photos/ --arch resnet34 [--frozen] [--json out.json]

A process trains for two epochs and is measured in the second: processor time of the process and its readers, relative
to the elapsed time of all processors. OpenMP's threads spin for a while before they sleep, which counts as processor
time. Hence two variants: "default", and "no spinning" (OMP_WAIT_POLICY=passive), in which waiting threads sleep at
once; the processor table of the second is the reliable one. "neither" is the rest without reading and model: sleeping
processors, and time of the training thread between its named activities. Python code inside a forward pass counts as
model.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import comparison
import measure
from peers.idle_protocol import IdleResult, Part
from peers.training_protocol import Settings

VARIANTS = {"default": {}, "no spinning": {"OMP_WAIT_POLICY": "passive"}}
PHASES = ("steps", "validation")


def main() -> None:
    parser = comparison.create_parser(__doc__)
    parser.add_argument("--frozen", action="store_true", help="train the head only, with a frozen backbone")
    parser.add_argument("--rounds", type=int, default=2, help="how often each variant runs")
    arguments = parser.parse_args()
    measure.warn_if_busy()
    phase = "frozen" if arguments.frozen else "unfrozen"
    kind, items = comparison.labelled_items(arguments.data, arguments.images)
    settings = comparison.create_settings(arguments, phase, kind, items)
    variants = {name: partial(run, settings, environment) for name, environment in VARIANTS.items()}
    results: dict[str, list[IdleResult]] = measure.alternate(variants, range(arguments.rounds))
    summaries = {
        name: {phase: summary([result[phase] for result in rounds]) for phase in PHASES}
        for name, rounds in results.items()
    }
    report(summaries)
    print(f"\n{results['default'][-1]['configuration']}")
    record = comparison.settings_record(settings)
    measure.save(arguments.json, {"settings": record, "variants": summaries, "results": results})


def run(settings: Settings, environment: Mapping[str, str], seed: int) -> IdleResult:
    """The measurements of a training run with these environment variables."""
    settings = replace(settings, seed=seed)
    return comparison.run_module(sys.executable, "peers.eyebright_idle", settings, environment=environment)


def summary(parts: Sequence[Part]) -> dict[str, Any]:
    """Shares over the rounds: of the training thread's time, and of the time of all processors."""
    names = list(dict.fromkeys(name for part in parts for name in part["thread"]))
    return {
        "wall": measure.spread([part["wall"] for part in parts]),
        "thread": {
            name: measure.spread([part["thread"].get(name, 0) / part["wall"] for part in parts]) for name in names
        },
        "processors": {
            "readers": measure.spread([part["reading"] / capacity(part) for part in parts]),
            "model and rest of the process": measure.spread(
                [(part["busy"] - part["reading"]) / capacity(part) for part in parts]
            ),
            "asleep or used by other programs": measure.spread([1 - part["busy"] / capacity(part) for part in parts]),
            "other programs": measure.spread([part["others"] / capacity(part) for part in parts]),
            "neither": measure.spread([neither(part) for part in parts]),
        },
    }


def capacity(part: Part) -> float:
    """The elapsed time multiplied by the number of processors."""
    return part["wall"] * part["processors"]


def neither(part: Part) -> float:
    """The share of processor time with neither reading nor model."""
    return 1 - (part["busy"] - part["thread"]["between"]) / capacity(part)


def report(summaries: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Prints a table for the training steps and one for the validation."""
    for phase in PHASES:
        by_variant = {name: phases[phase] for name, phases in summaries.items()}
        print(f"The {phase} of an epoch, median [min-max] of the rounds:\n")
        rows: list[list[Any]] = [["seconds", *(shares["wall"] for shares in by_variant.values())]]
        for group, title in (("thread", "training thread"), ("processors", "processors")):
            names = next(iter(by_variant.values()))[group]
            rows += [
                [f"{title}: {name}", *(percent(shares[group][name]) for shares in by_variant.values())]
                for name in names
            ]
        print(measure.table(["", *by_variant], rows), "\n")


def percent(share: measure.Spread) -> str:
    """The shares in percent."""
    low, high = 100 * min(share.values), 100 * max(share.values)
    return f"{100 * share.median:.1f} % [{low:.1f}-{high:.1f}]"


if __name__ == "__main__":
    main()
