"""torchvision in the comparison of data loading: ``python -m peers.torchvision_reading < settings.json``.

The training transforms of torchvision's references/classification (v2, Pillow) with TrivialAugment as in its newer
recipes, in torch's DataLoader with the options of its train.py, which starts new workers in each epoch.
"""

from collections.abc import Callable, Iterator
from typing import Any

import PIL.Image
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from peers.reading_protocol import time_epochs
from peers.training_protocol import Settings, read_settings

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ImageDataset(Dataset[tuple[Tensor, Any]]):
    """Transformed images and targets."""

    def __init__(self, paths: list[str], targets: list[Any], transform: Callable[[PIL.Image.Image], Tensor]) -> None:
        self.paths, self.targets, self.transform = paths, targets, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[Tensor, Any]:
        return self.transform(PIL.Image.open(self.paths[i]).convert("RGB")), self.targets[i]


def main() -> None:
    settings = read_settings()
    paths = [item["path"] for item in settings.items if not item["valid"]]
    train = training_loader(ImageDataset(paths, [0] * len(paths), training_transforms(settings.size)), settings)

    def batches() -> Iterator[Tensor]:
        for x, _ in train:
            yield x

    workers = f"{train.num_workers} workers, started in each epoch"
    loader = f"random resized crop, flip, TrivialAugment, Normalize; {workers}"
    time_epochs(settings, batches, library="torchvision", loader=loader)


def training_transforms(size: tuple[int, int]) -> v2.Compose:
    """The transforms of ClassificationPresetTrain in the references, with ``--auto-augment ta_wide``."""
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, interpolation=v2.InterpolationMode.BILINEAR, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.TrivialAugmentWide(interpolation=v2.InterpolationMode.BILINEAR),
            v2.PILToTensor(),
            v2.ToDtype(torch.float, scale=True),
            v2.Normalize(MEAN, STD),
            v2.ToPureTensor(),
        ]
    )


def validation_transforms(size: tuple[int, int]) -> v2.Compose:
    """The transforms of ClassificationPresetEval in the references."""
    return v2.Compose(
        [
            v2.Resize(max(size) * 8 // 7, interpolation=v2.InterpolationMode.BILINEAR, antialias=True),
            v2.CenterCrop(size),
            v2.PILToTensor(),
            v2.ToDtype(torch.float, scale=True),
            v2.Normalize(MEAN, STD),
            v2.ToPureTensor(),
        ]
    )


def training_loader(dataset: Dataset[Any], settings: Settings) -> DataLoader[Any]:
    """A shuffling data loader with ``settings.num_workers`` workers, by default 2."""
    workers = 2 if settings.num_workers is None else settings.num_workers
    return DataLoader(dataset, settings.bs, shuffle=True, drop_last=True, num_workers=workers)


if __name__ == "__main__":
    main()
