"""The cost of bilinear evaluation pixels for a backbone that was pretrained with bicubic ones.

    python benchmarks/bicubic.py labels.csv --images photos/ [--arch NAME] [--size 224] [--json out.json]

The features of every image are computed by the frozen backbone, from canonical pixels and from pixels that differ in
one thing: an antialiased bicubic resize. Logistic regressions on them (scikit-learn's, C=1 after standardisation) score
each image out of fold (5 folds); the difference of mAP, or of accuracy for one label per image, has a 95 % interval of
2,000 paired bootstrap samples of images.
"""

import argparse
from pathlib import Path
from typing import Any

import comparison
import measure
import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import KFold
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from eyebright import Image
from eyebright.image.canonical import Placement, canonical_pixels, fit_size, place_center
from eyebright.models.backbones import create_backbone
from eyebright.models.weights import find_weights
from eyebright.types import Size

FOLDS = 5
MEAN = STD = 0.5  # of the backbones whose weights a package carries

Array = np.ndarray[Any, np.dtype[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=comparison.HelpFormatter)
    parser.add_argument("data", type=Path, help="a label file, or a folder with one folder of images for each class")
    parser.add_argument("--images", type=Path, help="the folder of the images in the label file")
    parser.add_argument("--arch", default="tf_efficientnet_lite0", help="the pretrained backbone")
    parser.add_argument("--size", type=int, default=224, help="image size in pixels")
    comparison.add_json_argument(parser)
    arguments = parser.parse_args()
    kind, items = comparison.labelled_items(arguments.data, arguments.images)
    targets, multi = one_hot([item["target"] for item in items]), kind == "multi"
    images = [Image.create(item["path"]) for item in items]
    scores = {
        name: out_of_fold(
            features(images, arguments.arch, arguments.size, bicubic=name == "bicubic"), targets, multi=multi
        )
        for name in ("bilinear", "bicubic")
    }
    values = {name: score(one, targets, multi=multi) for name, one in scores.items()}
    difference = score(scores["bilinear"], targets, multi=multi) - score(scores["bicubic"], targets, multi=multi)
    low, high = interval(scores, targets, multi=multi)
    name = "mAP" if multi else "accuracy"
    rows = [[resize, f"{value:.4f}"] for resize, value in values.items()]
    print(f"{len(items)} images, {targets.shape[1]} classes\n\n{measure.table(['', name], rows)}")
    print(f"\nbilinear - bicubic: {difference:+.4f} (95 % CI {low:+.4f} to {high:+.4f})")
    measure.save(arguments.json, {**values, "difference": difference, "interval": [low, high]})


def one_hot(targets: list[Any]) -> Array:
    """Targets as (images, classes) of 0 and 1."""
    labels = [[one] if isinstance(one, str) else one for one in targets]
    vocab = sorted({label for one in labels for label in one})
    return np.array([[name in one for name in vocab] for one in labels], dtype=int)


@torch.inference_mode()
def features(images: list[Image], arch: str, size: int, *, bicubic: bool) -> Array:
    """(images, features): averages over the feature maps of the frozen backbone."""
    backbone = create_backbone(arch, size=Size(size, size), weights=find_weights(arch)).module.eval()
    rows: list[torch.Tensor] = []
    for image in images:
        pixels = image.pixels()
        source, target = Size(*pixels.shape[:2]), Size(size, size)
        placement = place_center(source, fit_size(source, target, cover=True), target)
        x = torch.from_numpy((bicubic_pixels if bicubic else canonical_pixels)(pixels, placement))
        maps = backbone((x.permute(2, 0, 1)[None] - MEAN) / STD)
        rows.append(maps.mean((2, 3))[0])
    return torch.stack(rows).numpy()


def bicubic_pixels(image: Array, placement: Placement) -> Array:
    """Like `canonical_pixels` of an image that covers its output, with another filter."""
    x = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    x = torch.nn.functional.interpolate(x, tuple(placement.resized), mode="bicubic", antialias=True)
    top, left, (height, width) = -placement.top, -placement.left, placement.output_size
    cropped = x[0, :, top : top + height, left : left + width].clamp(0, 255) / 255
    return cropped.permute(1, 2, 0).numpy()


def out_of_fold(x: Array, targets: Array, *, multi: bool) -> Array:
    """(images, classes): probabilities of models that did not train on the image."""
    out = np.zeros(targets.shape)
    for train, valid in KFold(FOLDS, shuffle=True, random_state=0).split(x):
        present = targets[train].any(0)  # a class without an image in the training folds keeps probability 0
        model: Any = LogisticRegression(C=1.0, max_iter=1000)
        model = make_pipeline(StandardScaler(), OneVsRestClassifier(model) if multi else model)
        y = targets[train][:, present] if multi else targets[train].argmax(1)
        probabilities = model.fit(x[train], y).predict_proba(x[valid])
        out[np.ix_(valid, np.flatnonzero(present))] = probabilities
    return out


def score(scores: Array, targets: Array, *, multi: bool) -> float:
    """MAP of several labels, accuracy of one."""
    if not multi:
        return float((scores.argmax(1) == targets.argmax(1)).mean())
    present = targets.any(0)
    return float(average_precision_score(targets[:, present], scores[:, present]))


def interval(scores: dict[str, Array], targets: Array, *, multi: bool) -> tuple[float, float]:
    """95 % of the differences between bilinear and bicubic, over bootstrap samples of images."""
    generator = np.random.default_rng(0)
    differences: list[float] = []
    for _ in range(2000):
        rows = generator.integers(len(targets), size=len(targets))
        bilinear, bicubic = (score(one[rows], targets[rows], multi=multi) for one in scores.values())
        differences.append(bilinear - bicubic)
    low, high = np.percentile(differences, [2.5, 97.5])
    return float(low), float(high)


if __name__ == "__main__":
    main()
