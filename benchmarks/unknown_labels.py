"""What masking unknown labels is worth: the same images, with a share of the training labels made unknown at random.

Each seed trains three models on the same training images and validates all on the same complete labels:

- masked: a blank cell is unknown (`--blank unknown`);
- as no: a blank cell is taken as no (`--blank no`), as tools without unknown labels do;
- all: no cell is blank, the upper bound.

Prints the mAP and the log loss of each; of each seed the difference of mAP with its 95 % interval (paired bootstrap
over the images); and the mean differences over the seeds with their 95 % intervals (t distribution over the seeds, each
with cells of its own made unknown).

    python benchmarks/unknown_labels.py labels.csv --images photos/ [--share 0.3] [--epochs 0] [--seeds 3]
"""

import argparse
import csv
import json
import math
import tempfile
from pathlib import Path
from statistics import mean, stdev

import numpy as np
from scipy.stats import t as student_t
from torch.nn.functional import binary_cross_entropy_with_logits

from eyebright._choices import BlankMeaning
from eyebright.evaluation.compare import compare
from eyebright.evaluation.evaluation import Evaluation
from eyebright.inference.model_folder import load_evaluation
from eyebright.metrics.labels import mean_ap
from eyebright.sources.categorical import Categorical
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.sources.source_split import split_source
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.train_model import train_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--images", type=Path)
    parser.add_argument("--share", type=float, default=0.3, help="of the cells of training images that become unknown")
    parser.add_argument("--epochs", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    source = read_source(args.labels, images=args.images)
    source = source if source.split else split_source(source)
    with tempfile.TemporaryDirectory() as cache:
        rows = [one_seed(source, seed, args, cache) for seed in range(args.seeds)]
    for score in ("mAP", "log loss"):
        for name in ("masked", "as no", "all"):
            each = [row[f"{name} {score}"] for row in rows]
            print(f"{score:<10}{name:<8}" + "".join(f"{value:>8.3f}" for value in each) + f"   mean {mean(each):.3f}")
        differences = [row[f"masked {score}"] - row[f"as no {score}"] for row in rows]
        print(f"{score:<10}masked - as no: {interval_text(differences)}")
    if args.json is not None:
        args.json.write_text(json.dumps(rows, indent=1))


def interval_text(values: list[float]) -> str:
    """The mean with its 95 % interval."""
    if len(values) < 2:
        return f"{mean(values):+.4f}"
    half = float(student_t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return f"{mean(values):+.4f} (95 % CI {mean(values) - half:+.4f} to {mean(values) + half:+.4f})"


def one_seed(source: Source, seed: int, args: argparse.Namespace, cache: str) -> dict[str, float]:
    """The scores of the three models of one seed."""
    options = TrainOptions(epochs=args.epochs, seed=seed, progress="quiet", cache=cache, check=False)
    evaluations: dict[str, Evaluation] = {}
    with tempfile.TemporaryDirectory() as folder:
        ways: list[tuple[str, BlankMeaning, float]] = [
            ("as no", "no", args.share),
            ("masked", "unknown", args.share),
            ("all", "no", 0.0),
        ]
        for name, blank, share in ways:
            table = write_table(source, Path(folder) / f"{name}.csv", share, seed)
            labelled = read_source(table, images=source.root, blank=blank, kind="labels")
            train_model(labelled, Path(folder) / name, options=options)
            evaluations[name] = load_evaluation(Path(folder) / name)
    print(f"seed {seed}: {compare(evaluations['as no'], evaluations['masked'], mean_ap).text}", flush=True)
    scores: dict[str, float] = {}
    for name, one in evaluations.items():
        scores[f"{name} mAP"] = float(mean_ap(one.outputs, one.targets))
        scores[f"{name} log loss"] = float(binary_cross_entropy_with_logits(one.outputs, one.targets))
    return scores


def write_table(source: Source, path: Path, share: float, seed: int) -> Path:
    """Writes the labels as a column of 0 and 1 for each label, with blank cells for a share of the training cells."""
    assert isinstance(source.targets, Categorical)
    assert source.part is not None
    labels = sorted({label for one in source.targets.categories for label in one})
    rng = np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", *labels, "split"])
        for name, target, part in zip(source.files, source.targets, source.part, strict=True):
            blank = rng.random(len(labels)) < (share if part == "train" else 0)
            cells = ["" if no else int(label in target) for label, no in zip(labels, blank, strict=True)]
            writer.writerow([name, *cells, part])
    return path


if __name__ == "__main__":
    main()
