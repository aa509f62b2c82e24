"""How often 95 % intervals contain the score that they are about: intervals of samples, scores of the whole pool.

Each model folder gives a pool, its out-of-fold predictions. A sample has half as many images as the pool, drawn *with*
replacement: then it is a sample of independent images from a population whose score is known, that of the pool.
(A half that is drawn without replacement varies less than that, by the square root of 1/2, and would flatter every
interval.) For each metric: the share of the samples whose interval contains the score of the pool, and the shares whose
interval lies above it and below it. With 50 samples a right method is between 90 and 99 % in 9 of 10 cases only; more
samples say more.

A model of one label per image is also taken as one yes/no answer for each class (named ``ONE-VS-REST``). With
``--second`` the intervals are those of the differences to another model, on the images that both predict. ``--made``
adds pools of 2,000 invented points, numbers and ratings; their samples have ``--size`` images.

    python benchmarks/intervals.py models/pascal models/pets models/voc128 [--samples 50] [--json intervals.json]
    python benchmarks/intervals.py models/pets --second models/pets_160
    python benchmarks/intervals.py --made points numbers ratings --size 100
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from interval_pools import made_pool
from measure import machine, save, table

from eyebright.evaluation.compare import paired_comparisons
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import Interval
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
from eyebright.metrics.ordinal import ordinal_accuracy_metric, ordinal_mae_metric, quadratic_kappa_metric
from eyebright.metrics.point_scores import auc_metric, nme_metric, pck_metric
from eyebright.metrics.points import point_error
from eyebright.metrics.rankings import (
    average_precision_micro,
    coverage_error,
    label_ranking_average_precision,
    label_ranking_loss,
    roc_auc_macro,
    roc_auc_micro,
)
from eyebright.metrics.values import mae, rmse
from eyebright.tasks.decision import Decision
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock

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
OF_RATINGS = (ordinal_mae_metric, quadratic_kappa_metric, ordinal_accuracy_metric, brier_score_metric, log_loss_metric)
OF_NUMBERS = (mae, rmse)
OF_POINTS = (point_error, nme_metric("box"), pck_metric("box", 0.05), auc_metric("box", 0.1))


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
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--second", type=Path, help="another model, for the differences to it")
    parser.add_argument("--made", nargs="*", default=[], choices=("points", "numbers", "ratings"))
    parser.add_argument("--size", type=int, help="images of a sample; default: half of the pool")
    parser.add_argument("--samples", type=int, default=50)
    parser.add_argument("--resamples", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="seed of the samples")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    rows: list[Row] = []
    known = [pool for folder in args.models for pool in pools(folder)]
    seconds = [] if args.second is None else pools(args.second)
    for i, (name, pool) in enumerate([*known, *((f"made {kind}", made_pool(kind)) for kind in args.made)]):
        second = shared(pool, seconds[i][1]) if seconds else None
        size = args.size or len(pool) // 2
        samples = Samples(args.samples, size, args.resamples, args.seed)
        found = of_pool(name, pool, samples) if second is None else of_pair(name, pool, second, samples)
        print(f"{name}: {len(pool):,} images, {args.samples} samples of {size:,}")
        columns = ("metric", "score", "contains", "above", "below")
        print(table(columns, [[getattr(row, column) for column in columns] for row in found]), flush=True)
        rows += found
    save(args.json, {"machine": machine(), "samples": args.samples, "rows": [asdict(row) for row in rows]})


@dataclass(frozen=True)
class Samples:
    """How samples are drawn from a pool, with replacement."""

    count: int
    size: int
    resamples: int
    seed: int

    def rows(self, images: int) -> Iterator[tuple[int, list[int]]]:
        """(number of the sample, its rows)."""
        generator = np.random.default_rng(self.seed)
        for number in range(self.count):
            yield number, generator.integers(images, size=self.size).tolist()


def shared(first: Evaluation, second: Evaluation) -> Evaluation:
    """The evaluation of the second model on the images of the first, in their order."""
    rows = {file: row for row, file in enumerate(second.files)}
    return second.take([rows[file] for file in first.files])


def pools(folder: Path) -> list[tuple[str, Evaluation]]:
    """The out-of-fold predictions, by name; of one label per image also as a yes/no answer for each class."""
    pool = load_evaluation(folder, part="out_of_fold")
    if pool.decision.target.task_type != "classes" or isinstance(pool.decision.target, OrdinalBlock):
        return [(folder.name, pool)]
    names = list(pool.decision.target.output_names)
    several = replace(
        pool,
        outputs=torch.logit(pool.activated.double().clamp(1e-7, 1 - 1e-7)).float(),
        targets=torch.nn.functional.one_hot(pool.targets.long(), len(names)).float(),
        decision=Decision(MultiCategoryBlock(vocab=names)),
    )
    return [(folder.name, pool), (f"{folder.name} ONE-VS-REST", several)]


def metrics_of(pool: Evaluation) -> tuple[Metric, ...]:
    """The metrics of the pool's kind of target; a single point has no box that its error could be divided by."""
    target = pool.decision.target
    if isinstance(target, OrdinalBlock):
        return OF_RATINGS
    of_points = OF_POINTS if len(target.value_names) > 1 else OF_POINTS[:1]
    return {"labels": OF_LABELS, "classes": OF_CLASSES, "numbers": OF_NUMBERS, "points": of_points}[target.task_type]


def of_pool(name: str, pool: Evaluation, samples: Samples) -> list[Row]:
    """The row of each metric, and one of the average precision of all labels with enough positives together."""
    metrics = metrics_of(pool)
    rows = [Row(name, metric.name, metric_value(pool, metric)) for metric in metrics]
    scores = average_precision(pool.activated, pool.targets).tolist() if metrics is OF_LABELS else []
    perfect, imperfect = (Row(name, f"AP of a label{text}", float("nan")) for text in (" with 1 in the pool", ""))
    counts = {perfect.metric: 0, imperfect.metric: 0}
    for seed, drawn in samples.rows(len(pool)):
        of_metrics, of_labels = intervals(pool.take(drawn), metrics, resamples=samples.resamples, seed=seed)
        for row, found in zip(rows, of_metrics, strict=True):
            add(row, found.interval, row.score, samples.count)
        for found, score in zip(of_labels, scores, strict=True):
            if found.interval is not None:
                row = perfect if score == 1 else imperfect
                add(row, found.interval, score, 1)
                counts[row.metric] += 1
    return rows + [
        replace(row, **{key: getattr(row, key) / counts[row.metric] for key in ("contains", "above", "below")})
        for row in (imperfect, perfect)
        if counts[row.metric]
    ]


def of_pair(name: str, first: Evaluation, second: Evaluation, samples: Samples) -> list[Row]:
    """The row of each metric, of the differences between two models."""
    metrics = metrics_of(first)
    rows = [
        Row(name, f"{metric.name}, difference", metric_value(second, metric) - metric_value(first, metric))
        for metric in metrics
    ]
    for _, drawn in samples.rows(len(first)):
        pair = first.take(drawn), second.take(drawn)
        found, _ = paired_comparisons(*pair, metrics, n_resamples=samples.resamples)
        for row, one in zip(rows, found, strict=True):
            add(row, one.interval, row.score, samples.count)
    return rows


def intervals(
    drawn: Evaluation, metrics: Sequence[Metric], *, resamples: int, seed: int
) -> tuple[list[MetricInterval], list[LabelInterval]]:
    """The intervals of the metrics, and of the average precision of each label where there are labels."""
    if metrics is not OF_LABELS:
        return metric_intervals(drawn, metrics, n_resamples=resamples, seed=seed), []
    return metric_and_label_intervals(drawn, metrics, n_resamples=resamples, seed=seed)


def add(row: Row, interval: Interval, score: float, samples: int) -> None:
    """Counts one interval."""
    row.contains += (interval.low <= score <= interval.high) / samples
    row.above += (interval.low > score) / samples
    row.below += (interval.high < score) / samples


if __name__ == "__main__":
    main()
