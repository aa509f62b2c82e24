"""fastai's side of a comparison, as its book writes it: ``python -m peers.fastai_side < settings.json``.

Everything that is not said is fastai's own default: its worker processes, its Adam, its groups of parameters, its way
of freezing. Runs under an interpreter with fastai, timm and the package of weights; Eyebright need not be there.
"""

import importlib.util
from operator import itemgetter
from pathlib import Path
from typing import Any

import timm
import torch
from fastai.vision.all import (
    Callback,
    CategoryBlock,
    DataBlock,
    DataLoaders,
    ImageBlock,
    IndexSplitter,
    Learner,
    MultiCategoryBlock,
    Normalize,
    PILImage,
    PointBlock,
    Resize,
    aug_transforms,
    imagenet_stats,
    models,
    set_seed,
    vision_learner,
)

from peers.job import Clock, Settings, give_answer, read_settings

BLOCKS = {"multi": MultiCategoryBlock, "single": CategoryBlock, "points": PointBlock}
LITE_STATS = ([0.5] * 3, [0.5] * 3)  # what the packages' weights were trained with


class Times(Callback):
    """Tells the clock, after every other callback."""

    order = 1000

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def after_batch(self) -> None:
        """A batch is over, of training or of validation."""
        if self.training:
            self.clock.step_done()

    def after_validate(self) -> None:
        """The validation of an epoch is over."""
        self.clock.validation_done()


def main() -> None:
    settings = read_settings()
    set_seed(settings.seed)
    learner = make_learner(settings)
    with learner.no_bar(), learner.no_logging():
        clock = Clock(settings)
        if settings.phase == "fine_tune":
            learner.fine_tune(settings.epochs, settings.lr, settings.freeze_epochs, cbs=Times(clock))
        else:
            learner.freeze_to(-1 if settings.phase == "frozen" else 0)
            learner.fit_one_cycle(1, settings.lr, cbs=Times(clock))
        predicted = predictions(learner, settings) if settings.phase == "fine_tune" else []
    vocab = [] if settings.kind == "points" else list(learner.dls.vocab)
    give_answer(clock, vocab=vocab, predictions=predicted, library="fastai")


def dataloaders(settings: Settings) -> DataLoaders:
    """Batches of the settings' images, with the book's augmentation."""
    labels = settings.kind != "points"
    stats = LITE_STATS if settings.package else imagenet_stats
    augment = aug_transforms(size=settings.size, min_scale=0.75 if labels else 1.0)
    block = DataBlock(
        blocks=(ImageBlock, BLOCKS[settings.kind]),
        get_x=itemgetter("path"),
        get_y=itemgetter("answer"),
        splitter=IndexSplitter(settings.valid),
        item_tfms=Resize(settings.presize) if labels else None,
        batch_tfms=[*augment, Normalize.from_stats(*stats)],
    )
    workers = {} if settings.workers is None else {"num_workers": settings.workers}
    return block.dataloaders(settings.items, bs=settings.bs, **workers)


def make_learner(settings: Settings) -> Learner:
    """The learner, its body with the package's weights where there is a package."""
    arch = settings.arch if settings.package else getattr(models, settings.arch)
    y_range = (-1, 1) if settings.kind == "points" else None
    learner = vision_learner(dataloaders(settings), arch, pretrained=False, y_range=y_range)
    if settings.package:
        load_weights(learner.model[0].model, settings.arch, settings.package)
    return learner


def load_weights(body: torch.nn.Module, arch: str, package: str) -> None:
    """Put the package's tensors, which are in the order of timm's state dict, under timm's names into the body."""
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise SystemExit(f"fastai's interpreter lacks the package {package.replace('_', '-')}")
    [file] = Path(found.submodule_search_locations[0]).glob("models/*.pth")
    tensors = torch.load(file, map_location="cpu", weights_only=True).values()
    names = timm.create_model(arch).state_dict()
    state = dict(zip(names, tensors, strict=True))
    body.load_state_dict({name: state[name] for name in body.state_dict()})


def predictions(learner: Learner, settings: Settings) -> list[Any]:
    """For each validation image the probabilities, or the point in its own pixels."""
    predicted = learner.get_preds()[0]
    if settings.kind == "points":
        # Nothing was cut off: the model saw whole images, each squeezed into the size.
        sizes = [PILImage.create(settings.items[i]["path"]).size for i in settings.valid]
        predicted = (predicted + 1) / 2 * torch.tensor(sizes)
    return predicted.tolist()


if __name__ == "__main__":
    main()
