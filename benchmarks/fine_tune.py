"""What a whole fine-tuning takes in fastai and in Eyebright: time, and the memory of all processes.

    python benchmarks/fine_tune.py labels.csv --images photos/ --count 1000 --fastai-python PATH [--json out.json]

``fine_tune(3, freeze_epochs=1)`` with a validation after each epoch; resnet34 at 224 pixels from random weights unless
``--arch`` names a network whose weights a package carries. "training" goes from the start of training to its end,
"process" from the start of the process to the same end: imports, data and model as well. The memory is the most that
the side's process and its workers held at any time, predictions included: PSS, looked at every 0.2 seconds.

Each side answers for the validation images; the scores say whether the speed comes at the same accuracy. With few
seeds and images they say no more: quality.py gives intervals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import measure
import numpy as np
import sides
from peers.job import Answer
from quality import SCORES, seconds, targets

EPOCHS, FREEZE_EPOCHS = 3, 1


def main() -> None:
    parser = sides.parser(__doc__)
    sides.add_peers(parser)
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="with everything")
    parser.add_argument("--freeze-epochs", type=int, default=FREEZE_EPOCHS, help="before, the head alone")
    parser.add_argument("--rounds", type=int, default=1, help="how often each side trains, each time with another seed")
    parser.set_defaults(arch="resnet34", size=[224])
    arguments = parser.parse_args()
    measure.warn_if_busy()
    told = sides.settings(arguments, "fine_tune", *sides.labelled(arguments.data, arguments.images))
    told = replace(told, freeze_epochs=arguments.freeze_epochs, epochs=arguments.epochs)
    answers = measure.alternate(sides.make_sides(told, arguments, memory=True), range(arguments.rounds))
    name, score = SCORES[told.kind]
    target = targets(told, answers)
    scores = {side: [score(np.array(one["predictions"]), target) for one in many] for side, many in answers.items()}
    results = {side: summary(several) | {name: measure.spread(scores[side])} for side, several in answers.items()}
    ratios = {side: against(answers["fastai"], several) for side, several in answers.items() if side != "fastai"}
    report(results, ratios)
    for several in answers.values():
        for one in several:
            one["predictions"] = []
    settings = sides.told_without_images(told)
    measure.save(arguments.json, {"settings": settings, "sides": results, "ratios": ratios, "answers": answers})


def summary(answers: Sequence[Answer]) -> dict[str, measure.Spread | int]:
    """Seconds and megabytes over the rounds, and how many processes held them."""
    return {
        "training, s": measure.spread(seconds(answers)),
        "process, s": measure.spread(processes(answers)),
        "validations, s": measure.spread([one["validation"] for one in answers]),
        "peak, MB": measure.spread([one["megabytes"] for one in peaks(answers)]),
        "processes": max(one["processes"] for one in peaks(answers)),
    }


def against(slow: Sequence[Answer], fast: Sequence[Answer]) -> dict[str, measure.Spread]:
    """How many times as fast the second side is, and its share of the first one's memory, round by round."""
    megabytes = [[one["megabytes"] for one in peaks(side)] for side in (fast, slow)]
    return {
        "training": measure.ratios(seconds(slow), seconds(fast)),
        "process": measure.ratios(processes(slow), processes(fast)),
        "validations": measure.ratios([one["validation"] for one in slow], [one["validation"] for one in fast]),
        "share of memory": measure.ratios(*megabytes),
    }


def processes(answers: Sequence[Answer]) -> list[float]:
    """Seconds from the start of each process to the end of its training."""
    return [one["start_up"] + trained for one, trained in zip(answers, seconds(answers), strict=True)]


def peaks(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """The memory of each round."""
    return [one["peak"] for one in answers if "peak" in one]


def report(results: Mapping[str, Mapping[str, Any]], ratios: Mapping[str, Mapping[str, Any]]) -> None:
    """Print both tables."""
    print("Median [min-max] of the rounds:\n")
    print(measure.table(["side", *results["fastai"]], [[name, *one.values()] for name, one in results.items()]))
    print("\nTimes as fast as fastai, and share of its memory, round by round:\n")
    columns = ["side", *next(iter(ratios.values()))]
    print(measure.table(columns, [[name, *one.values()] for name, one in ratios.items()]))


if __name__ == "__main__":
    main()
