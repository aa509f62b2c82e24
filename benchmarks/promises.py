"""How often promises are broken: 200 random halves of held-out answers, each judged on all of them.

Each set gives a pool of answers of models that have not seen their images. From a random half of the pool, thresholds
are computed that promise a precision or a recall of each label with 95 % confidence. A promise is broken if the
precision or recall over the *whole pool* is below it. Beside it: the threshold 0.5, thresholds tuned for F1 on
the half, and MAPIE's one threshold for all labels (precision: Learn then Test; recall: risk-controlling prediction
sets), whose promise is about means over images. Images without labels, which MAPIE refuses, are left out for it.

Pools, by the name after the model folder:

- ``valid``: the validation answers; the images of the other folds, out-of-fold, choose the order of the tests.
- ``out_of_fold``: all out-of-fold predictions, used as if held out (one model for each fold); a fifth of them, which is
  not in the pool, chooses the order of the tests.
- ``alone``: all out-of-fold predictions, and no image chooses anything.

Models of one label per image are taken as one yes/no answer for each class.

Conformal prediction sets of 90 % are fitted to each half, and their coverage and size measured on the other half,
beside those of the likeliest label alone.

    python benchmarks/promises.py models/voc valid models/voc out_of_fold models/fridge alone [--json promises.json]
"""

import argparse
import json
import warnings
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from eyebright.evaluation.conformal import fit_sets
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.promise import Promise, PromiseMetric
from eyebright.evaluation.three_way import keep_two_promises
from eyebright.evaluation.thresholds import tune_thresholds
from eyebright.inference.model_folder import load_evaluation
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock

METRICS: tuple[PromiseMetric, ...] = ("precision", "recall")
BOUNDS = (0.8, 0.9, 0.95)
COVERAGE = 0.9  # of prediction sets
Share = Callable[[str, np.ndarray], np.ndarray]  # from a metric and thresholds to the share of right answers
POOLS = ("valid", "out_of_fold", "alone")


@dataclass
class Row:
    """One set, metric, promised value and label; numbers of halves unless said otherwise."""

    set: str
    metric: str
    bound: float
    label: str
    made: int = 0
    broken: int = 0
    recall: float = 0.0  # mean over the halves with a promise, on the pool
    broken_half: int = 0  # by the threshold 0.5
    broken_f1: int = 0
    broken_mapie: int = 0
    made_mapie: int = 0
    answers_that_ask: float = 0.0  # mean share of this label's answers on the pool, with both promises of this value
    images_that_ask: float = 0.0  # mean share of the pool's images, with both promises of this value for all labels


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", metavar="FOLDER POOL", help=f"model folders, each with one of {POOLS}")
    parser.add_argument("--halves", type=int, default=200)
    parser.add_argument("--without-mapie", action="store_true")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    rows: list[Row] = []
    sets: list[dict[str, Any]] = []
    for folder, kind in zip(args.sets[::2], args.sets[1::2], strict=True):
        pool, others = read_pool(Path(folder), kind)
        name = f"{Path(folder).name} {kind}"
        print(f"{name}: {len(pool):,} images, of them {len(pool) // 2:,} in each half", flush=True)
        rows += of_set(name, pool, others, halves=args.halves, mapie=not args.without_mapie)
        show([row for row in rows if row.set == name], args.halves)
        sets += coverages(name, Path(folder), kind, args.halves)
    if args.json is not None:
        args.json.write_text(json.dumps({"promises": [asdict(row) for row in rows], "sets": sets}, indent=1))


def read_pool(folder: Path, kind: str) -> tuple[Evaluation, Evaluation | None]:
    """The held-out answers, and other images that may choose."""
    out_of_fold = replace(as_labels(load_evaluation(folder, part="out_of_fold")), part="valid")  # used as if held out
    if kind == "valid":
        pool = as_labels(load_evaluation(folder))
        mine = set(pool.files)
        return pool, out_of_fold.take([i for i, file in enumerate(out_of_fold.files) if file not in mine])
    if kind == "alone":
        return out_of_fold, None
    order = np.random.default_rng(0).permutation(len(out_of_fold))
    fifth = len(order) // 5
    return out_of_fold.take(order[fifth:].tolist()), out_of_fold.take(order[:fifth].tolist())


def as_labels(evaluation: Evaluation) -> Evaluation:
    """The evaluation itself, or for one class per image a yes/no answer for each class."""
    target = evaluation.decision.target
    if target.has_thresholds:
        return evaluation
    outputs = torch.logit(evaluation.activated.double(), eps=1e-12).float()
    targets = torch.nn.functional.one_hot(evaluation.targets.long(), outputs.shape[1]).float()
    decision = Decision(MultiCategoryBlock(vocab=target.output_names))
    return Evaluation(decision, outputs, targets, evaluation.files, evaluation.root, evaluation.sizes)


def of_set(name: str, pool: Evaluation, others: Evaluation | None, *, halves: int, mapie: bool) -> list[Row]:
    """The rows of one set."""
    labels = pool.decision.target.output_names
    rows = {(m, b, label): Row(name, m, b, label) for m in METRICS for b in BOUNDS for label in labels}
    share = shares(pool)
    fit_mapie = mapie_thresholds(pool) if mapie else None
    for half in range(halves):
        drawn = np.random.default_rng(half).permutation(len(pool))[: len(pool) // 2]
        evaluation = pool.take(drawn.tolist())
        tuned = tune_thresholds(evaluation.activated, evaluation.targets).per_class(len(labels)).numpy()
        single = fit_mapie(drawn) if fit_mapie else {}
        for bound in BOUNDS:
            both = keep_two_promises(
                evaluation, Promise("precision", bound), Promise("recall", bound), chosen_on=others, independent=True
            )
            asking = both.thresholds(pool.decision).abstains(pool.activated).double()
            for metric, result in (("precision", both.yes), ("recall", both.no)):
                thresholds = [np.full(len(labels), 0.5), tuned, np.full(len(labels), single.get((metric, bound), 1.0))]
                breaks = [share(metric, values) < bound for values in thresholds]
                for i, label in enumerate(result.labels):
                    row = rows[metric, bound, label.label]
                    if label.kept:
                        count_promise(row, share, np.array([one.threshold for one in result.labels]), i)
                    row.broken_half += bool(breaks[0][i])
                    row.broken_f1 += bool(breaks[1][i])
                    row.made_mapie += (metric, bound) in single
                    row.broken_mapie += (metric, bound) in single and bool(breaks[2][i])
                    row.answers_that_ask += float(asking[:, i].mean()) / halves
                    row.images_that_ask += float(asking.amax(dim=1).mean()) / halves
    for row in rows.values():
        row.recall = row.recall / row.made if row.made else float("nan")
    return list(rows.values())


def count_promise(row: Row, share: Share, thresholds: np.ndarray, column: int) -> None:
    """Adds one half with a promise: whether the whole pool breaks it, and its recall there."""
    row.made += 1
    row.broken += bool(share(row.metric, thresholds)[column] < row.bound)
    row.recall += float(share("recall", thresholds)[column])


def shares(pool: Evaluation) -> Share:
    """A function from a metric and thresholds to the share of right answers of each label over the whole pool."""
    scores, targets = pool.activated.numpy(), pool.targets.numpy()

    def share(metric: str, thresholds: np.ndarray) -> np.ndarray:
        yes = (scores > thresholds.astype(np.float32)) & ~np.isnan(targets)
        right = (yes & (targets == 1)).sum(axis=0)
        total = yes.sum(axis=0) if metric == "precision" else (targets == 1).sum(axis=0)
        return np.where(total > 0, right / np.maximum(total, 1), 1.0)

    return share


def mapie_thresholds(pool: Evaluation) -> Callable[[np.ndarray], dict[tuple[str, float], float]]:
    """A function from the rows of a half to MAPIE's threshold for each metric and value that it can promise."""
    from mapie.risk_control import MultiLabelClassificationController

    known = pool.targets.nan_to_num(0).numpy()
    some = known.sum(axis=1) > 0
    place = np.cumsum(some) - 1  # of each image with a label among them
    risks: dict[str, Any] = {}
    for metric in METRICS:
        controller = controller_of(MultiLabelClassificationController, metric, BOUNDS[0])
        risks[metric] = controller.compute_risks(pool.activated.numpy()[some].astype(np.float64), known[some])._risks

    def fit(drawn: np.ndarray) -> dict[tuple[str, float], float]:
        found: dict[tuple[str, float], float] = {}
        for metric in METRICS:
            for bound in BOUNDS:
                controller = controller_of(MultiLabelClassificationController, metric, bound)
                controller._risks = risks[metric][place[drawn[some[drawn]]]]
                controller.n_samples_ = len(controller._risks)
                with warnings.catch_warnings(action="ignore"):
                    controller.compute_best_predict_param()
                best = controller.best_predict_param[0]  # NaN or None where it cannot promise it
                if best is not None and np.isfinite(best):
                    found[metric, bound] = float(best)
        return found

    return fit


def controller_of(kind: Any, metric: str, bound: float) -> Any:
    options = {"precision": {"method": "ltt"}, "recall": {"method": "rcps", "rcps_bound": "wsr"}}[metric]
    return kind(lambda x: x, risk=metric, target_level=bound, confidence_level=0.95, **options)


def coverages(name: str, folder: Path, kind: str, halves: int) -> list[dict[str, Any]]:
    """The coverage and size of the prediction sets of one set, over the halves."""
    part = "valid" if kind == "valid" else "out_of_fold"
    evaluation = replace(load_evaluation(folder, part=part), part="valid")
    several = evaluation.decision.target.has_thresholds
    methods: dict[str, dict[str, Any]] = {
        "LAC": {"method": "lac"},
        "APS": {"method": "aps"},
        "APS, randomised": {"method": "aps", "randomised": True},
    }
    if several:
        methods = {"CRC": {}, "RCPS, 95 % confidence": {"confidence": 0.95}, "by label": {"by_label": True}}
    found: list[dict[str, Any]] = []
    for method, options in methods.items():
        each = np.array([coverage_of_half(evaluation, half, options) for half in range(halves)])
        covered, size, below = each[:, 0].mean(), each[:, 1].mean(), float((each[:, 0] < COVERAGE).mean())
        found.append({"set": name, "method": method, "coverage": covered, "size": size, "below": below})
        text = f"{covered:.1%} covered by {size:.2f} labels an image, below {COVERAGE:.0%} in {below:.0%} of the halves"
        print(f"sets of {method:<22}{text}", flush=True)
    if not several:
        accuracy = float((evaluation.activated.argmax(dim=1) == evaluation.targets).double().mean())
        print(f"the likeliest label alone covers {accuracy:.1%}")
    print()
    return found


def coverage_of_half(evaluation: Evaluation, half: int, options: dict[str, Any]) -> tuple[float, float]:
    """(share of labels in the sets, labels in a set) of the images that the sets were not fitted to."""
    order = np.random.default_rng(half).permutation(len(evaluation)).tolist()
    fitted, rest = (evaluation.take(rows) for rows in (order[: len(order) // 2], order[len(order) // 2 :]))
    inside = fit_sets(fitted, coverage=COVERAGE, **options).sets(rest.activated)
    positive = as_labels(rest).targets == 1
    missed = (positive & ~inside).sum(dim=1) / positive.sum(dim=1).clamp(min=1)  # 0 for an image without labels
    return 1 - float(missed.double().mean()), float(inside.double().sum(dim=1).mean())


def show(rows: list[Row], halves: int) -> None:
    """The table of one set."""
    print("                                                    ask            broken by")
    print(f"{'promise':<16}{'label':<16}{'made':>5}{'broken':>8}{'recall':>8}{'label':>7}{'images':>8}", end="")
    print("    0.5     F1  MAPIE (made)")
    for row in rows:
        print(f"{f'{row.metric} {row.bound:g}':<16}{row.label[:15]:<16}{row.made:>5}{row.broken:>8}", end="")
        print(f"{row.recall:>8.2f}{row.answers_that_ask:>7.0%}{row.images_that_ask:>8.0%}", end="")
        print(f"{row.broken_half:>7}{row.broken_f1:>7}{row.broken_mapie:>7} ({row.made_mapie})")
    worst = max(row.broken for row in rows)
    print(f"broken at most {worst} of {halves} times for a label and promise\n", flush=True)


if __name__ == "__main__":
    main()
