"""Eyebright in the comparison of data loading: ``python -m peers.eyebright_reading < settings.json``.

In Eyebright the model normalises, not the data loader: here the model's own code normalises each batch, so that the
result is the input of a network, as with the other libraries.
"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from eyebright.models.build import ImageModel, model_description
from peers.eyebright_training import dataloaders
from peers.reading_protocol import time_epochs
from peers.training_protocol import read_settings


def main() -> None:
    settings = read_settings()
    train = dataloaders(settings).train
    model = ImageModel(nn.Identity(), nn.Identity(), model_description(settings.arch, 2, size=settings.size)).to(
        train.device
    )

    def batches() -> Iterator[Tensor]:
        for x, _ in train:
            with torch.no_grad():
                yield model.normalize(x)

    loader = f"ImageBlock, Resize, aug_transforms, ImageModel.normalize; {train.workers} persistent processes"
    time_epochs(settings, batches, library="eyebright", loader=loader)


if __name__ == "__main__":
    main()
