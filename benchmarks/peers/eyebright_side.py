"""Eyebright's side of a comparison: ``python -m peers.eyebright_side < settings.json``."""

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
from peers.job import Clock, Settings, give_answer, read_settings

BLOCKS = {"multi": MultiCategoryBlock, "single": CategoryBlock, "points": PointBlock}


def main() -> None:
    settings = read_settings()
    learner = make_learner(settings)
    clock = Clock(settings)

    def watch(event: Event) -> None:
        match event:
            case StepDone():
                clock.step_done()
            case EpochDone():
                clock.validation_done()
            case _:
                pass

    if settings.phase == "fine_tune":
        learner.fine_tune(settings.epochs, settings.lr, settings.freeze_epochs, cbs=[watch])
    else:
        learner.freeze_to(-1 if settings.phase == "frozen" else 0)
        learner.fit_one_cycle(1, settings.lr, cbs=[watch])
    device = learner.run.device
    give_answer(
        clock,
        vocab=list(learner.dls.target.classes or []),
        predictions=predictions(learner, settings) if settings.phase == "fine_tune" else [],
        library="eyebright",
        said=f"weights: {learner.model.origin}; {device.precision}: {device.why}",
    )


def dataloaders(settings: Settings) -> DataLoaders:
    """Batches of the settings' images, augmented as the command line does it (points: as the book)."""
    labels = settings.kind != "points"
    block = DataBlock(
        blocks=(ImageBlock, BLOCKS[settings.kind]),
        get_x=itemgetter("path"),
        get_y=itemgetter("answer"),
        splitter=IndexSplitter(settings.valid),
        item_tfms=Resize(settings.presize) if labels else None,
        batch_tfms=aug_transforms(size=settings.size, min_scale=0.75 if labels else 1.0),
    )
    return block.dataloaders(settings.items, bs=settings.bs, seed=settings.seed, num_workers=settings.workers)


def make_learner(settings: Settings) -> Learner:
    """The command line's recipe; the book's where that was asked for, and where there are no statistics to keep."""
    keep = (settings.package is not None and not settings.book) if settings.keep is None else settings.keep
    return vision_learner(
        dataloaders(settings),
        settings.arch,
        pretrained=settings.package is not None,
        y_range=(-1, 1) if settings.kind == "points" else None,
        train_bn=not keep if settings.train_bn is None else settings.train_bn,
        keep_statistics=keep,
        precision=settings.precision,
        seed=settings.seed,
        progress="quiet",
    )


def predictions(learner: Learner, settings: Settings) -> list[Any]:
    """For each validation image the probabilities, or the point in its own pixels."""
    if settings.kind != "points":
        return learner.get_preds()[0].tolist()
    answers = learner.predictor().predict([settings.items[i]["path"] for i in settings.valid])
    return [one.answer.xy[0].tolist() for one in answers]


if __name__ == "__main__":
    main()
