r"""From nothing: how many answers a person gives until 500 images without labels carry the right ones.

500 images of a set with several labels lose them. A simulated person does what `next_action` says, as in the page:

- one image: the proposed labels are shown; one key for each that is wrong, and Enter;
- a grid of up to 30 images by falling (or rising) probability of one label: one click for each exception, and one for
  "all of these are ..." (or "none of these are ...").

An answer is one such key press or click. The head is fitted again to the features of the frozen backbone after every
five actions or 60 cells. Labelling each image by hand takes one key for each label that an image has, and one Enter for
each image. An image carries the right labels when the person has set all of its labels; those that only the model
proposes do not count. ``--yes-only`` leaves out the grids of "none of these are".

    EYEBRIGHT_DATA=data python benchmarks/from_nothing.py [pascal_2007] [--images 500] [--seeds 5] [--yes-only] \
        [--keep features] [--json from_nothing.json]
"""

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from measure import save, table
from teaching_order import Array, Images, fitted, read_images

from eyebright.evaluation.next_action import NextAction, next_action
from eyebright.evaluation.teaching_order import teaching_order

WANTED = 0.95
SHARES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7)  # of the answers by hand
_ACTIONS, _CELLS = 5, 60  # after which the head is fitted again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="?", default="pascal_2007", choices=("pascal_2007", "voc128"))
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--yes-only", action="store_true", help="no grids of images that do not have a label")
    parser.add_argument("--keep", type=Path, help="folder for the features, which are used again")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        images = read_images(args.set, args.keep or Path(temporary))
    rows: list[dict[str, Any]] = []
    for seed in range(args.seeds):
        chosen = np.random.default_rng(seed).permutation(len(images.features))[: args.images]
        some = Images(images.features[chosen], images.cells[chosen], exclusive=False)
        rows.append({"seed": seed, **labelled_from_nothing(some, seed, yes_only=args.yes_only)})
        print(sentence(rows[-1]), flush=True)
    show(rows)
    save(args.json, {"set": args.set, "yes_only": args.yes_only, "rows": rows})


def labelled_from_nothing(images: Images, seed: int, *, yes_only: bool) -> dict[str, Any]:
    """The share of images that carry the right labels after each answer count, and the counts."""
    truth = images.cells == 1
    targets = np.full(truth.shape, np.nan)
    by_hand = int(truth.sum()) + len(truth)
    curve: list[tuple[int, float, float]] = []
    answers = {"image": 0, "grid": 0}
    probabilities: Array | None = None
    order, actions, cells = unlabelled(images, probabilities, targets, seed), 0, 0
    while True:
        action = next_action(probabilities, targets, order)
        if yes_only and action.kind == "grid" and not action.answer:
            action = yes_grid_or_image(probabilities, targets, order)
        if action.kind == "done":
            break
        before = int(np.isnan(targets).sum())
        answers[action.kind] += answered(action, truth, targets, probabilities)
        order = order[~np.isin(order, action.rows)]
        actions, cells = actions + 1, cells + before - int(np.isnan(targets).sum())
        if actions >= _ACTIONS or cells >= _CELLS:
            probabilities = fitted(images.features, targets.astype(np.float32), images, seed)(images.features)
            order, actions, cells = unlabelled(images, probabilities, targets, seed), 0, 0
        curve.append((sum(answers.values()), *shares(truth, targets, probabilities)))
    reached = next(count for count, share, _ in curve if share >= WANTED)
    return {"by_hand": by_hand, "reached": reached, "all": curve[-1][0], "answers": answers, "curve": curve}


def answered(action: NextAction, truth: Array, targets: Array, probabilities: Array | None) -> int:
    """Sets the targets as the person does; returns the number of answers."""
    rows = action.rows
    if action.kind == "grid":
        targets[rows, action.label] = truth[rows, action.label]
        return 1 + int((truth[rows, action.label] != action.answer).sum())
    row = int(rows[0])
    proposed = np.zeros(truth.shape[1], dtype=bool) if probabilities is None else probabilities[row] > 0.5
    shown = np.where(np.isnan(targets[row]), proposed, targets[row] == 1)
    targets[row] = truth[row]
    return 1 + int((shown != truth[row]).sum())


def yes_grid_or_image(probabilities: Array | None, targets: Array, order: Array) -> NextAction:
    """The best action without grids of images that do not have a label."""
    p = np.zeros_like(targets) if probabilities is None else np.nan_to_num(probabilities)
    known_no = np.where(np.isnan(targets) & (p < 0.5), 0.0, targets)
    grid = next_action(probabilities, known_no, order[:0])
    if grid.kind == "grid" and grid.answer:
        return grid
    first = next_action(None, targets, order[:1])
    if first.kind == "image":
        return first
    unknown = np.isnan(targets).sum(axis=1)
    return NextAction("image", np.array([int(unknown.argmax())]), -1, False, 0.0)


def unlabelled(images: Images, probabilities: Array | None, targets: Array, seed: int) -> Array:
    """The images without any known target, in teaching order."""
    return teaching_order(images.features, probabilities, targets, seed=seed).rows


def shares(truth: Array, targets: Array, probabilities: Array | None) -> tuple[float, float]:
    """(images whose labels a person has set, images whose labels are right with those that are proposed)."""
    known = ~np.isnan(targets)
    proposed = np.zeros_like(truth) if probabilities is None else probabilities > 0.5
    right = np.where(known, targets == truth, proposed == truth)
    return float((known & right).all(axis=1).mean()), float(right.all(axis=1).mean())


def sentence(row: dict[str, Any]) -> str:
    """One seed."""
    share = row["reached"] / row["by_hand"]
    return (
        f"seed {row['seed']}: 95 % of the images after {row['reached']:,} answers, {share:.0%} of {row['by_hand']:,} by"
        f" hand; all after {row['all']:,} ({row['answers']['image']:,} at single images, {row['answers']['grid']:,} in"
        " grids)"
    )


def show(rows: list[dict[str, Any]]) -> None:
    """The curve: the mean over the seeds."""
    lines: list[list[Any]] = []
    for share in SHARES:
        at = [[point for point in row["curve"] if point[0] <= share * row["by_hand"]] for row in rows]
        set_, right = (np.mean([points[-1][i] if points else 0.0 for points in at]) for i in (1, 2))
        lines.append([f"{share:.0%}", f"{set_:.1%}", f"{right:.1%}"])
    print(table(("answers, of those by hand", "images that are done", "right with proposals"), lines))
    ratios = [row["reached"] / row["by_hand"] for row in rows]
    print(
        f"\n95 % of the images: {np.mean(ratios):.0%} of the answers by hand ({min(ratios):.0%} to {max(ratios):.0%})"
    )


if __name__ == "__main__":
    main()
