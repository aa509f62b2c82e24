"""One label per image: a small network classifies pet breeds after a few minutes of training.

    python examples/pets.py                       # the Oxford-IIIT Pet dataset, in EYEBRIGHT_DATA or downloaded
    python examples/pets.py images/ --count 370 --epochs 2 --out pets-model

The label is part of the file name, as in ``great_pyrenees_173.jpg``. The notebook ``pets.ipynb`` explains each step.
"""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from eyebright import (
    CategoryBlock,
    DataBlock,
    ImageBlock,
    Learner,
    RegexLabeller,
    Resize,
    URLs,
    aug_transforms,
    error_rate,
    get_image_files,
    load_predictor,
    untar_data,
    using_attr,
    vision_learner,
)
from eyebright.sources.split import TrainTestSplitter

breed = using_attr(RegexLabeller(r"(.+)_\d+\.jpg$"), "name")
"""The breed in the name of an image file."""


def main() -> None:
    """Trains and saves a model, prints the breeds that it confuses, and checks the saved model."""
    arguments = parse()
    folder = arguments.folder or untar_data(URLs.PETS) / "images"
    files = balanced_subset(get_image_files(folder), arguments.count)

    dls = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_y=breed,
        splitter=TrainTestSplitter(0.2, random_state=arguments.seed, stratify=[breed(file) for file in files]),
        item_tfms=Resize(arguments.size * 2),  # presizing: augmentation then crops from a larger image
        batch_tfms=aug_transforms(size=arguments.size, min_scale=0.75),
    ).dataloaders(files, bs=arguments.bs, seed=arguments.seed)
    learn = vision_learner(
        dls,
        arguments.arch,
        pretrained=not arguments.no_pretrained,
        metrics=error_rate,
        train_bn=False,
        keep_statistics=True,
        seed=arguments.seed,
    )
    learn.fine_tune(arguments.epochs, arguments.lr, freeze_epochs=arguments.freeze_epochs)
    learn.save_model(arguments.out)

    report(learn)
    same = saved_model_predicts_the_same(learn, arguments.out)
    print(f"the model saved in {arguments.out} predicts the same: {same}")
    sys.exit(0 if same else 1)


def parse() -> argparse.Namespace:
    """The arguments of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="images named BREED_NUMBER.jpg (default: untar_data)")
    parser.add_argument("--out", type=Path, default=Path("pets-model"), help="folder for the model")
    parser.add_argument("--count", type=int, help="number of images to use, balanced over the breeds (default: all)")
    parser.add_argument("--size", type=int, default=128, help="image size in pixels (default: 128)")
    parser.add_argument("--freeze-epochs", type=int, default=3, help="epochs with the head only (default: 3)")
    parser.add_argument("--epochs", type=int, default=2, help="epochs with all layers after them (default: 2)")
    parser.add_argument("--lr", type=float, default=2e-3, help="learning rate (default: 2e-3)")
    parser.add_argument("--bs", type=int, default=32, help="batch size (default: 32)")
    parser.add_argument("--arch", default="tf_efficientnet_lite0", help="backbone (default: tf_efficientnet_lite0)")
    parser.add_argument("--no-pretrained", action="store_true", help="start with random weights")
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    return parser.parse_args()


def balanced_subset(files: Sequence[Path], count: int | None) -> list[Path]:
    """The first ``count`` files when sorted by their index within their breed; all of them if None."""
    seen = Counter[str]()
    index_in_breed: list[int] = []
    for file in files:
        seen[breed(file)] += 1
        index_in_breed.append(seen[breed(file)])
    order = sorted(range(len(files)), key=lambda i: index_in_breed[i])
    return [files[i] for i in order[:count]]


def report(learn: Learner) -> None:
    """Prints the accuracy, that of the most frequent class as a baseline, and the most frequent confusions."""
    probabilities, targets = learn.get_preds()
    predicted = probabilities.argmax(dim=1)
    vocab = learn.dls.vocab
    most_frequent = Counter(map(breed, learn.dls.train_ds.items)).most_common(1)[0][0]
    print(f"{int((predicted == targets).sum())} of {len(targets)} images correct, {len(vocab)} breeds")
    print(f"baseline, always '{most_frequent}': {int((targets == vocab.index(most_frequent)).sum())} correct")
    wrong = predicted != targets
    confusions = Counter(zip(targets[wrong].tolist(), predicted[wrong].tolist(), strict=True))
    for (target, prediction), count in confusions.most_common(3):
        print(f"  {vocab[target]} predicted as {vocab[prediction]}: {count}")


def saved_model_predicts_the_same(learn: Learner, folder: Path) -> bool:
    """Whether the saved model predicts the same classes and probabilities as the trained one."""
    files = list(learn.dls.valid_ds.items)
    trained, loaded = learn.predictor().predict(files), load_predictor(folder).predict(files)
    return all(
        a.decoded == b.decoded and torch.allclose(a.activated, b.activated, atol=1e-5)
        for a, b in zip(trained, loaded, strict=True)
    )


if __name__ == "__main__":
    main()
