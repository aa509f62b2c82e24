"""Tests claims of the fastai book's chapters 5 and 6: the same training runs with one change, on real images.

    python benchmarks/claims.py presizing        # chapter 5: resize to a larger size, then augment in one resampling
    python benchmarks/claims.py rates            # chapter 5: lower learning rates for the first layers
    python benchmarks/claims.py thresholds       # chapter 6: the threshold changes accuracy_multi

`untar_data` locates the images (in the folder EYEBRIGHT_DATA, if set). Each seed means another split of the images
(half of each breed for training, half for validation), another initial head, order and augmentation, which are the same
for all compared variants. Confidence intervals are bootstraps over images of the mean over seeds.
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
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.scores import bootstrap
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
from eyebright.transforms.draw import Transform, TransformParams
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import RandomResizedCrop, Resize
from eyebright.types import Size

BREED = using_attr(RegexLabeller(r"(.+)_\d+\.jpg$"), "name")
THRESHOLDS = (0.1, 0.2, 0.5, 0.99)  # those of chapter 6


def main() -> None:
    arguments = parse()
    measure.warn_if_busy()
    start = time.monotonic()
    results = CLAIMS[arguments.claim](arguments)
    print(f"{(time.monotonic() - start) / 60:.1f} minutes")
    settings = {name: str(value) for name, value in vars(arguments).items() if name != "json"}
    measure.save(arguments.json, {"settings": settings, "results": results})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("claim", choices=list(CLAIMS))
    parser.add_argument("--data", type=Path, help="the Pets images or the PASCAL_2007 folder (default: untar_data)")
    parser.add_argument("--per-breed", type=int, default=10, help="Pets: number of images per breed (default: 10)")
    parser.add_argument("--count", type=int, help="PASCAL_2007: number of images to use (default: all)")
    parser.add_argument("--size", type=int, default=128, help="pixels (default: 128)")
    parser.add_argument("--freeze-epochs", type=int, default=2, help="epochs with the head only (default: 2)")
    parser.add_argument("--epochs", type=int, default=4, help="epochs with all layers after them (default: 4)")
    parser.add_argument("--lr", type=float, default=2e-3, help="learning rate, halved after unfreezing (default: 2e-3)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2], help="(default: 0 1 2)")
    parser.add_argument("--arch", default="tf_efficientnet_lite0", help="backbone (default: tf_efficientnet_lite0)")
    parser.add_argument("--no-pretrained", action="store_true", help="use random weights, to try out the script")
    parser.add_argument("--fastai-recipe", action="store_true", help="train batch norms and update their statistics")
    parser.add_argument("--json", type=Path, help="file to which all measurements are written")
    return parser.parse_args()


# ------------------------------------------------------------------------------- claims


def presizing(arguments: argparse.Namespace) -> dict[str, Any]:
    """Chapter 5: augmenting a larger image in one resampling is better than augmenting a small one step by step."""
    large, small = Resize(arguments.size * 2), Resize(arguments.size)
    augment = aug_transforms(size=arguments.size, min_scale=0.75)
    lr = slice(arguments.lr / 200, arguments.lr / 2)
    stepwise = Stepwise(tuple(augment))
    variants = {
        "presized, one resampling": partial(train_pets, arguments, item_tfms=large, batch_tfms=augment, lr=lr),
        "small, one resampling per step": partial(train_pets, arguments, item_tfms=small, batch_tfms=stepwise, lr=lr),
    }
    return compare(variants, arguments.seeds)


def rates(arguments: argparse.Namespace) -> dict[str, Any]:
    """Chapter 5: a pretrained backbone needs lower learning rates than a new head."""
    augment = aug_transforms(size=arguments.size, min_scale=0.75)
    tfms = {"item_tfms": Resize(arguments.size * 2), "batch_tfms": augment}
    head = arguments.lr / 2
    variants = {
        f"{head / 100:g} to {head:g}": partial(train_pets, arguments, **tfms, lr=slice(head / 100, head)),
        f"{head:g} for all layers": partial(train_pets, arguments, **tfms, lr=head),
        f"{head / 10:g} for all layers": partial(train_pets, arguments, **tfms, lr=head / 10),
        f"{head:g}, frozen backbone": partial(train_pets, arguments, **tfms, lr=head, unfreeze=False),
    }
    return compare(variants, arguments.seeds)


def thresholds(arguments: argparse.Namespace) -> dict[str, Any]:
    """Chapter 6: accuracy_multi of the same model depends on the threshold."""
    scores = {f"accuracy_multi at {threshold:g}": list[float]() for threshold in THRESHOLDS}
    scores |= {"baseline: no labels": [], "mAP": []}
    for seed in arguments.seeds:
        preds, targets = train_pascal(arguments, seed).get_preds()
        for threshold in THRESHOLDS:
            score = accuracy_multi(preds, targets, thresh=threshold, sigmoid=False)
            scores[f"accuracy_multi at {threshold:g}"].append(float(score))
        scores["baseline: no labels"].append(float((targets == 0).double().mean()))
        scores["mAP"].append(mean_ap(preds, targets))
    rows = [[name, float(np.mean(by_seed)), value_range(by_seed)] for name, by_seed in scores.items()]
    print(measure.table(["", "mean", "over seeds"], rows))
    return scores


CLAIMS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "presizing": presizing,
    "rates": rates,
    "thresholds": thresholds,
}

# ------------------------------------------------------------------------------- comparison


@dataclass(frozen=True)
class ImageScores:
    """Accuracy and loss of each image in one training run.

    Args:
        correct: (n,) 1 if the prediction is correct, else 0; NaN for training images.
        loss: (n,) log loss; NaN for training images.
    """

    correct: Tensor
    loss: Tensor


def compare(variants: Mapping[str, Callable[[int], ImageScores]], seeds: Sequence[int]) -> dict[str, Any]:
    """The scores of each variant and their differences to the first one; also printed."""
    runs = measure.alternate(variants, seeds)
    first, *_ = runs.values()
    results: dict[str, Any] = {}
    for name, scores in runs.items():
        correct, loss = stack_seeds(scores)
        results[name] = {
            "accuracy": [float(one.correct.nanmean()) for one in scores],
            "log loss": [float(one.loss.nanmean()) for one in scores],
            "accuracy minus first": None if scores is first else difference(correct, stack_seeds(first)[0]),
            "log loss minus first": None if scores is first else difference(loss, stack_seeds(first)[1]),
        }
    interval = "minus the first, 95 % CI"
    columns = ["", "accuracy", "over seeds", interval, "log loss", "over seeds", interval]
    rows = [
        [
            name,
            *(
                cell
                for score in ("accuracy", "log loss")
                for cell in cells(result[score], result[f"{score} minus first"])
            ),
        ]
        for name, result in results.items()
    ]
    print(measure.table(columns, rows))
    return results


def stack_seeds(scores: Sequence[ImageScores]) -> tuple[Tensor, Tensor]:
    """The (n, seeds) matrices ``correct`` and ``loss``."""
    return torch.stack([one.correct for one in scores], 1), torch.stack([one.loss for one in scores], 1)


def difference(values: Tensor, reference: Tensor) -> Interval:
    """The confidence interval over images of the difference of two means."""
    return bootstrap(lambda a, b: float(a.nanmean() - b.nanmean()), [values, reference])


def cells(values: Sequence[float], interval: Interval | None) -> list[Any]:
    text = "" if interval is None else f"{interval.low:+.3f} to {interval.high:+.3f}"
    return [float(np.mean(values)), value_range(values), text]


def value_range(values: Sequence[float]) -> str:
    return f"{min(values):.3f}-{max(values):.3f}"


# ------------------------------------------------------------------------------- training runs


def train_pets(
    arguments: argparse.Namespace,
    seed: int,
    *,
    item_tfms: Transform,
    batch_tfms: Any,
    lr: float | slice,
    unfreeze: bool = True,
) -> ImageScores:
    """The validation scores after training the head, then all layers; half of each breed is the validation set."""
    files = first_of_each_breed(
        get_image_files(arguments.data or untar_data(URLs.PETS) / "images"), arguments.per_breed
    )
    dls = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_y=BREED,
        splitter=TrainTestSplitter(0.5, random_state=seed, stratify=[BREED(file) for file in files]),
        item_tfms=item_tfms,
        batch_tfms=batch_tfms,
    ).dataloaders(files, bs=16, seed=seed)
    learn = make_learner(dls, arguments, seed)
    learn.fit_one_cycle(arguments.freeze_epochs, arguments.lr)
    if unfreeze:
        learn.unfreeze()
    learn.fit_one_cycle(arguments.epochs, lr)
    probabilities, targets = learn.get_preds()
    return image_scores(probabilities, targets, indices=dls.valid_ds.indices, images=len(files))


def first_of_each_breed(files: Sequence[Path], count: int) -> list[Path]:
    """The first ``count`` images of each breed."""
    breeds: dict[str, list[Path]] = {}
    for file in files:
        breeds.setdefault(BREED(file), []).append(file)
    return [file for breed_files in breeds.values() for file in breed_files[:count]]


def image_scores(probabilities: Tensor, targets: Tensor, *, indices: Sequence[int], images: int) -> ImageScores:
    """The scores of all images from the (v, k) probabilities and (v,) targets of the images at ``indices``."""
    correct, loss = torch.full((images,), torch.nan), torch.full((images,), torch.nan)
    correct[list(indices)] = (probabilities.argmax(1) == targets).float()
    loss[list(indices)] = functional.nll_loss(probabilities.clamp(min=1e-9).log(), targets, reduction="none")
    return ImageScores(correct, loss)


def train_pascal(arguments: argparse.Namespace, seed: int) -> Learner:
    """A learner with the data block of chapter 6 and a trained head."""
    path = arguments.data or untar_data(URLs.PASCAL_2007)
    table = pd.read_csv(path / "train.csv", keep_default_na=False)
    if arguments.count is not None:
        table = table.sample(arguments.count, random_state=0)
    dls = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_x=ColReader("fname", pref=path / "train"),
        get_y=ColReader("labels", label_delim=" "),
        splitter=ColSplitter(),
        item_tfms=RandomResizedCrop(arguments.size, min_scale=0.35),
    ).dataloaders(table, seed=seed)
    learn = make_learner(dls, arguments, seed)
    learn.fit_one_cycle(arguments.freeze_epochs, arguments.lr)
    return learn


def make_learner(dls: DataLoaders, arguments: argparse.Namespace, seed: int) -> Learner:
    """A frozen learner; by default with kept batch norm statistics, as on the command line, or fastai's recipe."""
    learn = vision_learner(
        dls,
        arguments.arch,
        pretrained=not arguments.no_pretrained,
        train_bn=arguments.fastai_recipe,
        keep_statistics=not arguments.fastai_recipe,
        precision="float32",
        seed=seed,
        progress="quiet",
    )
    learn.freeze()
    return learn


# ------------------------------------------------------------------------------- stepwise augmentation


@dataclass(frozen=True)
class Stepwise(Transform):
    """The same random transforms, but each with its own resampling, rounded to uint8 in between.

    Eyebright always composes transforms and resamples once, so this comparison needs its own transform.

    Args:
        transforms: must keep the image size.
    """

    transforms: tuple[Transform, ...]

    def draw(self, size: Size, generator: np.random.Generator | None) -> TransformParams:
        """The drawn transforms as consecutive pixel functions; the identity in validation."""
        identity = TransformParams(Warp.identity(size))
        if generator is None:
            return identity
        draws = [transform.draw(size, generator) for transform in self.transforms]
        return TransformParams(identity.warp, pixel_functions=tuple(partial(apply_draw, draw) for draw in draws))


def apply_draw(draw: TransformParams, image: Tensor) -> Tensor:
    """The image (uint8, c h w) after one transform."""
    pixels = image.permute(1, 2, 0).numpy()
    if not np.array_equal(draw.warp.matrix, np.eye(3)):
        pixels = draw.warp.pixels(np.ascontiguousarray(pixels), pad_mode=draw.pad_mode or "reflection")
    if not draw.lighting.is_identity:
        pixels = draw.lighting.table()[pixels]
    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)


if __name__ == "__main__":
    main()
