"""fastai in the comparison of training, as its book writes it: ``python -m peers.fastai_training < settings.json``.

Everything not in the settings is fastai's default: worker processes, Adam, parameter groups, freezing. Runs under an
interpreter with fastai, timm and the package of weights; it does not need Eyebright.
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

from peers.training_protocol import Settings, TrainingTimer, print_result, read_settings

BLOCKS = {"multi": MultiCategoryBlock, "single": CategoryBlock, "points": PointBlock}
LITE_STATS = ([0.5] * 3, [0.5] * 3)  # mean and std with which the packages' weights were trained


class TimerCallback(Callback):
    """Reports steps and validations to the timer, after all other callbacks."""

    order = 1000

    def __init__(self, timer: TrainingTimer) -> None:
        self.timer = timer

    def after_batch(self) -> None:
        """Called after each training or validation batch."""
        if self.training:
            self.timer.step_done()

    def after_validate(self) -> None:
        """Called after the validation of an epoch."""
        self.timer.validation_done()


def main() -> None:
    settings = read_settings()
    set_seed(settings.seed)
    learner = make_learner(settings)
    with learner.no_bar(), learner.no_logging():
        timer = TrainingTimer(settings)
        if settings.phase == "fine_tune":
            learner.fine_tune(settings.epochs, settings.lr, settings.freeze_epochs, cbs=TimerCallback(timer))
        else:
            learner.freeze_to(-1 if settings.phase == "frozen" else 0)
            learner.fit_one_cycle(1, settings.lr, cbs=TimerCallback(timer))
        predicted = predictions(learner, settings) if settings.phase == "fine_tune" else []
    vocab = [] if settings.kind == "points" else list(learner.dls.vocab)
    print_result(timer, vocab=vocab, predictions=predicted, library="fastai")


def dataloaders(settings: Settings) -> DataLoaders:
    """The data loaders of the settings' images, with the augmentation of the fastai book."""
    labels = settings.kind != "points"
    stats = LITE_STATS if settings.package else imagenet_stats
    augment = aug_transforms(size=settings.size, min_scale=0.75 if labels else 1.0)
    block = DataBlock(
        blocks=(ImageBlock, BLOCKS[settings.kind]),
        get_x=itemgetter("path"),
        get_y=itemgetter("target"),
        splitter=IndexSplitter(settings.valid),
        item_tfms=Resize(settings.presize) if labels else None,
        batch_tfms=[*augment, Normalize.from_stats(*stats)],
    )
    workers = {} if settings.num_workers is None else {"num_workers": settings.num_workers}
    return block.dataloaders(settings.items, bs=settings.bs, **workers)


def make_learner(settings: Settings) -> Learner:
    """The learner, with the package's pretrained weights in its backbone if there is such a package."""
    arch = settings.arch if settings.package else getattr(models, settings.arch)
    y_range = (-1, 1) if settings.kind == "points" else None
    learner = vision_learner(dataloaders(settings), arch, pretrained=False, y_range=y_range)
    if settings.package:
        load_weights(learner.model[0].model, settings.arch, settings.package)
    return learner


def load_weights(backbone: torch.nn.Module, arch: str, package: str) -> None:
    """Loads the package's tensors, which are in the order of timm's state dict but have other names."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"the package {package.replace('_', '-')} is not installed for fastai's interpreter")
    [file] = Path(spec.submodule_search_locations[0]).glob("models/*.pth")
    tensors = torch.load(file, map_location="cpu", weights_only=True).values()
    names = timm.create_model(arch).state_dict()
    state = dict(zip(names, tensors, strict=True))
    backbone.load_state_dict({name: state[name] for name in backbone.state_dict()})


def predictions(learner: Learner, settings: Settings) -> list[Any]:
    """The probabilities of each validation image, or its point in pixels of the original image."""
    predicted = learner.get_preds()[0]
    if settings.kind == "points":
        # Whole images are resized to the model's input size without cropping, so [-1, 1] spans the whole image.
        sizes = [PILImage.create(settings.items[i]["path"]).size for i in settings.valid]
        predicted = (predicted + 1) / 2 * torch.tensor(sizes)
    return predicted.tolist()


if __name__ == "__main__":
    main()
