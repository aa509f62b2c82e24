"""How much of an epoch the processors do neither reading nor model work in Eyebright, and where the time goes.

    python benchmarks/idle.py labels.csv --images photos/ --arch resnet34 [--frozen] [--json out.json]

A process trains two epochs and is measured in the second: the seconds that it and its readers worked, against what all
processors could have worked. OpenMP's threads spin a while before they sleep, which looks like work. So there are two
sides: "as it is", and "no spinning" (OMP_WAIT_POLICY=passive), in which a thread that waits sleeps at once; its table
of processors is the one to believe. "Neither" is what is left when reading and model work are taken away: sleeping
processors, and the training thread's own time between the parts that it names. Python's own work inside a forward pass
counts as model work: nothing here can tell it apart.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import measure
import sides
from peers.idle_job import IdleAnswer, Part
from peers.job import Settings

SIDES = {"as it is": {}, "no spinning": {"OMP_WAIT_POLICY": "passive"}}
PHASES = ("steps", "validation")


def main() -> None:
    parser = sides.parser(__doc__)
    parser.add_argument("--frozen", action="store_true", help="measure the frozen phase: only the head learns")
    parser.add_argument("--rounds", type=int, default=2, help="how often each side runs")
    arguments = parser.parse_args()
    measure.warn_if_busy()
    phase = "frozen" if arguments.frozen else "unfrozen"
    told = sides.settings(arguments, phase, *sides.labelled(arguments.data, arguments.images))
    made = {name: partial(ask, told, environment) for name, environment in SIDES.items()}
    answers: dict[str, list[IdleAnswer]] = measure.alternate(made, range(arguments.rounds))
    results = {
        name: {phase: summary([one[phase] for one in several]) for phase in PHASES} for name, several in answers.items()
    }
    report(results)
    print(f"\n{answers['as it is'][-1]['said']}")
    settings = sides.told_without_images(told)
    measure.save(arguments.json, {"settings": settings, "sides": results, "answers": answers})


def ask(told: Settings, environment: Mapping[str, str], seed: int) -> IdleAnswer:
    """What the side measured, with this in its environment."""
    return sides.ask(sys.executable, "peers.eyebright_idle", replace(told, seed=seed), environment=environment)


def summary(parts: Sequence[Part]) -> dict[str, Any]:
    """Shares over the rounds: of the training thread's time, and of what all processors could have worked."""
    names = list(dict.fromkeys(name for one in parts for name in one["thread"]))
    return {
        "wall": measure.spread([one["wall"] for one in parts]),
        "thread": {name: measure.spread([one["thread"].get(name, 0) / one["wall"] for one in parts]) for name in names},
        "processors": {
            "readers": measure.spread([one["reading"] / capacity(one) for one in parts]),
            "model, and the rest of the process": measure.spread(
                [(one["worked"] - one["reading"]) / capacity(one) for one in parts]
            ),
            "asleep, or at work for others": measure.spread([1 - one["worked"] / capacity(one) for one in parts]),
            "others": measure.spread([one["others"] / capacity(one) for one in parts]),
            "neither": measure.spread([neither(one) for one in parts]),
        },
    }


def capacity(part: Part) -> float:
    """Seconds that all processors could have worked."""
    return part["wall"] * part["processors"]


def neither(part: Part) -> float:
    """The share in which processors neither read nor worked for the model."""
    return 1 - (part["worked"] - part["thread"]["between"]) / capacity(part)


def report(results: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> None:
    """Print a table for the steps and one for the validation."""
    for phase in PHASES:
        shown = {name: one[phase] for name, one in results.items()}
        print(f"The {phase} of an epoch, median [min-max] of the rounds:\n")
        rows: list[list[Any]] = [["seconds", *(one["wall"] for one in shown.values())]]
        for of in ("thread", "processors"):
            owner = "training thread" if of == "thread" else "processors"
            names = next(iter(shown.values()))[of]
            rows += [[f"{owner}: {name}", *(percent(one[of][name]) for one in shown.values())] for name in names]
        print(measure.table(["", *shown], rows), "\n")


def percent(share: measure.Spread) -> str:
    """The shares in percent."""
    low, high = 100 * min(share.values), 100 * max(share.values)
    return f"{100 * share.median:.1f} % [{low:.1f}-{high:.1f}]"


if __name__ == "__main__":
    main()
