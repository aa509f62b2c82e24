"""fastai's side of the comparison of reading: ``python -m peers.fastai_reading < settings.json``.

Worker processes decode and presize, the main process augments and normalises whole batches. Workers start in each
epoch: that is fastai's own way.
"""

from collections.abc import Iterator

from torch import Tensor

from peers.fastai_side import dataloaders
from peers.job import read_settings
from peers.reading_job import answer_epochs


def main() -> None:
    settings = read_settings()
    train = dataloaders(settings).train

    def batches() -> Iterator[Tensor]:
        for x, _ in train:
            yield x.as_subclass(Tensor)

    said = f"ImageBlock, Resize, aug_transforms, Normalize; num_workers={settings.workers}, started in each epoch"
    answer_epochs(settings, batches, library="fastai", said=said)


if __name__ == "__main__":
    main()
