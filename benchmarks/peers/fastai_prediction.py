"""fastai in the comparison of prediction: ``python -m peers.fastai_prediction < settings.json``.

A learner as in the fastai book, with the weights that both libraries use. Images are cropped and resized on the CPU to
the model's input size, so that the pixels of both libraries differ only by their resampling. Runs under an interpreter
with fastai and timm; it does not need Eyebright.
"""

import time

import torch
from fastai.vision.all import (
    CategoryBlock,
    DataBlock,
    ImageBlock,
    Learner,
    Normalize,
    Resize,
    models,
    vision_learner,
)

from peers.prediction_protocol import Settings, print_result, read_settings, time_single_predictions


def main() -> None:
    settings = read_settings()
    learner = make_learner(settings)
    with learner.no_bar(), learner.no_logging():
        result = time_single_predictions(settings, lambda path: learner.predict(path)[2].tolist())
        start = time.perf_counter()
        learner.get_preds(dl=learner.dls.test_dl(settings.images, bs=settings.bs))
        batches = time.perf_counter() - start
    measured = {
        "batches": batches,
        "reading_and_model": None,
        "configuration": "learn.predict, learn.get_preds",
    }
    print_result({**result, **measured}, "fastai")


def make_learner(settings: Settings) -> Learner:
    """The learner with the weights that both libraries use."""
    count = len(settings.classes)
    labels = {path: settings.classes[i % count] for i, path in enumerate(settings.images)}
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock(vocab=settings.classes, sort=False)),
        get_y=lambda path: labels[path],
        item_tfms=Resize(tuple(settings.size)),
        batch_tfms=Normalize.from_stats(*settings.stats),
    )
    dls = block.dataloaders(settings.images, bs=settings.bs)
    arch = settings.arch if settings.arch.startswith("tf_") else getattr(models, settings.arch)
    learner = vision_learner(dls, arch, pretrained=False, normalize=False)
    tensors = torch.load(settings.weights, map_location="cpu", weights_only=True)
    learner.model.load_state_dict(dict(zip(learner.model.state_dict(), tensors, strict=True)))
    return learner


if __name__ == "__main__":
    main()
