"""torchvision's side of the comparison of reading: ``python -m peers.torchvision_reading < settings.json``.

The training transforms of torchvision's references/classification (v2, Pillow) with the trivial augment of its newer
recipes, in torch's DataLoader as its train.py makes it: workers start in each epoch.
"""

from collections.abc import Callable, Iterator
from typing import Any

import PIL.Image
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from peers.job import Settings, read_settings
from peers.reading_job import answer_epochs

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Photographs(Dataset[tuple[Tensor, Any]]):
    """Images and what is right for them, through a transform."""

    def __init__(self, paths: list[str], targets: list[Any], transform: Callable[[PIL.Image.Image], Tensor]) -> None:
        self.paths, self.targets, self.transform = paths, targets, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, i: int) -> tuple[Tensor, Any]:
        return self.transform(PIL.Image.open(self.paths[i]).convert("RGB")), self.targets[i]


def main() -> None:
    settings = read_settings()
    paths = [item["path"] for item in settings.items if not item["valid"]]
    loader = training_loader(Photographs(paths, [0] * len(paths), training_transforms(settings.size)), settings)

    def batches() -> Iterator[Tensor]:
        for x, _ in loader:
            yield x

    said = f"random resized crop, flip, trivial augment, Normalize; {loader.num_workers} workers, started in each epoch"
    answer_epochs(settings, batches, library="torchvision", said=said)


def training_transforms(size: tuple[int, int]) -> v2.Compose:
    """ClassificationPresetTrain of the references, with ``--auto-augment ta_wide``."""
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
    """ClassificationPresetEval of the references."""
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
    """Shuffled batches; as many workers as were asked for, or 2."""
    workers = 2 if settings.workers is None else settings.workers
    return DataLoader(dataset, settings.bs, shuffle=True, drop_last=True, num_workers=workers)


if __name__ == "__main__":
    main()
