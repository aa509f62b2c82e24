"""A training as torchvision's references/classification does it: ``python -m peers.torchvision_side < settings.json``.

Its transforms, its loaders and its loop, float32. The optimizer is AdamW (``--opt adamw``), since the libraries it is
compared with use Adam. What torchvision does not have comes from timm. Weights are random: that changes no time.
"""

import timm
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models import get_model, list_models

from peers.job import Clock, give_answer, read_settings
from peers.loops import classes, encoded, loss_of, one_epoch
from peers.torchvision_reading import Photographs, training_loader, training_transforms, validation_transforms


def main() -> None:
    settings = read_settings()
    torch.manual_seed(settings.seed)
    train = training_loader(Photographs(*encoded(settings, valid=False), training_transforms(settings.size)), settings)
    held = Photographs(*encoded(settings, valid=True), validation_transforms(settings.size))
    valid = DataLoader(held, settings.bs, num_workers=train.num_workers)
    model = network(settings.arch, len(classes(settings)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=0.01)
    loss_function = loss_of(settings)

    def learn(x: Tensor, target: Tensor) -> None:
        loss = loss_function(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # it keeps a mean

    clock = Clock(settings)
    one_epoch(clock, model, learn, train=train, valid=valid, answer=model)
    give_answer(clock, vocab=classes(settings), predictions=[], library="torchvision", said="float32, AdamW")


def network(arch: str, count: int) -> nn.Module:
    """Torchvision's where it has one of that name, or timm's."""
    return get_model(arch, num_classes=count) if arch in list_models() else timm.create_model(arch, num_classes=count)


if __name__ == "__main__":
    main()
