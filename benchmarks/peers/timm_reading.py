"""timm in the comparison of data loading: ``python -m peers.timm_reading < settings.json``.

The defaults of timm's train.py: random resized crop, flip and colour jitter in persistent worker processes, and
normalisation of batches by its prefetcher in the main process.
"""

from collections.abc import Iterator
from typing import Any

import PIL.Image
import torch
from timm.data import create_loader
from torch import Tensor
from torch.utils.data import Dataset

from peers.reading_protocol import time_epochs
from peers.training_protocol import Settings, read_settings


class ImageDataset(Dataset[tuple[Any, Any]]):
    """Images and targets; timm's loader sets ``transform``."""

    def __init__(self, paths: list[str], targets: list[Any]) -> None:
        self.paths, self.targets, self.transform = paths, targets, None

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[Any, Any]:
        image = PIL.Image.open(self.paths[i]).convert("RGB")
        return image if self.transform is None else self.transform(image), self.targets[i]


def main() -> None:
    settings = read_settings()
    paths = [item["path"] for item in settings.items if not item["valid"]]
    train = create_timm_loader(ImageDataset(paths, [0] * len(paths)), settings, training=True)

    def batches() -> Iterator[Tensor]:
        for x, _ in train:
            yield x

    loader = "random resized crop, flip, colour jitter; 2 persistent workers; the prefetcher normalises"
    time_epochs(settings, batches, library="timm", loader=loader)


def create_timm_loader(dataset: Any, settings: Settings, *, training: bool) -> Any:
    """A data loader of timm with the defaults of its train.py."""
    return create_loader(
        dataset,
        input_size=(3, *settings.size),
        batch_size=settings.bs,
        is_training=training,
        interpolation="random" if training else "bilinear",
        num_workers=2 if settings.num_workers is None else settings.num_workers,
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    )


if __name__ == "__main__":
    main()
