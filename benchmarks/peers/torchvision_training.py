"""A training run as in torchvision's references: ``python -m peers.torchvision_training < settings.json``.

Uses the transforms, loaders and loop of references/classification in float32. The optimizer is AdamW (``--opt adamw``),
because fastai and Eyebright use Adam. Architectures that torchvision lacks come from timm. Weights are random, which
does not affect the time.
"""

import timm
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torchvision.models import get_model, list_models

from peers.plain_loops import class_names, encoded, loss_function, one_epoch
from peers.torchvision_reading import ImageDataset, training_loader, training_transforms, validation_transforms
from peers.training_protocol import TrainingTimer, print_result, read_settings


def main() -> None:
    settings = read_settings()
    torch.manual_seed(settings.seed)
    train_set = ImageDataset(*encoded(settings, valid=False), training_transforms(settings.size))
    valid_set = ImageDataset(*encoded(settings, valid=True), validation_transforms(settings.size))
    train = training_loader(train_set, settings)
    valid = DataLoader(valid_set, settings.bs, num_workers=train.num_workers)
    model = create_model(settings.arch, len(class_names(settings)))
    optimizer = torch.optim.AdamW(model.parameters(), lr=settings.lr, weight_decay=0.01)
    criterion = loss_function(settings)

    def step(x: Tensor, target: Tensor) -> None:
        loss = criterion(model(x), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()  # the references log the mean loss

    timer = TrainingTimer(settings)
    one_epoch(timer, model, step, train=train, valid=valid, predict=model)
    names = class_names(settings)
    print_result(timer, vocab=names, predictions=[], library="torchvision", configuration="float32, AdamW")


def create_model(arch: str, num_classes: int) -> nn.Module:
    """The model of torchvision if it has one of this name, else of timm."""
    create = get_model if arch in list_models() else timm.create_model
    return create(arch, num_classes=num_classes)


if __name__ == "__main__":
    main()
