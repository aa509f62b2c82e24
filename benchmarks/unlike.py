r"""Whether foreign images are told from known ones: the AUROC of the out-of-distribution score, and of others.

A model is trained on each set (``eyebright train --epochs 0``: a linear head on a frozen pretrained network) with three
fifths of its images; one fifth is for validation, which sets the threshold; one fifth are the known images that are
judged, at whole groups where the set has groups. Foreign are images of the other sets; noise, single colours, blurred
colours and pages of text; and images of classes that were left out of training: a quarter of the breeds of the pets,
each class of the fridge, and photographs with none of the labels but one (the label that is left out: bus).

The others are the energy of the outputs (Liu et al., 2020, arXiv:2010.03759; for several labels that of Wang et al.,
2021, arXiv:2104.05760), the greatest logit (Hendrycks et al., 2022, arXiv:1911.11132), the distance from the principal
subspace alone (residual; the score of Eyebright is that and the greatest logit), the distance to the nearest
training image (Sun et al., 2022, arXiv:2204.06507), and the Mahalanobis distance to all training images, with the same
scaled features. Models of points have no logits.

    EYEBRIGHT_DATA=data python benchmarks/unlike.py [pascal pets fridge heads] [--images 100] \
        [--most 500] [--json unlike.json]
"""

import argparse
import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from measure import save, table
from torch import Tensor

from eyebright.image.image import Image
from eyebright.inference.load_predictor import load_predictor
from eyebright.inference.predictor import Predictor
from eyebright.sources.categorical import Categorical
from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.tasks.registry import block_to_json
from eyebright.transforms.pipeline import Pipeline
from eyebright.workflow.options import TrainOptions
from eyebright.workflow.train_model import train_model

SETS = ("pascal", "pets", "fridge", "heads")
PARTS = ("train", "train", "train", "valid", "test")


class Answers(NamedTuple):
    """What a model says about images: out-of-distribution scores, logits and features."""

    scores: Tensor
    logits: Tensor
    features: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=list(SETS), help=", ".join(SETS))
    parser.add_argument("--images", type=int, default=100, help="images of each foreign set, and known ones, at most")
    parser.add_argument("--most", type=int, default=500, help="images of a set that is trained on and judged, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="file for the numbers")
    args = parser.parse_args()
    everything = {name: read(name) for name in SETS}
    foreign: dict[str, list[Any]] = {name: some(paths(one), args) for name, one in everything.items()}
    foreign["made"] = made(min(args.images, 100))
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        for name in args.sets:
            source = everything[name]
            others = {key: items for key, items in foreign.items() if key != name}
            rows += judged(name, source, others, Path(temporary), args)
            for label, kept, out in near(name, source, args.seed):
                rows += judged(f"{name} without {label}", kept, {label: some(paths(out), args)}, Path(temporary), args)
    save(args.json, {"rows": rows})


def read(name: str) -> Source:
    """A set without the parts that it says, since it gets others."""
    data = Path(os.environ["EYEBRIGHT_DATA"])
    if name == "pascal":
        source = read_source(data / "pascal_2007" / "train.csv", images=data / "pascal_2007" / "train")
    elif name == "pets":
        source = read_source(data / "oxford-iiit-pet", pattern=r"^(.+)_\d+")
    else:
        source = read_source(data / {"fridge": "fridgeObjects", "heads": "biwi_head_pose"}[name])
    return source


def judged(
    name: str, source: Source, foreign: dict[str, list[Any]], folder: Path, args: argparse.Namespace
) -> list[dict[str, Any]]:
    """A row for each foreign set."""
    chosen = np.random.default_rng(args.seed).permutation(len(source))[: args.most]
    source = divided(source.take(np.sort(chosen)), args.seed)
    predictor = trained(source, folder / name.replace(" ", "_"))
    assert source.part is not None
    rows = [np.flatnonzero(source.part.isin([part])) for part in ("train", "test")]
    train = answers(predictor, paths(source.take(rows[0])))
    known = answers(predictor, some(paths(source.take(rows[1])), args))
    found: list[dict[str, Any]] = []
    for other, items in foreign.items():
        new = answers(predictor, items)
        methods = scored(predictor, train, known, new)
        row = {
            "trained on": name,
            "foreign": other,
            "known images": len(known.scores),
            "foreign images": len(new.scores),
            "known, flagged": round(float((known.scores > 1).float().mean()), 3),
            "foreign, flagged": round(float((new.scores > 1).float().mean()), 3),
            **{method: round(auroc(*pair), 3) for method, pair in methods.items()},
        }
        found.append(row)
    print(table(tuple(found[0]), [list(row.values()) for row in found]), flush=True)
    return found


def divided(source: Source, seed: int) -> Source:
    """The source with parts at random, whole groups each in one."""
    generator = np.random.default_rng(seed)
    groups = np.arange(len(source)) if source.group is None else source.group.codes
    of_group = {group: PARTS[i % len(PARTS)] for i, group in enumerate(generator.permutation(np.unique(groups)))}
    return replace(source, part=Categorical.of([of_group[group] for group in groups]))


def near(name: str, source: Source, seed: int) -> list[tuple[str, Source, Source]]:
    """(what is left out, the images without it, those with it)."""
    if name == "heads":
        return []
    block = source.block()
    sets = [set(block.labels(block.read(source[row].target))) for row in range(len(source))]
    each = sorted(set().union(*sets))
    if name == "pets":
        left_out = [set(np.random.default_rng(seed).permutation(each)[: len(each) // 4])]
        names = ["a quarter of the breeds"]
    else:
        left_out = [{"bus"}] if name == "pascal" else [{one} for one in each]
        names = [next(iter(one)) for one in left_out]
    found: list[tuple[str, Source, Source]] = []
    for label, out in zip(names, left_out, strict=True):
        has = np.array([bool(one & out) for one in sets])
        found.append((label, source.take(~has), source.take(has)))
    return found


def trained(source: Source, folder: Path) -> Predictor:
    """A linear head on a frozen pretrained network."""
    train_model(source, folder, options=TrainOptions(epochs=0, check=False, progress="quiet"))
    return load_predictor(folder, runtime="torch")


def answers(predictor: Predictor, items: Sequence[Any]) -> Answers:
    """The answers of one forward pass."""
    pipeline = Pipeline(predictor.manifest.preprocessing, saved_version=predictor.manifest.pixels_version)
    run, ood = predictor.runtime.run_with_features, predictor.ood
    assert run is not None
    assert ood is not None
    parts: list[tuple[Tensor, Tensor]] = []
    for i in range(0, len(items), 32):
        images = [pipeline.preprocess(pipeline.draw(Image.create(one), None)).pixels for one in items[i : i + 32]]
        parts.append(run(np.stack(images)))
    logits, features = (torch.cat(part) for part in zip(*parts, strict=True))
    return Answers(ood.scores(features, logits), logits.flatten(1), features)


def scored(predictor: Predictor, train: Answers, known: Answers, new: Answers) -> dict[str, tuple[Tensor, Tensor]]:
    """For each method its scores of the known and of the foreign images."""
    ood = predictor.ood
    assert ood is not None
    methods = {"eyebright": (known.scores, new.scores)}
    rows, *others = (scaled(one.features, ood.blocks) for one in (train, known, new))
    methods["residual"] = ood.distances(known.features), ood.distances(new.features)
    methods["nearest"] = tuple(torch.cdist(one, rows).amin(dim=1) for one in others)  # type: ignore[assignment]
    methods["mahalanobis"] = mahalanobis(rows, others)
    kind = block_to_json(predictor.target)["kind"]
    if predictor.target.is_categorical:
        methods["energy"] = tuple(energy(one.logits, kind) for one in (known, new))  # type: ignore[assignment]
        methods["max logit"] = tuple(-one.logits.amax(dim=1) for one in (known, new))  # type: ignore[assignment]
    return methods


def scaled(features: Tensor, blocks: int) -> Tensor:
    """Each block of the features with the length 1."""
    parts = features.double().unflatten(1, (blocks, -1))
    return (parts / parts.norm(dim=2, keepdim=True)).flatten(1)


def mahalanobis(train: Tensor, others: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """With a covariance that is shrunk by a tenth to a multiple of the identity, which few images need."""
    mean = train.mean(dim=0)
    _, values, directions = torch.linalg.svd(train - mean, full_matrices=False)
    variances = values.square() / (len(train) - 1)
    rest = 0.1 * variances.sum() / train.shape[1]
    inside = [(one - mean) @ directions.T for one in others]
    outside = [
        (one - mean).square().sum(dim=1) - part.square().sum(dim=1) for one, part in zip(others, inside, strict=True)
    ]
    first, second = (
        (part.square() / (0.9 * variances + rest)).sum(dim=1) + out.clamp_min(0) / rest
        for part, out in zip(inside, outside, strict=True)
    )
    return first, second


def energy(logits: Tensor, kind: str) -> Tensor:
    """Greater for foreign images."""
    if kind == "multicategory":
        return -torch.nn.functional.softplus(logits).sum(dim=1)
    return -logits.logsumexp(dim=1)


def auroc(known: Tensor, foreign: Tensor) -> float:
    """The probability that a foreign image has a higher score than a known one."""
    difference = foreign[:, None] - known[None, :]
    return float(((difference > 0).double() + 0.5 * (difference == 0).double()).mean())


def paths(source: Source) -> list[Any]:
    """The images of a source."""
    return [source[row].path for row in range(len(source))]


def some(items: Sequence[Any], args: argparse.Namespace) -> list[Any]:
    """At most as many as asked for, at random."""
    chosen = np.random.default_rng(args.seed).permutation(len(items))[: args.images]
    return [items[i] for i in sorted(chosen.tolist())]


def made(count: int) -> list[np.ndarray]:
    """Images that no camera takes: noise, single colours, blurred colours, pages of text."""
    rng = np.random.default_rng(0)
    images: list[np.ndarray] = []
    for i in range(count):
        if i % 4 == 0:
            image = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
        elif i % 4 == 1:
            image = np.full((300, 300, 3), rng.integers(0, 256, 3), dtype=np.uint8)
        elif i % 4 == 2:
            small = rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)
            image = np.asarray(cv2.resize(small, (300, 300), interpolation=cv2.INTER_CUBIC))
        else:
            image = np.full((400, 300, 3), 255, dtype=np.uint8)
            for y in range(20, 390, 18):
                line = "".join(chr(rng.integers(97, 123)) if rng.random() > 0.2 else " " for _ in range(34))
                cv2.putText(image, line, (10, y), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (0, 0, 0), 1)
        images.append(image)
    return images


if __name__ == "__main__":
    main()
