"""A training as timm's train.py does it: ``python -m peers.timm_side < settings.json``.

Its loader, transforms, network, optimizer factory and schedule; ``--channels-last``, and ``--amp --amp-dtype bfloat16``
where that precision is asked for. The optimizer is AdamW, since the libraries it is compared with use Adam. Weights are
random: that changes no time.
"""

import timm
import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2
from torch import Tensor

from peers.job import Clock, give_answer, read_settings
from peers.loops import autocast, classes, encoded, loss_of, one_epoch
from peers.timm_reading import Photographs, loader_of


def main() -> None:
    settings = read_settings()
    torch.manual_seed(settings.seed)
    train, valid = (
        loader_of(Photographs(*encoded(settings, valid=v)), settings, training=not v) for v in (False, True)
    )
    model = timm.create_model(settings.arch, num_classes=len(classes(settings)))
    model = model.to(memory_format=torch.channels_last)
    optimizer = create_optimizer_v2(model, opt="adamw", lr=settings.lr, weight_decay=0.01)
    schedule, _ = create_scheduler_v2(optimizer, num_epochs=1, updates_per_epoch=len(train), step_on_epochs=False)
    loss_function, updates = loss_of(settings), 0

    def forward(x: Tensor) -> Tensor:
        with autocast(settings.precision):
            return model(x.contiguous(memory_format=torch.channels_last))

    def learn(x: Tensor, target: Tensor) -> None:
        nonlocal updates
        loss = loss_function(forward(x), target)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        loss.item()  # it keeps a mean
        updates += 1
        if schedule is not None:
            schedule.step_update(num_updates=updates)

    clock = Clock(settings)
    one_epoch(clock, model, learn, train=train, valid=valid, answer=forward)
    give_answer(clock, vocab=classes(settings), predictions=[], library="timm", said=f"{settings.precision}, AdamW")


if __name__ == "__main__":
    main()
