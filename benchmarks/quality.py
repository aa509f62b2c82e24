"""Scores of fastai and Eyebright with the same weights, images, split, image size and epochs, and their time.

    python benchmarks/quality.py labels.csv --images photos/ --fastai-python PATH     # several labels: mAP
    python benchmarks/quality.py photos/ --fastai-python PATH                         # class folders: accuracy
    python benchmarks/quality.py biwi/ --points --size 240 320 --fastai-python PATH   # points: mean error in pixels

Both libraries return predictions for the validation set, which are scored here by the same function. The confidence
interval is a bootstrap over images of the mean over seeds: it estimates the variation with other images, and the range
over seeds that of another training run.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import comparison
import measure
import numpy as np
import torch
from peers.training_protocol import Kind, Settings, TrainingResult
from sklearn.metrics import accuracy_score, average_precision_score

from eyebright._defaults import EPOCHS, FREEZE_EPOCHS
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.scores import bootstrap

Array = np.ndarray[Any, Any]
Score = Callable[[Array, Array], float]
RESAMPLES = 500  # of the bootstrap


def main() -> None:
    arguments = parse()
    measure.warn_if_busy()
    settings = create_settings(arguments)
    results = measure.alternate(comparison.training_variants(settings, arguments), arguments.seeds)
    target = targets(settings, results)
    predicted: dict[str, Any] = {
        name: np.array([result["predictions"] for result in rounds]) for name, rounds in results.items()
    }
    score_name, score = SCORES[settings.kind]
    summaries = {
        name: {
            score_name: [score(seed, target) for seed in predicted[name]],
            "interval": score_interval(score, target, predicted[name]),
            "minus fastai": None
            if name == "fastai"
            else score_interval(score, target, predicted[name], predicted["fastai"]),
            "seconds": measure.spread(seconds(rounds)),
            "speed-up": measure.ratios(seconds(results["fastai"]), seconds(rounds)),
            **{field: rounds[0][field] for field in ("configuration", "versions")},
        }
        for name, rounds in results.items()
    }
    report(score_name, summaries)
    if arguments.predictions is not None:
        np.savez_compressed(arguments.predictions, target=target, **predicted)
    measure.save(arguments.json, {"settings": comparison.settings_record(settings), "variants": summaries})


def parse() -> argparse.Namespace:
    parser = comparison.create_parser(__doc__)
    comparison.add_fastai_arguments(parser)
    parser.add_argument("--points", action="store_true", help="DATA is a folder in the format of the BIWI dataset")
    parser.add_argument("--person", default="13", help="with --points: the person in the validation set")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="epochs with all layers")
    parser.add_argument("--freeze-epochs", type=int, default=FREEZE_EPOCHS, help="epochs before, head only")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one run per library and seed")
    parser.add_argument("--predictions", type=Path, help="file (.npz) for the predictions and the targets")
    return parser.parse_args()


def create_settings(arguments: argparse.Namespace) -> Settings:
    """The settings of the arguments."""
    if arguments.points:
        kind, items = "points", comparison.biwi_items(arguments.data, arguments.person)
    else:
        kind, items = comparison.labelled_items(arguments.data, arguments.images)
    settings = comparison.create_settings(arguments, "fine_tune", kind, items)
    return replace(settings, freeze_epochs=arguments.freeze_epochs, epochs=arguments.epochs)


def targets(settings: Settings, results: Mapping[str, Sequence[Mapping[str, Any]]]) -> Array:
    """The targets of the validation set, encoded with the vocabulary on which all libraries agree."""
    raw = [settings.items[i]["target"] for i in settings.valid]
    if settings.kind == "points":
        return np.array(raw)
    vocab, *others = [result["vocab"] for rounds in results.values() for result in rounds]
    if any(other != vocab for other in others):
        raise SystemExit(f"the libraries have different vocabularies: {vocab}, {others}")
    if settings.kind == "single":
        return np.array([vocab.index(str(label)) for label in raw])
    return np.array([[name in labels for name in vocab] for labels in raw])


def mean_average_precision(predicted: Array, target: Array) -> float:
    """Macro average precision over the classes that occur in the targets."""
    present = target.any(axis=0)
    return float(average_precision_score(target[:, present], predicted[:, present], average="macro"))


def accuracy(predicted: Array, target: Array) -> float:
    """The fraction of images whose most probable class is correct."""
    return float(accuracy_score(target, predicted.argmax(axis=1)))


def mean_point_error(predicted: Array, target: Array) -> float:
    """The mean distance in pixels of the original images."""
    return float(np.linalg.norm(predicted - target, axis=1).mean())


SCORES: dict[Kind, tuple[str, Score]] = {
    "multi": ("mAP", mean_average_precision),
    "single": ("accuracy", accuracy),
    "points": ("error in pixels", mean_point_error),
}


def score_interval(score: Score, target: Array, predicted: Array, reference: Array | None = None) -> Interval:
    """The confidence interval of the mean score over seeds, or of its difference to that of ``reference``.

    Args:
        score: a function from (predictions, targets) to a number.
        target: (n, ...) targets.
        predicted: (seeds, n, ...) predictions.
        reference: (seeds, n, ...) predictions for a paired difference.
    """

    def mean(predicted: torch.Tensor, target: torch.Tensor) -> float:
        return float(np.mean([score(seed.numpy(), target.numpy()) for seed in predicted.unbind(1)]))

    def difference(predicted: torch.Tensor, reference: torch.Tensor, target: torch.Tensor) -> float:
        return mean(predicted, target) - mean(reference, target)

    by_image = [torch.from_numpy(array).transpose(0, 1) for array in (predicted, reference) if array is not None]
    statistic = mean if reference is None else difference
    return bootstrap(statistic, [*by_image, torch.from_numpy(target)], n_resamples=RESAMPLES)


def seconds(results: Sequence[TrainingResult]) -> list[float]:
    """Seconds of each training run with its validations, without start-up."""
    return [result["first_step"] + result["steps"] + result["validation"] for result in results]


def report(score_name: str, summaries: Mapping[str, Mapping[str, Any]]) -> None:
    """Prints the table."""
    columns = [
        "",
        f"{score_name}, mean",
        "over seeds",
        "95 % CI",
        "minus fastai, 95 % CI",
        "seconds",
        "times as fast",
    ]
    rows = [
        [
            name,
            float(np.mean(row[score_name])),
            f"{measure.digits(min(row[score_name]))}-{measure.digits(max(row[score_name]))}",
            format_interval(row["interval"]),
            "" if name == "fastai" else format_interval(row["minus fastai"]),
            str(row["seconds"]),
            "" if name == "fastai" else str(row["speed-up"]),
        ]
        for name, row in summaries.items()
    ]
    print(measure.table(columns, rows))


def format_interval(interval: Interval) -> str:
    return f"{measure.digits(interval.low)} to {measure.digits(interval.high)}"


if __name__ == "__main__":
    main()
