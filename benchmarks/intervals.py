"""How often 95 % intervals contain the score that they are about: intervals of samples, scores of the whole pool.

Each model folder gives a pool, its out-of-fold predictions. A sample has half as many images as the pool, drawn *with*
replacement: then it is a sample of independent images from a population whose score is known, that of the pool.
(A half that is drawn without replacement varies less than that, by the square root of 1/2, and would flatter every
interval.) For each metric: the share of the samples whose interval contains the score of the pool, and the shares whose
interval lies above it and below it. With 50 samples a right method is between 90 and 99 % in 9 of 10 cases only; more
samples say more.

A model of one label per image is also taken as one yes/no answer for each class (named ``ONE-VS-REST``).

    python benchmarks/intervals.py models/pascal models/pets models/voc128 [--samples 50] [--json intervals.json]
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from measure import machine, save, table

from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.metric_intervals import (
    LabelInterval,
    MetricInterval,
    metric_and_label_intervals,
    metric_intervals,
)
from eyebright.evaluation.metric_value import metric_value
from eyebright.inference.model_folder import load_evaluation
from eyebright.metrics.calibration import brier_score_metric, log_loss_metric
from eyebright.metrics.decisions import (
    accuracy_multi_metric,
    false_alarms_per_1000_metric,
    fbeta_metric,
    jaccard_metric,
    labels_per_image_metric,
    precision_micro,
    recall_micro,
)
from eyebright.metrics.labels import (
    accuracy_metric,
    average_precision,
    error_rate_metric,
    f1_macro,
    f1_micro,
    f1_samples,
    hamming_loss_metric,
    mean_ap,
    subset_accuracy_metric,
)
from eyebright.metrics.meter import Metric
from eyebright.metrics.rankings import (
    average_precision_micro,
    coverage_error,
    label_ranking_average_precision,
    label_ranking_loss,
    roc_auc_macro,
    roc_auc_micro,
)
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock

OF_LABELS = (
    *(
        mean_ap,
        average_precision_micro,
        roc_auc_macro,
        roc_auc_micro,
        coverage_error,
        label_ranking_loss,
        label_ranking_average_precision,
    ),
    *(
        f1_macro,
        f1_micro,
        f1_samples,
        fbeta_metric(2, "macro"),
        fbeta_metric(0.5, "micro"),
        hamming_loss_metric,
        subset_accuracy_metric,
    ),
    *(jaccard_metric("macro"), jaccard_metric("samples"), precision_micro, recall_micro, accuracy_multi_metric),
    *(brier_score_metric, log_loss_metric, false_alarms_per_1000_metric, labels_per_image_metric),
)
OF_CLASSES = (accuracy_metric, error_rate_metric, brier_score_metric, log_loss_metric)


@dataclass
class Row:
    """One metric of one pool; shares of the samples."""

    pool: str
    metric: str
    score: float
    contains: float = 0.0
    above: float = 0.0  # the whole interval lies above the score of the pool
    below: float = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    rows: list[Row] = []
    for folder in args.models:
        for name, pool in pools(folder):
            found = of_pool(name, pool, samples=args.samples, resamples=args.resamples)
            print(f"{name}: {len(pool):,} images, {args.samples} samples of {len(pool) // 2:,}")
            columns = ("metric", "score", "contains", "above", "below")
            print(table(columns, [[getattr(row, column) for column in columns] for row in found]), flush=True)
            rows += found
    save(args.json, {"machine": machine(), "samples": args.samples, "rows": [asdict(row) for row in rows]})


def pools(folder: Path) -> list[tuple[str, Evaluation]]:
    """The out-of-fold predictions, by name; of one label per image also as a yes/no answer for each class."""
    pool = load_evaluation(folder, part="out_of_fold")
    if pool.targets.ndim > 1:
        return [(folder.name, pool)]
    names = list(pool.decision.target.output_names)
    several = replace(
        pool,
        outputs=torch.logit(pool.activated.double().clamp(1e-7, 1 - 1e-7)).float(),
        targets=torch.nn.functional.one_hot(pool.targets.long(), len(names)).float(),
        decision=Decision(MultiCategoryBlock(vocab=names)),
    )
    return [(folder.name, pool), (f"{folder.name} ONE-VS-REST", several)]


def of_pool(name: str, pool: Evaluation, *, samples: int, resamples: int) -> list[Row]:
    """The row of each metric, and one of the average precision of all labels with enough positives together."""
    metrics = OF_CLASSES if pool.targets.ndim == 1 else OF_LABELS
    rows = [Row(name, metric.name, metric_value(pool, metric)) for metric in metrics]
    of_label_ap = Row(name, "AP of a label", float("nan"))
    generator, n_labels = np.random.default_rng(0), 0
    for seed in range(samples):
        drawn = pool.take(generator.integers(len(pool), size=len(pool) // 2).tolist())
        of_metrics, of_labels = intervals(drawn, metrics, resamples=resamples, seed=seed)
        for row, found in zip(rows, of_metrics, strict=True):
            add(row, found.interval.low, found.interval.high, row.score, samples)
        if not of_labels:
            continue
        scores = average_precision(pool.activated, pool.targets).tolist()
        for found, score in zip(of_labels, scores, strict=True):
            if found.interval is not None:
                add(of_label_ap, found.interval.low, found.interval.high, score, 1)
                n_labels += 1
    if not n_labels:
        return rows
    shares = {key: getattr(of_label_ap, key) / n_labels for key in ("contains", "above", "below")}
    return [*rows, replace(of_label_ap, **shares)]


def intervals(
    drawn: Evaluation, metrics: Sequence[Metric], *, resamples: int, seed: int
) -> tuple[list[MetricInterval], list[LabelInterval]]:
    """The intervals of the metrics, and of the average precision of each label where there are labels."""
    if drawn.targets.ndim == 1:
        return metric_intervals(drawn, metrics, n_resamples=resamples, seed=seed), []
    return metric_and_label_intervals(drawn, metrics, n_resamples=resamples, seed=seed)


def add(row: Row, low: float, high: float, score: float, samples: int) -> None:
    """Counts one interval."""
    row.contains += (low <= score <= high) / samples
    row.above += (low > score) / samples
    row.below += (high < score) / samples


if __name__ == "__main__":
    main()
