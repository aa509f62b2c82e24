"""fastai's side of the comparison of predictions: ``python -m peers.fastai_predict < settings.json``.

A learner as its book makes it, with the weights that both sides use. Images are cropped and resized on the CPU, to
the size that the model sees, so that both sides see the same pixels but for the resampling. Runs under an interpreter
with fastai and timm; Eyebright need not be there.
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

from peers.predict_job import Settings, give_answer, read_settings, timed_answers


def main() -> None:
    settings = read_settings()
    learner = make_learner(settings)
    with learner.no_bar(), learner.no_logging():
        answer = timed_answers(settings, lambda path: learner.predict(path)[2].tolist())
        started = time.perf_counter()
        learner.get_preds(dl=learner.dls.test_dl(settings.images, bs=settings.bs))
        batch = time.perf_counter() - started
    give_answer({**answer, "batch": batch, "bare": None, "said": "learn.predict, learn.get_preds"}, "fastai")


def make_learner(settings: Settings) -> Learner:
    """The learner with the weights that both sides use."""
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
