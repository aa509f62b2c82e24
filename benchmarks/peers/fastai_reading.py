"""fastai in the comparison of data loading: ``python -m peers.fastai_reading < settings.json``.

Worker processes decode and presize, the main process augments and normalises batches. fastai starts new workers in
each epoch.
"""

from collections.abc import Iterator

from torch import Tensor

from peers.fastai_training import dataloaders
from peers.reading_protocol import time_epochs
from peers.training_protocol import read_settings


def main() -> None:
    settings = read_settings()
    train = dataloaders(settings).train

    def batches() -> Iterator[Tensor]:
        for x, _ in train:
            yield x.as_subclass(Tensor)

    workers = f"num_workers={settings.num_workers}, started in each epoch"
    loader = f"ImageBlock, Resize, aug_transforms, Normalize; {workers}"
    time_epochs(settings, batches, library="fastai", loader=loader)


if __name__ == "__main__":
    main()
