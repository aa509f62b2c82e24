"""A training run as in timm's train.py: ``python -m peers.timm_training < settings.json``.

Uses timm's loader, transforms, network, optimizer factory and schedule, with ``--channels-last``, and with ``--amp
--amp-dtype bfloat16`` if the precision is bfloat16. The optimizer is AdamW, because fastai and Eyebright use Adam.
Weights are random, which does not affect the time.
"""

import timm
import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor

from peers.plain_loops import autocast, class_names, encoded, loss_function, one_epoch
from peers.timm_reading import ImageDataset, create_timm_loader
from peers.training_protocol import TrainingTimer, print_result, read_settings


def main() -> None:
    settings = read_settings()
    torch.manual_seed(settings.seed)
    train, valid = (
        create_timm_loader(ImageDataset(*encoded(settings, valid=is_valid)), settings, training=not is_valid)
        for is_valid in (False, True)
    )
    model = timm.create_model(settings.arch, num_classes=len(class_names(settings)))
    model = model.to(memory_format=torch.channels_last)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=settings.lr, weight_decay=0.01)
    schedule, _ = create_scheduler_v2(optimizer, num_epochs=1, updates_per_epoch=len(train), step_on_epochs=False)
    criterion, updates = loss_function(settings), 0

    def forward(x: Tensor) -> Tensor:
        with autocast(settings.precision):
            return model(x.contiguous(memory_format=torch.channels_last))

    def step(x: Tensor, target: Tensor) -> None:
        nonlocal updates
        loss = criterion(forward(x), target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # train.py logs the mean loss
        updates += 1
        if schedule is not None:
            schedule.step_update(num_updates=updates)

    timer = TrainingTimer(settings)
    one_epoch(timer, model, step, train=train, valid=valid, predict=forward)
    configuration = f"{settings.precision}, AdamW"
    print_result(timer, vocab=class_names(settings), predictions=[], library="timm", configuration=configuration)


if __name__ == "__main__":
    main()
