"""How long ``validate()`` and ``get_preds()`` take in fastai and in Eyebright, for the same images and network.

    python benchmarks/answers.py labels.csv --images photos/ --arch resnet34 --fastai-python PATH [--json out.json]

Each side runs in a process of its own, in turn. It learns from two batches first, as a person has trained before they
validate: so everything is warm, and Eyebright has chosen its precision. That training is not counted. The loss that
``validate`` gave stands beside the loss of the predictions, computed here: both calls must have seen every image. The
sides' losses differ from each other, since each learns by itself.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import measure
import numpy as np
import sides
from peers.answers_job import Answers
from peers.job import Item, Settings
from quality import Array, targets

LEARN = 2  # batches
CALLS = ("validate", "get_preds")


def main() -> None:
    parser = sides.parser(__doc__)
    sides.add_peers(parser)
    parser.add_argument("--rounds", type=int, default=3, help="how often each side runs")
    parser.set_defaults(count=400)
    arguments = parser.parse_args()
    measure.warn_if_busy()
    told = settings(arguments)
    peers = ("peers.fastai_answers", "peers.eyebright_answers")
    answers: dict[str, list[Answers]] = measure.alternate(
        sides.make_sides(told, arguments, modules=peers), range(arguments.rounds)
    )
    results = {name: summary(told, several, targets(told, answers)) for name, several in answers.items()}
    ratios = {name: against(answers["fastai"], several) for name, several in answers.items() if name != "fastai"}
    report(results, ratios)
    for several in answers.values():
        for one in several:
            one["predictions"] = []
    measured = {"sides": results, "ratios": ratios, "answers": answers}
    measure.save(arguments.json, {"settings": sides.told_without_images(told), **measured})


def settings(arguments: Any) -> Settings:
    """What both sides are told: they learn from a few images and answer for ``--count`` others."""
    kind, items = sides.labelled(arguments.data, arguments.images)
    few = LEARN * arguments.bs
    wanted = sides.drawn(items, arguments.count + few)
    learnt = set(np.random.default_rng(0).permutation(len(wanted))[:few].tolist())
    split = [Item(path=one["path"], answer=one["answer"], valid=i not in learnt) for i, one in enumerate(wanted)]
    arguments.count = None
    return sides.settings(arguments, "answers", kind, split)


def summary(told: Settings, answers: Sequence[Answers], target: Array) -> dict[str, Any]:
    """Seconds of both calls, images in a second, and the two losses of the last round."""
    seconds = {call: measure.spread([one[call] for one in answers]) for call in CALLS}
    rate = measure.spread([len(told.valid) / one["get_preds"] for one in answers])
    own = loss(np.array(answers[-1]["predictions"]), target)
    return seconds | {"images/s": rate, "loss": answers[-1]["loss"], "of the predictions": own}


def loss(predicted: Array, target: Array) -> float:
    """The mean log loss of probabilities: of every label, or of the right class."""
    right = predicted if target.ndim == 2 else predicted[np.arange(len(target)), target]
    right = np.where(target, right, 1 - right) if target.ndim == 2 else right
    return float(-np.log(np.maximum(right, 1e-12)).mean())


def against(slow: Sequence[Answers], fast: Sequence[Answers]) -> dict[str, measure.Spread]:
    """How many times as fast the second side is, round by round."""
    return {call: measure.ratios([one[call] for one in slow], [one[call] for one in fast]) for call in CALLS}


def report(results: Mapping[str, Mapping[str, Any]], ratios: Mapping[str, Mapping[str, Any]]) -> None:
    """Print both tables."""
    print("Seconds, median [min-max] of the rounds:\n")
    print(measure.table(["side", *results["fastai"]], [[name, *one.values()] for name, one in results.items()]))
    print("\nTimes as fast as fastai, round by round:\n")
    print(measure.table(["side", *CALLS], [[name, *one.values()] for name, one in ratios.items()]))


if __name__ == "__main__":
    main()
