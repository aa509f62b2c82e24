"""fastai in the race, as its book and documentation write it: ``python -m peers.race_fastai STEP FOLDER``.

Presizing, the default augmentation, ``vision_learner``, ``fine_tune(epochs)`` with its default learning rate, and
``export``. Runs under an interpreter with fastai and timm; it does not need Eyebright.
"""

from operator import itemgetter

import torch
from fastai.vision.all import (
    CategoryBlock,
    DataBlock,
    DataLoaders,
    ImageBlock,
    IndexSplitter,
    MultiCategoryBlock,
    PILImage,
    PointBlock,
    Resize,
    accuracy_multi,
    aug_transforms,
    error_rate,
    load_learner,
    set_seed,
    vision_learner,
)

from peers.race_protocol import Run, run_step

BLOCKS = {"multi": MultiCategoryBlock, "single": CategoryBlock, "points": PointBlock}
METRICS = {"multi": [accuracy_multi], "single": [error_rate], "points": []}


def train(run: Run) -> None:
    """Writes ``model.pkl``."""
    set_seed(run.seed)
    y_range = (-1, 1) if run.kind == "points" else None
    learner = vision_learner(dataloaders(run), run.arch, metrics=METRICS[run.kind], y_range=y_range)
    with learner.no_bar():
        learner.fine_tune(1 if run.epochs is None else run.epochs)
    learner.export(run.path("model.pkl"))


def predict(run: Run) -> None:
    """Writes the probabilities of each held-out image, or its points in pixels."""
    learner = load_learner(run.path("model.pkl"))
    batches = learner.dls.test_dl([{"path": path} for path in run.held_out])
    with learner.no_bar():
        predicted = learner.get_preds(dl=batches)[0]
    if run.kind == "points":
        # Whole images are resized to the model's input size without cropping, so [-1, 1] spans the whole image.
        sizes = torch.tensor([PILImage.create(path).size for path in run.held_out])
        run.save_predictions((predicted.view(len(sizes), -1, 2) + 1) / 2 * sizes[:, None])
    else:
        vocab = list(learner.dls.vocab)
        run.save_predictions(predicted[:, [vocab.index(name) for name in run.names]])


def dataloaders(run: Run) -> DataLoaders:
    """The data loaders of the run's images, with the augmentation of the fastai book."""
    labels = run.kind != "points"
    block = DataBlock(
        blocks=(ImageBlock, BLOCKS[run.kind]),
        get_x=itemgetter("path"),
        get_y=itemgetter("target"),
        splitter=IndexSplitter(range(len(run.train), len(run.train) + len(run.valid))),
        item_tfms=Resize(run.presize) if labels else None,
        batch_tfms=aug_transforms(size=run.size, min_scale=0.75 if labels else 1.0),
    )
    return block.dataloaders([*run.train, *run.valid], bs=run.bs)


if __name__ == "__main__":
    run_step(train=train, predict=predict)
