"""One label per image: breeds of pets, told apart by a small network in a few minutes.

    python examples/pets.py                       # the pets of the book, which EYEBRIGHT_DATA holds or fast.ai sends
    python examples/pets.py images/ --images 370 --epochs 2 --out pets-model

The label is in the file's name, as in ``great_pyrenees_173.jpg``. The notebook ``pets.ipynb`` goes the same way slowly.
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
"""From a file to the breed that its name tells."""


def main() -> None:
    """Train, save, load again, and say which breeds are taken for which."""
    arguments = parse()
    folder = arguments.folder or untar_data(URLs.PETS) / "images"
    files = evenly(get_image_files(folder), arguments.images)

    dls = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_y=breed,
        splitter=TrainTestSplitter(0.2, random_state=arguments.seed, stratify=[breed(file) for file in files]),
        item_tfms=Resize(arguments.size * 2),  # large first: crop and augmentation then have pixels to choose from
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
    same = saved_answers_alike(learn, arguments.out)
    print(f"the model in {arguments.out} answers as the trained one does: {same}")
    sys.exit(0 if same else 1)


def parse() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="images named breed_number.jpg (default: the book's)")
    parser.add_argument("--out", type=Path, default=Path("pets-model"))
    parser.add_argument("--images", type=int, help="use that many, evenly over the breeds (default: all)")
    parser.add_argument("--size", type=int, default=128, help="pixels of a side")
    parser.add_argument("--freeze-epochs", type=int, default=3, help="with the head alone")
    parser.add_argument("--epochs", type=int, default=2, help="with everything")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--bs", type=int, default=32)
    parser.add_argument("--arch", default="tf_efficientnet_lite0")
    parser.add_argument("--no-pretrained", action="store_true", help="begin with random weights")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def evenly(files: Sequence[Path], count: int | None) -> list[Path]:
    """That many files, as evenly from all breeds as it goes: each breed's first, then each breed's second, ..."""
    seen = Counter[str]()
    turns: list[int] = []
    for file in files:
        seen[breed(file)] += 1
        turns.append(seen[breed(file)])
    order = sorted(range(len(files)), key=lambda i: turns[i])
    return [files[i] for i in order[:count]]


def report(learn: Learner) -> None:
    """Print how many answers are right, beside one that needs no image, and the pairs that are mixed up most."""
    probabilities, targets = learn.get_preds()
    answers = probabilities.argmax(dim=1)
    vocab = learn.dls.vocab
    commonest = Counter(map(breed, learn.dls.train_ds.items)).most_common(1)[0][0]
    print(f"{int((answers == targets).sum())} of {len(targets)} images get the right one of {len(vocab)} breeds")
    print(f"always '{commonest}' would be right {int((targets == vocab.index(commonest)).sum())} times")
    wrong = answers != targets
    pairs = Counter(zip(targets[wrong].tolist(), answers[wrong].tolist(), strict=True))
    for (true, given), times in pairs.most_common(3):
        print(f"  {vocab[true]} taken for {vocab[given]}: {times}")


def saved_answers_alike(learn: Learner, folder: Path) -> bool:
    """Whether the model from its folder gives the breeds and probabilities that the trained one gives."""
    files = list(learn.dls.valid_ds.items)
    here, there = learn.predictor().predict(files), load_predictor(folder).predict(files)
    return all(
        a.answer == b.answer and torch.allclose(a.scores, b.scores, atol=1e-5) for a, b in zip(here, there, strict=True)
    )


if __name__ == "__main__":
    main()
