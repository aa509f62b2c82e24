"""Do claims of the book's chapters 5 and 6 hold on images that are here? The same trainings, with one thing changed.

    python benchmarks/claims.py presizing        # chapter 5: enlarge, then augment and crop in one resample
    python benchmarks/claims.py rates            # chapter 5: lower learning rates for the first layers
    python benchmarks/claims.py thresholds       # chapter 6: the threshold changes accuracy_multi

`untar_data` finds the images (EYEBRIGHT_DATA names the folder that holds them). Each seed deals the images of every
breed into two halves, one to learn from and one to validate, and draws another head, order and augmentations; what is
compared shares all of these. An interval is a bootstrap over images of the mean over the seeds.
"""

import argparse
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import measure
import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional

from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.getters import ColReader, RegexLabeller, using_attr
from eyebright.evaluation.intervals import Interval, bootstrap
from eyebright.image.warp import Warp
from eyebright.io.download import URLs, untar_data
from eyebright.io.files import get_image_files
from eyebright.learner.learner import Learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.metrics.labels import accuracy_multi, mean_ap
from eyebright.sources.split import ColSplitter, TrainTestSplitter
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.transforms.draw import Draw, Transform
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from eyebright.types import Size

BREED = using_attr(RegexLabeller(r"(.+)_\d+\.jpg$"), "name")
THRESHOLDS = (0.1, 0.2, 0.5, 0.99)  # documents of chapter 6 try these


def main() -> None:
    arguments = parse()
    measure.warn_if_busy()
    started = time.monotonic()
    results = CLAIMS[arguments.claim](arguments)
    print(f"{(time.monotonic() - started) / 60:.1f} minutes")
    told = {name: value for name, value in vars(arguments).items() if name != "json"}
    measure.save(arguments.json, {"settings": {name: str(value) for name, value in told.items()}, "results": results})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claim", choices=list(CLAIMS))
    parser.add_argument("--data", type=Path, help="the pets' images or the folder of PASCAL_2007 (default: untar_data)")
    parser.add_argument("--each", type=int, default=10, help="pets: images of each breed (default: 10)")
    parser.add_argument("--count", type=int, help="PASCAL_2007: use that many (default: all)")
    parser.add_argument("--size", type=int, default=128, help="pixels (default: 128)")
    parser.add_argument("--freeze-epochs", type=int, default=2, help="the head alone (default: 2)")
    parser.add_argument("--epochs", type=int, default=4, help="then everything (default: 4)")
    parser.add_argument("--lr", type=float, default=2e-3, help="of the head; half of it later (default: 2e-3)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")
    parser.add_argument("--arch", default="tf_efficientnet_lite0")
    parser.add_argument("--no-pretrained", action="store_true", help="random weights, to try the script")
    parser.add_argument("--book", action="store_true", help="norm layers learn and count, as in the book")
    parser.add_argument("--json", type=Path, help="write everything that was measured there")
    return parser.parse_args()


# ------------------------------------------------------------------------------- the claims


def presizing(told: argparse.Namespace) -> dict[str, Any]:
    """Chapter 5: changes of an enlarged image as one resample keep more than changes of a small one, one by one."""
    large, small = Resize(told.size * 2), Resize(told.size)
    augment = aug_transforms(size=told.size, min_scale=0.75)
    rate = slice(told.lr / 200, told.lr / 2)
    sides = {
        "presized, one resample": partial(train_pets, told, item_tfms=large, batch_tfms=augment, lr=rate),
        "small first, resampled one by one": partial(
            train_pets, told, item_tfms=small, batch_tfms=OneByOne(tuple(augment)), lr=rate
        ),
    }
    return compared(sides, told)


def rates(told: argparse.Namespace) -> dict[str, Any]:
    """Chapter 5: a body that was trained before wants lower rates than a fresh head."""
    tfms = {"item_tfms": Resize(told.size * 2), "batch_tfms": aug_transforms(size=told.size, min_scale=0.75)}
    head = told.lr / 2
    sides = {
        f"{head / 100:g} to {head:g}": partial(train_pets, told, **tfms, lr=slice(head / 100, head)),
        f"{head:g} for all": partial(train_pets, told, **tfms, lr=head),
        f"{head / 10:g} for all": partial(train_pets, told, **tfms, lr=head / 10),
        f"{head:g}, the body frozen": partial(train_pets, told, **tfms, lr=head, unfreeze=False),
    }
    return compared(sides, told)


def thresholds(told: argparse.Namespace) -> dict[str, Any]:
    """Chapter 6: one model, another threshold, another accuracy_multi."""
    rows = {f"accuracy_multi at {at:g}": list[float]() for at in THRESHOLDS}
    rows |= {"no label at all": [], "mAP": []}
    for seed in told.seeds:
        preds, targets = train_pascal(told, seed).get_preds()
        for at in THRESHOLDS:
            score = accuracy_multi(preds, targets, thresh=at, sigmoid=False)
            rows[f"accuracy_multi at {at:g}"].append(float(score))
        rows["no label at all"].append(float((targets == 0).double().mean()))
        rows["mAP"].append(mean_ap(preds, targets))
    columns = ["", "mean", "of seeds"]
    print(measure.table(columns, [[name, float(np.mean(one)), spread(one)] for name, one in rows.items()]))
    return rows


CLAIMS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "presizing": presizing,
    "rates": rates,
    "thresholds": thresholds,
}

# ------------------------------------------------------------------------------- how they are compared


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Args:
        right: for each image of the set 1 or 0, NaN where it did not validate.
        loss: for each image of the set its loss, NaN where it did not validate.
    """

    right: Tensor
    loss: Tensor


def compared(sides: Mapping[str, Callable[[int], Outcome]], told: argparse.Namespace) -> dict[str, Any]:
    """Prints a table of the sides, each beside the first."""
    outcomes = measure.alternate(sides, told.seeds)
    first, *_ = outcomes.values()
    results: dict[str, Any] = {}
    for name, several in outcomes.items():
        right, loss = together(several)
        results[name] = {
            "accuracy": [float(one.right.nanmean()) for one in several],
            "log loss": [float(one.loss.nanmean()) for one in several],
            "accuracy minus first": None if several is first else minus(right, together(first)[0]),
            "log loss minus first": None if several is first else minus(loss, together(first)[1]),
        }
    columns = ["", "accuracy", "of seeds", "minus the first, 95 %", "log loss", "of seeds", "minus the first, 95 %"]
    rows = [
        [
            name,
            *(cell for score in ("accuracy", "log loss") for cell in cells(one[score], one[f"{score} minus first"])),
        ]
        for name, one in results.items()
    ]
    print(measure.table(columns, rows))
    return results


def together(several: Sequence[Outcome]) -> tuple[Tensor, Tensor]:
    """A row for each image, a column for each seed."""
    return torch.stack([one.right for one in several], 1), torch.stack([one.loss for one in several], 1)


def minus(values: Tensor, first: Tensor) -> Interval:
    """How much greater the mean is than the first side's, over images that might have been drawn."""
    return bootstrap(lambda one, other: float(one.nanmean() - other.nanmean()), [values, first])


def cells(values: Sequence[float], difference: Interval | None) -> list[Any]:
    between = "" if difference is None else f"{difference.low:+.3f} to {difference.high:+.3f}"
    return [float(np.mean(values)), spread(values), between]


def spread(values: Sequence[float]) -> str:
    return f"{min(values):.3f}-{max(values):.3f}"


# ------------------------------------------------------------------------------- the trainings


def train_pets(
    told: argparse.Namespace,
    seed: int,
    *,
    item_tfms: Transform,
    batch_tfms: Any,
    lr: float | slice,
    unfreeze: bool = True,
) -> Outcome:
    """The head alone, then everything; half of the images of each breed validate."""
    files = some_of_each(get_image_files(told.data or untar_data(URLs.PETS) / "images"), told.each)
    dls = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_y=BREED,
        splitter=TrainTestSplitter(0.5, random_state=seed, stratify=[BREED(file) for file in files]),
        item_tfms=item_tfms,
        batch_tfms=batch_tfms,
    ).dataloaders(files, bs=16, seed=seed)
    learn = learner(dls, told, seed)
    learn.fit_one_cycle(told.freeze_epochs, told.lr)
    if unfreeze:
        learn.unfreeze()
    learn.fit_one_cycle(told.epochs, lr)
    probabilities, targets = learn.get_preds()
    return outcome(probabilities, targets, indices=dls.valid_ds.indices, images=len(files))


def some_of_each(files: Sequence[Path], each: int) -> list[Path]:
    """The first images of each breed."""
    breeds: dict[str, list[Path]] = {}
    for file in files:
        breeds.setdefault(BREED(file), []).append(file)
    return [file for several in breeds.values() for file in several[:each]]


def outcome(probabilities: Tensor, targets: Tensor, *, indices: Sequence[int], images: int) -> Outcome:
    right, loss = torch.full((images,), torch.nan), torch.full((images,), torch.nan)
    right[list(indices)] = (probabilities.argmax(1) == targets).float()
    loss[list(indices)] = functional.nll_loss(probabilities.clamp(min=1e-9).log(), targets, reduction="none")
    return Outcome(right, loss)


def train_pascal(told: argparse.Namespace, seed: int) -> Learner:
    """The book's data block of chapter 6; the head alone."""
    path = told.data or untar_data(URLs.PASCAL_2007)
    table = pd.read_csv(path / "train.csv", keep_default_na=False)
    if told.count is not None:
        table = table.sample(told.count, random_state=0)
    dls = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_x=ColReader("fname", pref=path / "train"),
        get_y=ColReader("labels", label_delim=" "),
        splitter=ColSplitter(),
        item_tfms=RandomResizedCrop(told.size, min_scale=0.35),
    ).dataloaders(table, seed=seed)
    learn = learner(dls, told, seed)
    learn.fit_one_cycle(told.freeze_epochs, told.lr)
    return learn


def learner(dls: DataLoaders, told: argparse.Namespace, seed: int) -> Learner:
    """Norm layers of the body keep their pretrained statistics (the command line's way), or learn (the book's)."""
    learn = vision_learner(
        dls,
        told.arch,
        pretrained=not told.no_pretrained,
        train_bn=told.book,
        keep_statistics=not told.book,
        precision="float32",
        seed=seed,
        progress="quiet",
    )
    learn.freeze()
    return learn


# ------------------------------------------------------------------------------- the order that is advised against


@dataclass(frozen=True)
class OneByOne(Transform):
    """The same changes, each drawn alike, but run as resamples of their own, rounded to bytes in between.

    Eyebright itself has no such way: whatever the order, it resamples once. So the claim needs this to be tested.

    Args:
        transforms: that keep the size of the image.
    """

    transforms: tuple[Transform, ...]

    def draw(self, size: Size, generator: np.random.Generator | None) -> Draw:
        """The changes one after another; none for the validation preprocessing, whose size is right."""
        nothing = Draw(Warp.identity(size))
        if generator is None:
            return nothing
        drawn = [transform.draw(size, generator) for transform in self.transforms]
        return Draw(nothing.warp, pixel_functions=tuple(partial(one_change, one) for one in drawn))


def one_change(drawn: Draw, image: Tensor) -> Tensor:
    """The image (uint8, c h w) after one change."""
    pixels = image.permute(1, 2, 0).numpy()
    if not np.array_equal(drawn.warp.matrix, np.eye(3)):
        pixels = drawn.warp.pixels(np.ascontiguousarray(pixels), pad=drawn.pad or "reflection")
    if not drawn.lighting.is_identity:
        pixels = drawn.lighting.table()[pixels]
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)


if __name__ == "__main__":
    main()
