"""Seconds of ``validate()`` and ``get_preds()`` in fastai and in Eyebright, for the same images and network.

    python benchmarks/answers.py labels.csv --images photos/ --arch resnet34 --fastai-python PATH [--json out.json]

Each library runs in a process of its own, alternately. It first trains on two batches, which are not timed, so that
everything is warmed up and Eyebright has chosen its precision. The loss from ``validate`` is printed next to the loss
of the predictions, computed here: they are equal if both calls used all images. The losses of the libraries differ,
because each has trained its own model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import comparison
import measure
import numpy as np
from peers.training_protocol import Item, Settings
from peers.validation_protocol import ValidationResult
from quality import Array, targets

TRAINING_BATCHES = 2
CALLS = ("validate", "get_preds")


def main() -> None:
    parser = comparison.create_parser(__doc__)
    comparison.add_fastai_arguments(parser)
    parser.add_argument("--rounds", type=int, default=3, help="how often each library runs")
    parser.set_defaults(count=400)
    arguments = parser.parse_args()
    measure.warn_if_busy()
    settings = create_settings(arguments)
    modules = ("peers.fastai_validation", "peers.eyebright_validation")
    variants = comparison.training_variants(settings, arguments, modules=modules)
    results: dict[str, list[ValidationResult]] = measure.alternate(variants, range(arguments.rounds))
    target = targets(settings, results)
    summaries = {name: summary(settings, rounds, target) for name, rounds in results.items()}
    speed_ups = {name: speed_up(results["fastai"], rounds) for name, rounds in results.items() if name != "fastai"}
    report(summaries, speed_ups)
    for rounds in results.values():
        for result in rounds:
            result["predictions"] = []
    record = {"variants": summaries, "speed-ups": speed_ups, "results": results}
    measure.save(arguments.json, {"settings": comparison.settings_record(settings), **record})


def create_settings(arguments: Any) -> Settings:
    """The settings: ``--count`` validation images, and a few others as training set."""
    kind, items = comparison.labelled_items(arguments.data, arguments.images)
    train_count = TRAINING_BATCHES * arguments.bs
    chosen = comparison.subset(items, arguments.count + train_count)
    train = set(np.random.default_rng(0).permutation(len(chosen))[:train_count].tolist())
    split = [Item(path=item["path"], target=item["target"], valid=i not in train) for i, item in enumerate(chosen)]
    arguments.count = None
    return comparison.create_settings(arguments, "validation", kind, split)


def summary(settings: Settings, results: Sequence[ValidationResult], target: Array) -> dict[str, Any]:
    """Seconds of both calls, images per second, and the two losses of the last round."""
    seconds = {call: measure.spread([result[call] for result in results]) for call in CALLS}
    rate = measure.spread([len(settings.valid) / result["get_preds"] for result in results])
    recomputed = log_loss(np.array(results[-1]["predictions"]), target)
    return seconds | {"images/s": rate, "loss": results[-1]["loss"], "loss of get_preds": recomputed}


def log_loss(predicted: Array, target: Array) -> float:
    """The mean log loss of probabilities: over all labels, or of the true class."""
    correct = predicted if target.ndim == 2 else predicted[np.arange(len(target)), target]
    correct = np.where(target, correct, 1 - correct) if target.ndim == 2 else correct
    return float(-np.log(np.maximum(correct, 1e-12)).mean())


def speed_up(slow: Sequence[ValidationResult], fast: Sequence[ValidationResult]) -> dict[str, measure.Spread]:
    """How many times as fast the second library is, round by round."""
    return {call: measure.ratios([one[call] for one in slow], [one[call] for one in fast]) for call in CALLS}


def report(summaries: Mapping[str, Mapping[str, Any]], speed_ups: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints both tables."""
    print("Seconds, median [min-max] of the rounds:\n")
    print(measure.table(["", *summaries["fastai"]], [[name, *row.values()] for name, row in summaries.items()]))
    print("\nTimes as fast as fastai, round by round:\n")
    print(measure.table(["", *CALLS], [[name, *row.values()] for name, row in speed_ups.items()]))


if __name__ == "__main__":
    main()
