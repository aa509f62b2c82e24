r"""How many labels the teaching order saves: the learning curve against a random order, on held-out images.

A fifth of the images is held out. Of the others, 20 are labelled at random (10 of fewer than 300 images); then, again
and again, a linear head is fitted to the frozen backbone's features of the labelled images (`Teacher.learn` does the
same), scored on the held-out images, and the next images are labelled: the first of `teaching_order`, or random ones.
Labels saved at N: with how many labels less than N the order reaches the score that random images reach with N; between
two measured sizes the curves are straight lines, and each curve is made monotone, since only the best model so far
would be used. The intervals are those of Student's t over the seeds.

``--time`` measures the seconds of a fit with all images labelled, and of an order, instead: what a page waits for.

Features are computed once and kept in the folder of ``--keep``.

    EYEBRIGHT_DATA=data python benchmarks/teaching_order.py pascal_2007 pets fridge voc128 [--seeds 5] [--time] \
        [--keep features] [--json teaching_order.json]
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from measure import save, table
from scipy import stats
from sklearn.metrics import average_precision_score
from suspects import SETS, read_set

from eyebright.evaluation.teaching_order import teaching_order
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.train.linear_head.fit import fit_linear_head
from eyebright.workflow.teaching import Backbone, Teacher

HELD_OUT = 0.2
SIZES = (10, 15, 20, 30, 40, 55, 75, 100, 140, 200, 280, 400, 560, 800)
SHOWN = (30, 55, 100, 200, 400)

Array = np.ndarray[Any, np.dtype[Any]]
Order = Callable[[Array, Array, Array, bool, int], Array]
"""From features, probabilities, known cells, whether classes, and a seed to rows in order."""


class Images(NamedTuple):
    """A set of images.

    Args:
        features: a row for each image.
        cells: 0 or 1 for each label or class.
        exclusive: whether the columns are classes.
    """

    features: Array
    cells: Array
    exclusive: bool


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", choices=SETS)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--time", action="store_true", help="seconds of a fit and of an order")
    parser.add_argument("--keep", type=Path, help="folder for the features, which are used again")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.sets:
            images = read_images(name, args.keep or Path(temporary))
            if args.time:
                rows.append({"set": name, **seconds_of(images)})
                print(rows[-1], flush=True)
                continue
            rows.append({"set": name, **compared(images, range(args.seeds))})
            show(rows[-1])
    save(args.json, {"rows": rows})


def read_images(name: str, folder: Path) -> Images:
    """The features of the default backbone, computed or kept, and the labels of a set."""
    root, frame = read_set(name)
    folder.mkdir(parents=True, exist_ok=True)
    kept = folder / f"{name}.npz"
    if not kept.exists():
        teacher = Teacher([root / file for file in frame["file"]], Backbone.pretrained(MultiCategoryBlock()))
        teacher.compute_features()
        np.savez(kept, features=teacher.features.numpy())
    features = np.load(kept)["features"]
    labels = frame.drop(columns=["file", "is_valid"], errors="ignore")
    exclusive = list(labels.columns) == ["class"]
    cells = pd.get_dummies(labels["class"]) if exclusive else labels
    return Images(features, cells.to_numpy(dtype=np.float32), exclusive)


def compared(images: Images, seeds: Sequence[int], by: Order | None = None) -> dict[str, Any]:
    """The curves of both orders for each seed, and the labels saved."""
    curves = {
        name: np.array([curve(images, order, seed) for seed in seeds])
        for name, order in (("random", at_random), ("order", by or in_teaching_order))
    }
    sizes = sizes_of(images)
    saved = {
        size: with_interval(
            [labels_saved(sizes, a, b, size) for a, b in zip(curves["random"], curves["order"], strict=True)]
        )
        for size in SHOWN
        if size in sizes and size < sizes[-1]
    }
    return {
        "images": len(images.features),
        "labels": images.cells.shape[1],
        "sizes": sizes,
        "curves": {name: curve.tolist() for name, curve in curves.items()},
        "saved": saved,
    }


def seconds_of(images: Images) -> dict[str, Any]:
    """Seconds of a fit with all images labelled, with the labels of the set and with 20, and of an order."""
    generator, seconds = np.random.default_rng(0), dict[str, Any]()
    repeated = np.tile(images.cells, (1, 4))
    more = np.abs(repeated - (generator.random(repeated.shape) < 0.05))  # other labels: 5 % are flipped
    for cells in [images.cells] if images.exclusive else [images.cells, more.astype(np.float32)]:
        started = time.perf_counter()
        probabilities = fitted(images.features, cells, images, 0)(images.features)
        seconds[f"learn {len(cells):,} images, {cells.shape[1]} labels"] = round(time.perf_counter() - started, 2)
        started = time.perf_counter()
        teaching_order(images.features, probabilities, np.full_like(cells, np.nan), exclusive=images.exclusive)
        seconds[f"order {len(cells):,} images, {cells.shape[1]} labels"] = round(time.perf_counter() - started, 2)
    return seconds


def sizes_of(images: Images) -> list[int]:
    """The numbers of labelled images at which the head is fitted."""
    pool = len(images.features) - round(HELD_OUT * len(images.features))
    first = 10 if len(images.features) < 300 else 20
    return [size for size in SIZES if first <= size <= pool]


def curve(images: Images, order: Order, seed: int) -> list[float]:
    """The score on held-out images for each number of labelled images."""
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(images.features))
    held_out, pool = np.split(shuffled, [round(HELD_OUT * len(shuffled))])
    known = np.full_like(images.cells, np.nan)
    sizes, scores = sizes_of(images), list[float]()
    first = pool[: sizes[0]]
    known[first] = images.cells[first]
    features, cells = images.features[pool], known[pool]
    for size, following in zip(sizes, [*sizes[1:], 0], strict=True):
        probabilities = fitted(features, cells, images, seed)
        scores.append(score(probabilities(images.features[held_out]), images.cells[held_out], images.exclusive))
        if following:
            chosen = order(features, probabilities(features), cells, images.exclusive, seed)[: following - size]
            cells[chosen] = images.cells[pool[chosen]]
    return scores


def fitted(features: Array, cells: Array, images: Images, seed: int) -> Callable[[Array], Array]:
    """The function from features to probabilities that is learnt from the known cells."""
    known = ~np.isnan(cells).all(axis=1)
    targets = torch.from_numpy(cells[known])
    names = [str(i) for i in range(cells.shape[1])]
    head = fit_linear_head(
        torch.from_numpy(features[known]),
        targets.argmax(dim=1) if images.exclusive else targets,
        objective="multinomial" if images.exclusive else "binary",
        names=names,
        seed=seed,
    )

    def probabilities(of: Array) -> Array:
        outputs = head.outputs(torch.from_numpy(of))
        return (outputs.softmax(dim=1) if images.exclusive else outputs.sigmoid()).numpy()

    return probabilities


def score(probabilities: Array, cells: Array, exclusive: bool) -> float:  # noqa: FBT001
    """Accuracy of classes, mean average precision of labels."""
    if exclusive:
        return float((probabilities.argmax(axis=1) == cells.argmax(axis=1)).mean())
    some = cells.any(axis=0)
    return float(average_precision_score(cells[:, some], probabilities[:, some], average="macro"))


def at_random(features: Array, probabilities: Array, cells: Array, exclusive: bool, seed: int) -> Array:  # noqa: FBT001
    """The images without a label in a random order, which is that of the pool."""
    return np.flatnonzero(np.isnan(cells).all(axis=1))


def in_teaching_order(features: Array, probabilities: Array, cells: Array, exclusive: bool, seed: int) -> Array:  # noqa: FBT001
    """The images without a label in the order of the library."""
    return teaching_order(features, probabilities, cells, exclusive=exclusive, seed=seed).rows


def labels_saved(sizes: Sequence[int], random: Array, order: Array, size: int) -> float:
    """The share of labels that the order saves where random images reach their score of ``size`` labels."""
    random, order = np.maximum.accumulate(random), np.maximum.accumulate(order)
    wanted = random[sizes.index(size)]
    reached = np.flatnonzero(order >= wanted)
    if not len(reached):
        return 1 - sizes[-1] / size  # at least so many more
    i = int(reached[0])
    if i == 0:
        return 1 - sizes[0] / size
    share = (wanted - order[i - 1]) / (order[i] - order[i - 1])
    return 1 - (sizes[i - 1] + share * (sizes[i] - sizes[i - 1])) / size


def with_interval(values: Sequence[float]) -> dict[str, float]:
    """The mean and its 95 % interval by Student's t."""
    mean, n = float(np.mean(values)), len(values)
    half = float(stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / n**0.5) if n > 1 else float("nan")
    return {"mean": mean, "low": mean - half, "high": mean + half}


def show(row: dict[str, Any]) -> None:
    """One set."""
    random, order = (np.mean(row["curves"][name], axis=0) for name in ("random", "order"))
    print(f"\n{row['set']}: {row['images']:,} images, {row['labels']} labels or classes\n")
    lines: list[list[Any]] = []
    for i, size in enumerate(row["sizes"]):
        saved = row["saved"].get(size)
        text = "" if saved is None else f"{saved['mean']:.0%} ({saved['low']:.0%} to {saved['high']:.0%})"
        lines.append([str(size), f"{random[i]:.3f}", f"{order[i]:.3f}", text])
    print(table(("labelled images", "random", "teaching order", "labels saved (95 %)"), lines), flush=True)


if __name__ == "__main__":
    main()
