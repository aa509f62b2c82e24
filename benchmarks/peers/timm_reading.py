"""timm's side of the comparison of reading: ``python -m peers.timm_reading < settings.json``.

What timm's train.py makes without further flags: random resized crop, flip and colour jitter in worker processes, which
stay, and its prefetcher, which normalises whole batches in the main process.
"""

from collections.abc import Iterator
from typing import Any

import PIL.Image
import torch
from timm.data import create_loader
from torch import Tensor
from torch.utils.data import Dataset

from peers.job import Settings, read_settings
from peers.reading_job import answer_epochs


class Photographs(Dataset[tuple[Any, Any]]):
    """Images and what is right for them; timm sets the transform."""

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
    loader = loader_of(Photographs(paths, [0] * len(paths)), settings, training=True)

    def batches() -> Iterator[Tensor]:
        for x, _ in loader:
            yield x

    said = "random resized crop, flip, colour jitter; 2 workers, which stay; the prefetcher normalises"
    answer_epochs(settings, batches, library="timm", said=said)


def loader_of(dataset: Any, settings: Settings, *, training: bool) -> Any:
    """The loader of timm with the defaults of train.py."""
    return create_loader(
        dataset,
        input_size=(3, *settings.size),
        batch_size=settings.bs,
        is_training=training,
        interpolation="random" if training else "bilinear",
        num_workers=2 if settings.workers is None else settings.workers,
        device=torch.device("cuda" if torch.cuda.is_available() else "cpu"),
    )


if __name__ == "__main__":
    main()
