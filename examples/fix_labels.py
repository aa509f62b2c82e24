"""The whole round on labels that are known to be wrong: train, find suspects, fix them, train again, compare.

    python examples/fix_labels.py TABLE IMAGES OUT --looks 300

A share of the label cells of TABLE is flipped at random. A model is trained on them; a person, played by the true
labels, looks at the first suspects; a second model starts from the first with the corrected labels. Both are compared
as in practice, where nobody knows the true labels, and by the true labels, which is what the other scores stand for.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.model_comparison import compare_models
from eyebright.evaluation.suspects import Suspect
from eyebright.inference.model_folder import load_evaluation
from eyebright.report.comparison import comparison_sentences
from eyebright.sources.read import read_source
from eyebright.workflow.command_options.evaluation import CompareOptions
from eyebright.workflow.command_options.labelling import SuspectOptions
from eyebright.workflow.compare import make_comparison
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.suspects import make_suspects
from eyebright.workflow.train_model import train_model

Labels = dict[str, set[str]]  # of each file


def main() -> None:
    """Prints what the comparison says, and the difference by the true labels."""
    given = arguments()
    source = read_source(given.table, images=given.images)
    truth: Labels = {row.path.relative_to(source.root).as_posix(): set(row.target) for row in source}
    is_valid = None if source.part is None else dict(zip(truth, source.part.isin(["valid"]), strict=True))
    names = sorted(set().union(*truth.values()))
    flipped = with_flips(truth, names, given.share, np.random.default_rng(given.seed))

    old, new = given.out / "old", given.out / "new"
    options = TrainOptions(
        epochs=0, folds=5, arch=given.arch, size=given.size, cache=str(given.out / "cache"), progress="quiet"
    )
    train(write(flipped, names, is_valid, given.out / "flipped.csv"), source.root, old, options)

    suspects = make_suspects(SuspectOptions(old, out=given.out / "suspects.csv")).suspects[: given.looks]
    wrong = sum((one.label in truth[one.file]) != (one.given == "yes") for one in suspects)
    print(f"of the first {len(suspects)} suspects {wrong} are wrong labels")
    corrected = with_answers(flipped, truth, suspects)
    again = replace(options, arch=None, size=None, folds=None, start_from=old)
    train(write(corrected, names, is_valid, given.out / "corrected.csv"), source.root, new, again)

    looked = given.out / "looked.csv"
    pd.DataFrame({"file": sorted({one.file for one in suspects})}).to_csv(looked, index=False)
    for sentence in comparison_sentences(make_comparison(CompareOptions(old, new, nominated=looked))):
        print(sentence)
    true = compare_models(*(by_truth(load_evaluation(folder), truth) for folder in (old, new)))
    print(f"by the true labels: {true.metrics[0].text}")


def arguments() -> argparse.Namespace:
    """What is asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--looks", type=int, default=300, help="suspects that a person looks at")
    parser.add_argument("--share", type=float, default=0.05, help="of the label cells that are flipped")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--arch")
    parser.add_argument("--size", type=int)
    return parser.parse_args()


def with_flips(labels: Labels, names: list[str], share: float, random: np.random.Generator) -> Labels:
    """The labels, where a share of all cells - a label of an image - is the opposite."""
    flips = random.random((len(labels), len(names))) < share
    each = zip(labels.items(), flips, strict=True)
    return {file: has ^ {name for name, flip in zip(names, row, strict=True) if flip} for (file, has), row in each}


def with_answers(labels: Labels, truth: Labels, suspects: Sequence[Suspect]) -> Labels:
    """The labels with the true answer for each suspect."""
    fixed = {file: set(has) for file, has in labels.items()}
    for one in suspects:
        (fixed[one.file].add if one.label in truth[one.file] else fixed[one.file].discard)(one.label)
    return fixed


def write(labels: Labels, names: list[str], is_valid: dict[str, bool] | None, path: Path) -> Path:
    """The path of a table with a 0/1 column for each label."""
    rows = pd.DataFrame([{"file": file, **{name: int(name in has) for name in names}} for file, has in labels.items()])
    path.parent.mkdir(parents=True, exist_ok=True)
    (rows if is_valid is None else rows.assign(is_valid=rows["file"].map(is_valid))).to_csv(path, index=False)
    return path


def train(table: Path, images: Path, out: Path, options: TrainOptions) -> None:
    """Trains a model folder and prints its messages."""
    train_model(read_source(table, images=images), out, options=options, say=lambda text: print(f"  {text}"))


def by_truth(evaluation: Evaluation, truth: Labels) -> Evaluation:
    """The evaluation with the true labels as targets."""
    names = evaluation.decision.target.output_names
    targets = torch.tensor([[float(name in truth[file]) for name in names] for file in evaluation.files])
    return replace(evaluation, targets=targets)


if __name__ == "__main__":
    main()
