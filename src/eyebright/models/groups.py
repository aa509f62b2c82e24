"""Which parts of a model learn: three groups, from the image to the answer, and what freezing them means.

As in the book, norm layers of a frozen part go on learning (``train_bn=True``): their weights get gradients and their
running statistics follow the new images. With ``train_bn=False`` a frozen part is really frozen: no gradients, and
evaluation mode, so that no dropout acts in it and no statistic moves. And the statistics of the whole body may be kept
in every phase: a few hundred images, in small batches, estimate them worse than the millions of the pretraining did.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from torch import nn

from eyebright.errors import InputError
from eyebright.models.architectures import TORCHVISION
from eyebright.models.build import ImageModel
from eyebright.models.heads import NORM_LAYERS
from eyebright.models.timm_body import TimmBody


def parameter_groups(model: ImageModel) -> list[list[nn.Parameter]]:
    """The parameters in three groups: the body's earlier half, its later half, the head.

    A ResNet is cut as in the book: stem and the first two stages, the last two stages. A timm body is cut between the
    stages (or blocks) that timm itself numbers.
    """
    return [*_body_halves(model), list(model.head.parameters())]


def freeze_to(model: ImageModel, n: int, *, train_bn: bool = True) -> None:
    """Freezes the groups before group ``n``; those from ``n`` on learn.

    Args:
        model: changed in place.
        n: 0 lets everything learn, -1 (or 2) only the head.
        train_bn: norm layers of frozen groups go on learning.

    Raises:
        InputError: there is no group ``n``.
    """
    groups = parameter_groups(model)
    if not -len(groups) <= n < len(groups):
        raise InputError(f"cannot freeze up to group {n}: there are {len(groups)} groups, 0 to {len(groups) - 1}")
    norms = {id(parameter) for parameter in _norm_parameters(model)} if train_bn else set[int]()
    for place, group in enumerate(groups):
        for parameter in group:
            parameter.requires_grad_(place >= n % len(groups) or id(parameter) in norms)


def set_training_mode(model: ImageModel, *, train_bn: bool = True, keep_statistics: bool = False) -> None:
    """Puts the model in training mode; with ``train_bn=False`` its frozen parts in evaluation mode.

    Args:
        model: changed in place; call it at the start of an epoch instead of ``model.train()``.
        train_bn: as given to :func:`freeze_to`.
        keep_statistics: batch norms of the body normalise with their running statistics and leave them as they are,
            also where their weights learn.
    """
    model.train()
    if not train_bn:
        _rest_frozen(model)
    if keep_statistics:
        for module in model.body.modules():
            if hasattr(module, "running_mean"):
                module.eval()


@contextmanager
def modes_restored(model: nn.Module) -> Generator[None, None, None]:
    """After the ``with`` every module is in training or evaluation mode as it was before."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _body_halves(model: ImageModel) -> list[list[nn.Parameter]]:
    units = _units(model)
    first = {id(parameter) for unit in units[: (len(units) + 1) // 2] for parameter in unit}
    every = list(model.body.parameters())
    return [[p for p in every if id(p) in first], [p for p in every if id(p) not in first]]


def _units(model: ImageModel) -> list[list[nn.Parameter]]:
    """The body's parameters by stage or block, from the image on."""
    if model.description.arch in TORCHVISION:
        return [list(part.parameters()) for part in _resnet_units(model.body)]
    if isinstance(model.body, TimmBody):
        return _timm_units(model.body.model)
    return _child_units(model.body)


def _resnet_units(body: Any) -> list[nn.Module]:
    """The stem and the four stages."""
    return [body[:4], body.layer1, body.layer2, body.layer3, body.layer4]


def _timm_units(model: Any) -> list[list[nn.Parameter]]:
    from timm.models import group_parameters

    if not hasattr(model, "group_matcher"):
        return _child_units(model)
    layers = group_parameters(model, model.group_matcher(coarse=True), return_values=True)
    return [layers[place] for place in sorted(layers)]


def _child_units(module: nn.Module) -> list[list[nn.Parameter]]:
    """Child by child, and what stands in a list or a sequence item by item."""
    lists = (nn.Sequential, nn.ModuleList)
    parts = [
        part for child in module.children() for part in (child.children() if isinstance(child, lists) else [child])
    ]
    return [parameters for part in parts if (parameters := list(part.parameters()))]


def _norm_parameters(model: nn.Module) -> list[nn.Parameter]:
    norms = [module for module in model.modules() if isinstance(module, NORM_LAYERS)]
    return [parameter for norm in norms for parameter in norm.parameters(recurse=False)]


def _rest_frozen(module: nn.Module) -> None:
    """Evaluation mode for the largest parts of ``module`` in which nothing learns, with all that is inside them."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        module.eval()
        return
    for child in module.children():
        _rest_frozen(child)
