"""What calibration is worth on images that it was not fitted to: calibration errors and log loss before and after.

Of each saved model the predictions for validation images and the out-of-fold ones are split at random into halves:
a calibration is fitted to one half, and the other half is scored. Three debiased calibration errors (see
`eyebright.metrics.calibration`), as means over the resplits:

- all: bins of all labels together, or of the top class;
- each: the mean over the labels of their own errors;
- root: the root of the mean squared error, of all labels together, and its expectation has no bias at all.

Beside them stands what they would be for a perfectly calibrated model: the targets are drawn at random with the
probabilities after calibration themselves. That is not 0 for the absolute errors of few images (their correction is of
first order), and no calibration gets below it. And "chance": in how many of 100 sets of targets drawn with the
probabilities *before* calibration the error of all labels is as large as it is. A model with a chance of 0.05 and more
cannot be told from a calibrated one by these images.

    eyebright train labels.csv --images photos/ --out model --epochs 0 --folds 5
    python benchmarks/calibration.py model [MODEL ...] [--kinds auto temperature] [--resplits 20] [--json FILE]
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from eyebright._choices import CalibrationChoice
from eyebright.errors import EyebrightError
from eyebright.evaluation.calibrate import fit_calibration
from eyebright.evaluation.evaluation import Evaluation
from eyebright.inference.model_folder import load_evaluation
from eyebright.metrics.calibration import log_loss, pooled, reliability_bins

ANSWERS: dict[str, Callable[[Path], Evaluation]] = {
    "validation": load_evaluation,
    "out of fold": partial(load_evaluation, part="out_of_fold"),
}
ERRORS = ("all", "each", "root")
DRAWS = 10  # of the targets of each half
CHANCES = 100  # sets of drawn targets to which the error is compared


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, nargs="+", help="folders of saved models")
    parser.add_argument("--kinds", nargs="+", choices=get_args(CalibrationChoice), default=["auto"])
    parser.add_argument("--resplits", type=int, default=20)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    rows = [
        one_set(evaluation, kind, args.resplits) | {"model": model.name, "answers": answers}
        for model in args.models
        for answers, evaluation in both(model).items()
        for kind in args.kinds
        if kind in ("auto", *evaluation.decision.target.calibrations)
    ]
    heads = "".join(f"{name + ' before, after, perfect':>28}" for name in (*ERRORS, "log loss"))
    print(f"{'':<32}{'images':>7}  {heads}  chance")
    for row in rows:
        title = f"{row['model']} {row['answers']}, {row['kind']}"
        numbers = "".join(
            f"{row['before'][e]:>12.4f}{row['after'][e]:>8.4f}{row['perfect'][e]:>8.4f}" for e in (*ERRORS, "log loss")
        )
        chosen = ", ".join(f"{kind} {number}" for kind, number in row["chosen"].items())
        print(f"{title:<32}{row['images']:>7}  {numbers}  {row['chance']:>6.2f}  {chosen}")
    if args.json is not None:
        args.json.write_text(json.dumps(rows, indent=1))


def both(model: Path) -> dict[str, Evaluation]:
    """The answers that the model folder has."""
    found: dict[str, Evaluation] = {}
    for name, load in ANSWERS.items():
        try:
            found[name] = load(model)
        except EyebrightError as error:
            print(f"{model}: no {name} answers ({error})")
    return found


def one_set(evaluation: Evaluation, kind: Any, resplits: int) -> dict[str, Any]:
    """The means over the resplits, and how often each kind was chosen."""
    before: list[dict[str, float]] = []
    after: list[dict[str, float]] = []
    perfect: list[dict[str, float]] = []
    chosen: Counter[str] = Counter()
    for seed in range(resplits):
        order = np.random.default_rng(seed).permutation(len(evaluation)).tolist()
        half = len(order) // 2
        fitted, scored = evaluation.take(order[:half]), evaluation.take(order[half:])
        calibration = fit_calibration(fitted, kind=kind, seed=seed).calibration
        chosen[calibration.kind] += 1
        target = evaluation.decision.target
        before.append(scores(target.activate(scored.outputs), scored.targets))
        calibrated = target.activate(calibration(scored.outputs))
        after.append(scores(calibrated, scored.targets))
        generator = torch.Generator().manual_seed(seed)
        perfect += [scores(calibrated, drawn(calibrated, scored.targets, generator)) for _ in range(DRAWS)]
    return {
        "kind": kind,
        "images": len(evaluation),
        "before": means(before),
        "after": means(after),
        "perfect": means(perfect),
        "chosen": dict(chosen.most_common()),
        "chance": chance(evaluation, means(before)["all"], resplits),
    }


def chance(evaluation: Evaluation, error: float, resplits: int) -> float:
    """The share of sets of targets, drawn with the probabilities themselves, in which the error is at least as large.

    Args:
        evaluation: of all images.
        error: the mean over the scored halves of the resplits, before calibration.
        resplits: their number.
    """
    probabilities = evaluation.decision.target.activate(evaluation.outputs)
    halves = [
        np.random.default_rng(seed).permutation(len(evaluation))[len(evaluation) // 2 :] for seed in range(resplits)
    ]
    generator = torch.Generator().manual_seed(0)
    as_large = 0
    for _ in range(CHANCES):
        targets = drawn(probabilities, evaluation.targets, generator)
        as_large += float(np.mean([error_of_all(probabilities[half], targets[half]) for half in halves])) >= error
    return as_large / CHANCES


def error_of_all(probabilities: Tensor, targets: Tensor) -> float:
    """The calibration error of all labels together."""
    return float(reliability_bins(*pooled(probabilities, targets)).error())


def drawn(probabilities: Tensor, targets: Tensor, generator: torch.Generator) -> Tensor:
    """Targets at random, with the given probabilities; unknown ones stay unknown."""
    if targets.ndim == 1:
        classes = torch.multinomial(probabilities.double(), 1, generator=generator)[:, 0]
        return torch.where(targets < 0, targets, classes.to(targets.dtype))
    cells = torch.bernoulli(probabilities.double(), generator=generator).to(targets.dtype)
    return torch.where(targets.isnan(), targets, cells)


def scores(probabilities: Tensor, targets: Tensor) -> dict[str, float]:
    """The calibration errors and the log loss of one half; ``root`` is still squared."""
    together = reliability_bins(*pooled(probabilities, targets))
    each = together if targets.ndim == 1 else reliability_bins(probabilities, targets)
    return {
        "all": float(together.error()),
        "each": float(each.error().nanmean()),
        "root": float(together.error(squared=True)),
        "log loss": log_loss(probabilities, targets),
    }


def means(rows: list[dict[str, float]]) -> dict[str, float]:
    """The mean of each number, and the root of the mean squared error."""
    mean = {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}
    return mean | {"root": max(mean["root"], 0.0) ** 0.5}


if __name__ == "__main__":
    main()
