"""Any number of labels per image: what is on a photograph, and from which probability on a label is given.

    python examples/several_labels.py             # PASCAL of the book, which EYEBRIGHT_DATA holds or fast.ai sends
    python examples/several_labels.py folder/ --images 600 --epochs 1 --out labels-model

The folder holds ``train.csv`` (columns ``fname``, ``labels`` with spaces between them, ``is_valid``) and the images
in ``train/``. The notebook ``several_labels.ipynb`` goes the same way slowly.
"""

import argparse
import sys
from functools import partial
from pathlib import Path

import pandas as pd
import torch

from eyebright import (
    ColReader,
    ColSplitter,
    DataBlock,
    ImageBlock,
    Learner,
    MultiCategoryBlock,
    RandomResizedCrop,
    URLs,
    accuracy_multi,
    load_predictor,
    untar_data,
    vision_learner,
)
from eyebright.evaluation.thresholds import cross_fitted_score
from eyebright.metrics.labels import mean_ap


def main() -> None:
    """Train, choose thresholds, save, load again, and say what each threshold is worth."""
    arguments = parse()
    folder = arguments.folder or untar_data(URLs.PASCAL_2007)
    table = pd.read_csv(folder / "train.csv", keep_default_na=False)  # an image without labels has an empty cell
    if arguments.images is not None:
        table = table.sample(min(arguments.images, len(table)), random_state=arguments.seed)

    dls = DataBlock(
        blocks=(ImageBlock, MultiCategoryBlock),
        get_x=ColReader("fname", pref=folder / "train"),
        get_y=ColReader("labels", label_delim=" "),
        splitter=ColSplitter(),
        item_tfms=RandomResizedCrop(arguments.size, min_scale=0.35),
    ).dataloaders(table, bs=arguments.bs, seed=arguments.seed)
    learn = vision_learner(
        dls,
        arguments.arch,
        pretrained=not arguments.no_pretrained,
        metrics=[mean_ap, partial(accuracy_multi, thresh=0.5)],
        train_bn=False,
        keep_statistics=True,
        seed=arguments.seed,
    )
    learn.fine_tune(arguments.epochs, arguments.lr, freeze_epochs=arguments.freeze_epochs)

    report(learn)
    learn.save_model(arguments.out)  # the thresholds are part of the model
    held_out = [folder / "train" / name for name in dls.valid_ds.items["fname"]]
    same = saved_answers_alike(learn, arguments.out, held_out)
    print(f"the model in {arguments.out} answers as the trained one does: {same}")
    sys.exit(0 if same else 1)


def parse() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="holds train.csv and train/ (default: the book's)")
    parser.add_argument("--out", type=Path, default=Path("labels-model"))
    parser.add_argument("--images", type=int, help="use that many, drawn by chance (default: all)")
    parser.add_argument("--size", type=int, default=128, help="pixels of a side")
    parser.add_argument("--freeze-epochs", type=int, default=2, help="with the head alone")
    parser.add_argument("--epochs", type=int, default=1, help="with everything")
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--bs", type=int, default=64)
    parser.add_argument("--arch", default="tf_efficientnet_lite0")
    parser.add_argument("--no-pretrained", action="store_true", help="begin with random weights")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def report(learn: Learner) -> None:
    """Print what the threshold does to the scores, and choose one for each label."""
    probabilities, targets = learn.get_preds()
    print(f"mAP {mean_ap(probabilities, targets):.3f} on {len(targets)} images")
    for at in (0.1, 0.2, 0.5, 0.99):
        print(f"accuracy_multi at {at}: {accuracy_multi(probabilities, targets, thresh=at, sigmoid=False):.3f}")
    print(f"accuracy_multi of no label at all: {(targets == 0).double().mean():.3f}")

    chosen = learn.tune_thresholds("f1_macro")
    for label, at in zip(learn.dls.vocab, chosen.per_class(len(learn.dls.vocab)).tolist(), strict=True):
        print(f"  {label} is given above {at:.2f}")
    expected = cross_fitted_score(probabilities, targets, metric="f1_macro")
    print(f"macro-F1 to expect of such thresholds on new images: {expected:.3f}")


def saved_answers_alike(learn: Learner, folder: Path, files: list[Path]) -> bool:
    """Whether the model from its folder gives the labels and probabilities that the trained one gives."""
    here, there = learn.predictor().predict(files), load_predictor(folder).predict(files)
    return all(
        a.answer == b.answer and torch.allclose(a.scores, b.scores, atol=1e-5) for a, b in zip(here, there, strict=True)
    )


if __name__ == "__main__":
    main()
