"""`vision_learner`: a learner from data and the name of an architecture."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from eyebright._defaults import DROPOUT, PROGRESS, TRAINING_PRECISION, WEIGHT_DECAY
from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import checked_keywords
from eyebright.learner.callbacks import Callbacks
from eyebright.learner.learner import Learner
from eyebright.learner.training import AnyMetric
from eyebright.models.build import ImageModel, ModelDescription, build_model, model_description
from eyebright.train.options import FitOptions
from eyebright.train.schedule import BOOK_MOMENTA, Momenta
from eyebright.types import InputDescription


@checked_keywords
def vision_learner(
    dls: DataLoaders,
    arch: str | Callable[..., nn.Module],
    normalize: bool = True,  # noqa: FBT001  # fastai's signature
    n_out: int | None = None,
    pretrained: bool = True,  # noqa: FBT001
    *,
    loss_func: Callable[[Tensor, Tensor], Tensor] | None = None,
    metrics: AnyMetric | Sequence[AnyMetric] | None = None,
    lr: float = 1e-3,
    wd: float = WEIGHT_DECAY,
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
    init: Callable[[Tensor], Any] | Literal["auto"] | None = "auto",
    precision: str = TRAINING_PRECISION,
    seed: int = 0,
    options: FitOptions | None = None,
    observers: Callbacks = (),
    cbs: Callbacks = (),
    progress: str = PROGRESS,
) -> Learner:
    """A learner whose model is a backbone, usually pretrained, with fastai's head.

    The backbone is frozen if it is pretrained. The arguments that are not listed here are those of `Learner`.

    Args:
        dls: the training and the validation loader.
        arch: any timm architecture by name, or torchvision's ``resnet18``, ``resnet34`` or ``resnet50`` as name or
            function.
        normalize: normalise inputs with the mean and std of the pretrained weights; a ``Normalize`` in the data's
            transforms takes precedence, also over False.
        n_out: number of outputs; None for that of the target block.
        pretrained: start from pretrained weights.
        concat_pool: the head concatenates maximum and average pooling, as in fastai; False uses average pooling.
        pool: pool the backbone's feature maps in the head; without effect for backbones that pool themselves.
        lin_ftrs: widths of the hidden layers of the head.
        ps: dropout probability of the head.
        first_bn: add a norm layer before the first linear layer of the head.
        bn_final: add a norm layer after the last linear layer of the head.
        lin_first: put each linear layer of the head before its norm and dropout instead of after them.
        y_range: (low, high), to which a scaled sigmoid restricts the outputs.
        init: the initialisation of the weights of the head; None for that of torch; ``"auto"`` for
            ``nn.init.kaiming_normal_`` as in fastai, but zeros in the last layer for points and numbers. Random
            weights there predict worse than the mean at first, and a short training does not make up for it.
        precision: ``"float32"``, ``"bfloat16"`` or ``"float16"``; ``"auto"`` measures whether bfloat16 is faster.
        seed: seed of the initial weights of the head, dropout, mixup and CutMix.

    Raises:
        TypeError: an unknown keyword argument; the message suggests the nearest known one.
        InputError: there is no such architecture, or an argument does not fit it.
        WeightsError: pretrained weights are not available.
    """
    description = model_description(
        arch,
        n_out or dls.c,
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
    description = replace(description, input=_with_normalization(description.input, dls, normalize=normalize))
    learner = Learner(
        dls,
        _build_with_seed(description, seed, dls, pretrained=pretrained, init=init),
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
        cbs=cbs,
        progress=progress,
    )
    if pretrained:
        learner.freeze()
    return learner


def _build_with_seed(
    description: ModelDescription,
    seed: int,
    dls: DataLoaders,
    *,
    pretrained: bool,
    init: Callable[[Tensor], Any] | Literal["auto"] | None,
) -> ImageModel:
    """The model, with the same initial weights for the same seed; the global generators are not changed."""
    zero_last_layer = init == "auto" and dls.target.zero_last_layer
    initializer = nn.init.kaiming_normal_ if init == "auto" else init
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every accelerator too, for good
        return build_model(description, pretrained=pretrained, init=initializer, zero_last_layer=zero_last_layer)


def _with_normalization(pretrained: InputDescription, dls: DataLoaders, *, normalize: bool) -> InputDescription:
    """The input description with mean and std of, in this order, the data's ``Normalize``, the weights, or 0 and 1."""
    declared = dls.pipeline.normalize
    if declared is not None:
        return replace(pretrained, mean=declared.mean, std=declared.std)
    if normalize:
        return pretrained
    return replace(pretrained, mean=(0.0,) * len(pretrained.mean), std=(1.0,) * len(pretrained.std))
