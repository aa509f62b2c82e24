"""Any number of labels per image: the objects in a photograph, with a tuned threshold for each label.

    python examples/several_labels.py             # PASCAL VOC 2007, in EYEBRIGHT_DATA or downloaded
    python examples/several_labels.py folder/ --count 600 --epochs 1 --out labels-model

The folder contains ``train.csv`` (columns ``fname``, ``labels`` separated by spaces, ``is_valid``) and the images in
``train/``. The notebook ``several_labels.ipynb`` explains each step.
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
    """Trains a model, prints scores and tuned thresholds, saves the model and checks the saved one."""
    arguments = parse()
    folder = arguments.folder or untar_data(URLs.PASCAL_2007)
    table = pd.read_csv(folder / "train.csv", keep_default_na=False)  # images without labels have an empty cell
    if arguments.count is not None:
        table = table.sample(min(arguments.count, len(table)), random_state=arguments.seed)

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
    files = [folder / "train" / name for name in dls.valid_ds.items["fname"]]
    same = saved_model_predicts_the_same(learn, arguments.out, files)
    print(f"the model saved in {arguments.out} predicts the same: {same}")
    sys.exit(0 if same else 1)


def parse() -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="contains train.csv and train/ (default: untar_data)")
    parser.add_argument("--out", type=Path, default=Path("labels-model"), help="folder for the model")
    parser.add_argument("--count", type=int, help="number of images to use, at random (default: all)")
    parser.add_argument("--size", type=int, default=128, help="image size in pixels (default: 128)")
    parser.add_argument("--freeze-epochs", type=int, default=2, help="epochs with the head only (default: 2)")
    parser.add_argument("--epochs", type=int, default=1, help="epochs with all layers after them (default: 1)")
    parser.add_argument("--lr", type=float, default=3e-3, help="learning rate (default: 3e-3)")
    parser.add_argument("--bs", type=int, default=64, help="batch size (default: 64)")
    parser.add_argument("--arch", default="tf_efficientnet_lite0", help="backbone (default: tf_efficientnet_lite0)")
    parser.add_argument("--no-pretrained", action="store_true", help="start with random weights")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    return parser.parse_args()


def report(learn: Learner) -> None:
    """Prints scores at several thresholds, then tunes a threshold for each label."""
    probabilities, targets = learn.get_preds()
    print(f"mAP {mean_ap(probabilities, targets):.3f} on {len(targets)} images")
    for threshold in (0.1, 0.2, 0.5, 0.99):
        score = accuracy_multi(probabilities, targets, thresh=threshold, sigmoid=False)
        print(f"accuracy_multi at {threshold}: {score:.3f}")
    print(f"accuracy_multi baseline, no labels: {(targets == 0).double().mean():.3f}")

    tuned = learn.tune_thresholds("f1_macro")
    for label, threshold in zip(learn.dls.vocab, tuned.per_class(len(learn.dls.vocab)).tolist(), strict=True):
        print(f"  threshold for {label}: {threshold:.2f}")
    expected = cross_fitted_score(probabilities, targets, metric="f1_macro")
    print(f"expected macro F1 of tuned thresholds on new images: {expected:.3f}")


def saved_model_predicts_the_same(learn: Learner, folder: Path, files: list[Path]) -> bool:
    """Whether the saved model predicts the same labels and probabilities as the trained one."""
    trained, loaded = learn.predictor().predict(files), load_predictor(folder).predict(files)
    return all(
        a.decoded == b.decoded and torch.allclose(a.activated, b.activated, atol=1e-5)
        for a, b in zip(trained, loaded, strict=True)
    )


if __name__ == "__main__":
    main()
