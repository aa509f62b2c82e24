"""What fastai and Eyebright reach with the same weights, images, split, size and epochs, and how long they take.

    python benchmarks/quality.py labels.csv --images photos/ --fastai-python PATH     # any number of labels: mAP
    python benchmarks/quality.py photos/ --fastai-python PATH                         # class folders: accuracy
    python benchmarks/quality.py biwi/ --points --size 240 320 --fastai-python PATH   # points: mean pixels off

Both sides give their predictions for the validation images; they are scored here, by one function, not by either
library. An interval is a bootstrap over images, of the mean over the seeds: it says how far the score may move with
other images, and the spread over the seeds how far it moves with another training.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import measure
import numpy as np
import sides
import torch
from peers.job import Answer, Kind, Settings
from sklearn.metrics import accuracy_score, average_precision_score

from eyebright.evaluation.intervals import Interval, bootstrap
from eyebright.workflow.train_model import Options

Array = np.ndarray[Any, Any]
Score = Callable[[Array, Array], float]
SAMPLES = 500  # of the bootstrap


def main() -> None:
    arguments = parse()
    measure.warn_if_busy()
    told = settings(arguments)
    answers = measure.alternate(sides.make_sides(told, arguments), arguments.seeds)
    target = targets(told, answers)
    predicted: dict[str, Any] = {
        side: np.array([one["predictions"] for one in several]) for side, several in answers.items()
    }
    name, score = SCORES[told.kind]
    results = {
        side: {
            name: [score(one, target) for one in predicted[side]],
            "interval": interval(score, target, predicted[side]),
            "minus fastai": None if side == "fastai" else interval(score, target, predicted[side], predicted["fastai"]),
            "seconds": measure.spread(seconds(several)),
            "times as fast": measure.ratios(seconds(answers["fastai"]), seconds(several)),
            **{about: several[0][about] for about in ("said", "versions")},
        }
        for side, several in answers.items()
    }
    report(name, results)
    if arguments.predictions is not None:
        np.savez_compressed(arguments.predictions, target=target, **predicted)
    measure.save(arguments.json, {"settings": sides.told_without_images(told), "sides": results})


def parse() -> argparse.Namespace:
    parser = sides.parser(__doc__)
    sides.add_peers(parser)
    parser.add_argument("--points", action="store_true", help="the data are a folder in the format of BIWI")
    parser.add_argument("--person", default="13", help="with --points: who validates")
    parser.add_argument("--epochs", type=int, default=Options.epochs, help="with everything")
    parser.add_argument("--freeze-epochs", type=int, default=Options.freeze_epochs, help="before, the head alone")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one training of each side for each")
    parser.add_argument("--predictions", type=Path, help="write the predictions and the targets there (.npz)")
    return parser.parse_args()


def settings(arguments: argparse.Namespace) -> Settings:
    """What both sides are told, from the arguments."""
    if arguments.points:
        kind, items = "points", sides.points(arguments.data, arguments.person)
    else:
        kind, items = sides.labelled(arguments.data, arguments.images)
    told = sides.settings(arguments, "fine_tune", kind, items)
    return replace(told, freeze_epochs=arguments.freeze_epochs, epochs=arguments.epochs)


def targets(told: Settings, answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> Array:
    """What is right for each validation image, in the order of the classes that all sides agree on."""
    truth = [told.items[i]["answer"] for i in told.valid]
    if told.kind == "points":
        return np.array(truth)
    vocab, *others = [one["vocab"] for side in answers.values() for one in side]
    if any(other != vocab for other in others):
        raise SystemExit(f"the sides know different classes: {vocab}, {others}")
    if told.kind == "single":
        return np.array([vocab.index(str(label)) for label in truth])
    return np.array([[name in labels for name in vocab] for labels in truth])


def mean_average_precision(predicted: Array, target: Array) -> float:
    """Of the classes that an image has at all."""
    there = target.any(axis=0)
    return float(average_precision_score(target[:, there], predicted[:, there], average="macro"))


def accuracy(predicted: Array, target: Array) -> float:
    """The share of images whose most probable class is right."""
    return float(accuracy_score(target, predicted.argmax(axis=1)))


def pixels_off(predicted: Array, target: Array) -> float:
    """The mean distance, in pixels of the user's images."""
    return float(np.linalg.norm(predicted - target, axis=1).mean())


SCORES: dict[Kind, tuple[str, Score]] = {
    "multi": ("mAP", mean_average_precision),
    "single": ("accuracy", accuracy),
    "points": ("pixels off", pixels_off),
}


def interval(score: Score, target: Array, predicted: Array, less: Array | None = None) -> Interval:
    """Of the mean over the seeds; with ``less``, of how much higher it is than with those predictions."""

    def mean(predicted: torch.Tensor, target: torch.Tensor) -> float:
        return float(np.mean([score(one.numpy(), target.numpy()) for one in predicted.unbind(1)]))

    def higher(predicted: torch.Tensor, less: torch.Tensor, target: torch.Tensor) -> float:
        return mean(predicted, target) - mean(less, target)

    by_image = [torch.from_numpy(one).transpose(0, 1) for one in (predicted, less) if one is not None]
    return bootstrap(mean if less is None else higher, [*by_image, torch.from_numpy(target)], samples=SAMPLES)


def seconds(answers: Sequence[Answer]) -> list[float]:
    """Of each whole training with its validations: all but the start-up."""
    return [one["first_step"] + one["steps"] + one["validation"] for one in answers]


def report(name: str, results: Mapping[str, Mapping[str, Any]]) -> None:
    """Print the table."""
    columns = [
        "side",
        f"{name}, mean",
        "of seeds",
        "95 % of images",
        "minus fastai, 95 %",
        "seconds",
        "times as fast",
    ]
    rows = [
        [
            side,
            float(np.mean(one[name])),
            f"{measure.digits(min(one[name]))}-{measure.digits(max(one[name]))}",
            ends(one["interval"]),
            "" if side == "fastai" else ends(one["minus fastai"]),
            str(one["seconds"]),
            "" if side == "fastai" else str(one["times as fast"]),
        ]
        for side, one in results.items()
    ]
    print(measure.table(columns, rows))


def ends(interval: Interval) -> str:
    return f"{measure.digits(interval.low)} to {measure.digits(interval.high)}"


if __name__ == "__main__":
    main()
