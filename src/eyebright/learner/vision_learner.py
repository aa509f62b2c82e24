"""A learner from an architecture and data."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from eyebright._defaults import DROPOUT
from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import checked_keywords
from eyebright.learner.learner import AnyMetric, Learner
from eyebright.models.build import build_model, model_description
from eyebright.train.events import Observer
from eyebright.train.options import TrainingOptions
from eyebright.train.schedule import BOOK_MOMENTA, Momenta
from eyebright.types import InputDescription


@checked_keywords
def vision_learner(
    dls: DataLoaders,
    arch: str | Callable[..., nn.Module],
    normalize: bool = True,  # noqa: FBT001  # the book's signature
    n_out: int | None = None,
    pretrained: bool = True,  # noqa: FBT001
    *,
    loss_func: Callable[[Tensor, Tensor], Tensor] | None = None,
    metrics: AnyMetric | Sequence[AnyMetric] | None = None,
    lr: float = 1e-3,
    wd: float = 0.01,
    moms: Momenta = BOOK_MOMENTA,
    train_bn: bool = True,
    keep_statistics: bool = False,
    concat_pool: bool = True,
    pool: bool = True,
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = DROPOUT,
    first_bn: bool = True,
    bn_final: bool = False,
    lin_first: bool = False,
    y_range: Sequence[float] | None = None,
    init: Callable[[Tensor], Any] | None = nn.init.kaiming_normal_,
    precision: str = "auto",
    seed: int = 0,
    options: TrainingOptions | None = None,
    observers: Sequence[Observer] = (),
    progress: str = "auto",
) -> Learner:
    """A learner whose model is a pretrained backbone with the book's head; frozen up to the head when pretrained.

    Args:
        dls: the data.
        arch: any timm name, or torchvision's ``resnet18``, ``resnet34``, ``resnet50`` as name or function.
        normalize: the model normalises its input, as its weights want it or as a ``Normalize`` of the data says.
        n_out: outputs; None: what the target needs.
        pretrained: start from pretrained weights.
        loss_func: see `Learner`, as ``metrics``, ``lr``, ``wd``, ``moms``, ``train_bn``, ``precision``, ``observers``.
        metrics: what validation computes besides the loss.
        lr: the learning rate where a call names none.
        wd: weight decay.
        moms: momentum of a one-cycle.
        train_bn: whether norm layers of a frozen backbone learn.
        keep_statistics: batch norms of the backbone keep their pretrained running statistics.
        concat_pool: the head pools with maximum and average, as in the book.
        pool: the head pools.
        lin_ftrs: widths of the head's hidden layers.
        ps: dropout of the head.
        first_bn: a norm before the head's first layer.
        bn_final: a norm behind its last one.
        lin_first: each layer before its norm and dropout.
        y_range: the outputs lie between these two, by a scaled sigmoid.
        init: how the head's weights are initialised; None leaves torch's own.
        precision: the number format of training.
        seed: of the head's first weights, of dropout and of mixing.
        options: how a step learns; None: as in the book.
        observers: watch every fit.
        progress: what a person sees of a fit.

    Raises:
        InputError: there is no such architecture.
        WeightsError: pretrained weights cannot be had.
    """
    width = n_out or dls.c
    description = model_description(
        arch,
        width,
        size=dls.size,
        concat_pool=concat_pool,
        lin_ftrs=lin_ftrs,
        ps=ps,
        bn_final=bn_final,
        first_bn=first_bn,
        lin_first=lin_first,
        y_range=y_range,
        pool=pool,
    )
    description = replace(description, input=_input(description.input, dls, normalize=normalize))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every accelerator too, for good
        model = build_model(description, pretrained=pretrained, init=init)
    learner = Learner(
        dls,
        model,
        loss_func=loss_func,
        metrics=metrics,
        lr=lr,
        wd=wd,
        moms=moms,
        train_bn=train_bn,
        keep_statistics=keep_statistics,
        precision=precision,
        seed=seed,
        options=options,
        observers=observers,
        progress=progress,
    )
    if pretrained:
        learner.freeze()
    return learner


def _input(own: InputDescription, dls: DataLoaders, *, normalize: bool) -> InputDescription:
    """The model's input: what the data declare goes before what the weights want."""
    declared = dls.pipeline.normalize
    if declared is not None:
        return replace(own, mean=declared.mean, std=declared.std)
    return own if normalize else replace(own, mean=(0.0,) * len(own.mean), std=(1.0,) * len(own.std))
