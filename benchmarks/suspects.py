r"""How many of the first suspects are wrong labels: 5 % of the labels of a set are flipped at random, and looked for.

A table with the flipped labels is written and trained on with ``eyebright train --epochs 0 --folds 5``, so the heads
whose out-of-fold predictions count have seen flipped labels too. Of several labels per image, cells are flipped (yes to
no and no to yes); of one class, images get another class. Labels that were wrong before count as right.

cleanlab ranks the same answers if ``--cleanlab`` names a Python that has it (pip install cleanlab; it is licensed under
the AGPL and is no dependency).

    EYEBRIGHT_DATA=data python benchmarks/suspects.py pascal_2007 voc128 pets fridge [--seeds 3] \
        [--cleanlab /tmp/cleanlab/bin/python] [--json suspects.json]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from measure import save

from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.suspects import find_suspects
from eyebright.inference.model_folder import load_evaluation

SETS = ("pascal_2007", "voc128", "pets", "fridge")
SHARE = 0.05
FIRST = 100
PEER = Path(__file__).parent / "peers" / "suspects_cleanlab.py"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", choices=SETS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cleanlab", type=Path, help="a Python with cleanlab")
    parser.add_argument("--keep", type=Path, help="folder for the models, which are used again")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.sets:
            for seed in range(args.seeds):
                rows.append(of_set(name, seed, args.keep or Path(temporary), args.cleanlab))
                show(rows[-1])
    save(args.json, {"rows": rows})


def of_set(name: str, seed: int, folder: Path, cleanlab: Path | None) -> dict[str, Any]:
    """The flipped labels among the first of each ranking."""
    here = folder / f"{name}-{seed}"
    here.mkdir(parents=True, exist_ok=True)
    images, table = read_set(name)
    flipped, noisy = flip(table, seed)
    if not (here / "model" / "out_of_fold.parquet").exists():
        train(noisy, images, here)
    evaluation = load_evaluation(here / "model", part="out_of_fold")
    place = {file: row for row, file in enumerate(noisy["file"])}
    is_wrong = flipped[[place[os.path.relpath(path, images.resolve())] for path in evaluation.paths]]
    most = min(FIRST, int(is_wrong.sum()))
    rankings = {"eyebright": ranked(evaluation)}
    if cleanlab is not None:
        rankings |= ranked_by_cleanlab(evaluation, here, cleanlab)
    found = {method: int(is_wrong.reshape(-1)[cells[:most]].sum()) for method, cells in rankings.items()}
    all_found = int(is_wrong.reshape(-1)[rankings["eyebright"]].sum())
    suspects, total = len(rankings["eyebright"]), int(is_wrong.sum())
    return {
        "set": name,
        "seed": seed,
        "images": len(evaluation),
        "flipped": total,
        "first": most,
        "found": found,
        "suspects": suspects,
        "flipped_among_suspects": all_found,
    }


def read_set(name: str) -> tuple[Path, pd.DataFrame]:
    """(the folder of the images, a column ``file`` and one for each label, or one column of classes)."""
    data = Path(os.environ["EYEBRIGHT_DATA"])
    if name in ("pets", "fridge"):
        images = data / {"pets": "oxford-iiit-pet", "fridge": "fridgeObjects"}[name]
        files = sorted(path.relative_to(images) for path in images.rglob("*.jpg"))
        classes = [file.stem.rsplit("_", 1)[0] if name == "pets" else file.parent.name for file in files]
        return images, pd.DataFrame({"file": [str(file) for file in files], "class": classes})
    labels, folder = {"pascal_2007": ("train.csv", "train"), "voc128": ("labels.csv", "images")}[name]
    table = pd.read_csv(data / name / labels)
    cells = table["labels"].str.get_dummies(" ").astype(int)
    cells.insert(0, "file", table.iloc[:, 0])
    if "is_valid" in table:
        cells["is_valid"] = table["is_valid"]
    return data / name / folder, cells


def flip(table: pd.DataFrame, seed: int) -> tuple[np.ndarray, pd.DataFrame]:
    """(which cells are flipped, the table with flipped cells)."""
    generator, noisy = np.random.default_rng(seed), table.copy()
    names = [name for name in table.columns if name not in ("file", "is_valid")]
    n_cells = len(table) * len(names)
    flipped = np.zeros(n_cells, dtype=bool)
    flipped[generator.choice(n_cells, round(SHARE * n_cells), replace=False)] = True
    flipped = flipped.reshape(len(table), len(names))
    if names == ["class"]:
        codes, classes = pd.factorize(table["class"], sort=True)
        others = (codes + generator.integers(1, len(classes), len(codes))) % len(classes)
        noisy["class"] = classes[np.where(flipped[:, 0], others, codes)]
    else:
        noisy[names] = np.where(flipped, 1 - table[names], table[names])
    return flipped, noisy


def train(table: pd.DataFrame, images: Path, here: Path) -> None:
    """Writes the model folder."""
    table.to_csv(here / "labels.csv", index=False)
    options = ["--images", str(images), "--out", str(here / "model"), "--epochs", "0", "--folds", "5", "--quiet"]
    command = [sys.executable, "-m", "eyebright", "train", str(here / "labels.csv"), *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def ranked(evaluation: Evaluation) -> np.ndarray:
    """The suspects as flat indices of cells."""
    names = evaluation.decision.target.output_names
    if evaluation.targets.ndim == 1:
        return np.array([one.row for one in find_suspects(evaluation)], dtype=int)
    place = {name: column for column, name in enumerate(names)}
    return np.array([one.row * len(names) + place[one.label] for one in find_suspects(evaluation)], dtype=int)


def ranked_by_cleanlab(evaluation: Evaluation, here: Path, python: Path) -> dict[str, np.ndarray]:
    """Each of cleanlab's rankings."""
    given = evaluation.targets.numpy().astype(np.int64)
    np.savez(here / "answers.npz", given=given, probabilities=evaluation.activated.double().numpy())
    subprocess.run([str(python), str(PEER), str(here / "answers.npz"), str(here / "ranked.npz")], check=True)
    return {f"cleanlab, {method}": cells for method, cells in np.load(here / "ranked.npz").items()}


def show(row: dict[str, Any]) -> None:
    """One set and seed."""
    print(f"{row['set']}, seed {row['seed']}: {row['images']:,} images, {row['flipped']:,} labels flipped")
    for method, found in row["found"].items():
        print(f"  {method:<46}{found:>4} of the first {row['first']} are flipped")
    print(f"  all suspects: {row['suspects']:,}, {row['flipped_among_suspects']:,} of them flipped", flush=True)


if __name__ == "__main__":
    main()
