"""Eyebright's side of the comparison of reading: ``python -m peers.eyebright_reading < settings.json``.

The model normalises, not the data; here this is done to each batch with the model's own code, so that what comes out
is what a network takes.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from eyebright.models.build import ImageModel, describe
from peers.eyebright_side import dataloaders
from peers.job import read_settings
from peers.reading_job import answer_epochs


def main() -> None:
    settings = read_settings()
    train = dataloaders(settings).train
    model = ImageModel(nn.Identity(), nn.Identity(), describe(settings.arch, 2, size=settings.size)).to(train.device)

    def batches() -> Iterator[Tensor]:
        for x, _ in train:
            with torch.no_grad():
                yield model.normalise(x)

    said = f"ImageBlock, Resize, aug_transforms, the model's normalise; {train.workers} processes, which stay"
    answer_epochs(settings, batches, library="eyebright", said=said)


if __name__ == "__main__":
    main()
