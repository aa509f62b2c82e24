"""Eyebright in the comparison of training: ``python -m peers.eyebright_training < settings.json``."""

from operator import itemgetter
from typing import Any

from eyebright import (
    CategoryBlock,
    DataBlock,
    DataLoaders,
    ImageBlock,
    IndexSplitter,
    Learner,
    MultiCategoryBlock,
    PointBlock,
    Resize,
    aug_transforms,
    vision_learner,
)
from eyebright.train.events import EpochDone, Event, StepDone
from peers.training_protocol import Settings, TrainingTimer, print_result, read_settings

BLOCKS = {"multi": MultiCategoryBlock, "single": CategoryBlock, "points": PointBlock}


def main() -> None:
    settings = read_settings()
    learner = make_learner(settings)
    timer = TrainingTimer(settings)

    def observe(event: Event) -> None:
        match event:
            case StepDone():
                timer.step_done()
            case EpochDone():
                timer.validation_done()
            case _:
                pass

    if settings.phase == "fine_tune":
        learner.fine_tune(settings.epochs, settings.lr, settings.freeze_epochs, cbs=[observe])
    else:
        learner.freeze_to(-1 if settings.phase == "frozen" else 0)
        learner.fit_one_cycle(1, settings.lr, cbs=[observe])
    device = learner.run.device
    print_result(
        timer,
        vocab=[] if settings.kind == "points" else list(learner.dls.vocab),
        predictions=predictions(learner, settings) if settings.phase == "fine_tune" else [],
        library="eyebright",
        configuration=f"weights: {learner.model.origin}; {device.precision}: {device.precision_reason}",
    )


def dataloaders(settings: Settings) -> DataLoaders:
    """The data loaders of the settings' images, augmented as on the command line (points: as in fastai)."""
    labels = settings.kind != "points"
    block = DataBlock(
        blocks=(ImageBlock, BLOCKS[settings.kind]),
        get_x=itemgetter("path"),
        get_y=itemgetter("target"),
        splitter=IndexSplitter(settings.valid),
        item_tfms=Resize(settings.presize) if labels else None,
        batch_tfms=aug_transforms(size=settings.size, min_scale=0.75 if labels else 1.0),
    )
    return block.dataloaders(settings.items, bs=settings.bs, seed=settings.seed, num_workers=settings.num_workers)


def make_learner(settings: Settings) -> Learner:
    """A learner with the command line's recipe, or fastai's if requested or if the weights are random."""
    keep_statistics = settings.keep_statistics
    if keep_statistics is None:
        keep_statistics = settings.package is not None and not settings.fastai_recipe
    return vision_learner(
        dataloaders(settings),
        settings.arch,
        pretrained=settings.package is not None,
        y_range=(-1, 1) if settings.kind == "points" else None,
        train_bn=not keep_statistics if settings.train_bn is None else settings.train_bn,
        keep_statistics=keep_statistics,
        precision=settings.precision,
        seed=settings.seed,
        progress="quiet",
    )


def predictions(learner: Learner, settings: Settings) -> list[Any]:
    """The probabilities of each validation image, or its point in pixels of the original image."""
    if settings.kind != "points":
        return learner.get_preds()[0].tolist()
    predicted = learner.predictor().predict([settings.items[i]["path"] for i in settings.valid])
    return [prediction.decoded.xy[0].tolist() for prediction in predicted]


if __name__ == "__main__":
    main()
