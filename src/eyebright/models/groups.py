"""Three parameter groups (early backbone, late backbone, head), and freezing of groups.

As in fastai, normalisation layers of frozen groups stay trainable by default (``train_bn=True``): their weights get
gradients and their running statistics are updated. With ``train_bn=False`` frozen layers are fully frozen: no
gradients, and evaluation mode, so that dropout is off and running statistics do not change. ``keep_statistics`` keeps
the running statistics of the whole backbone in all phases: a few hundred images in small batches estimate them worse
than the millions of images used in pretraining.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]

from eyebright.errors import InputError, is_whole
from eyebright.models.architectures import TORCHVISION
from eyebright.models.build import ImageModel
from eyebright.models.heads import NORM_LAYERS
from eyebright.models.timm_backbone import TimmBackbone


def parameter_groups(model: ImageModel) -> list[list[nn.Parameter]]:
    """The parameters in three groups: early layers of the backbone, late layers of the backbone, head.

    A torchvision ResNet is split as in fastai: stem and first two stages, last two stages. A timm backbone is split in
    the middle of the stages or blocks that timm's ``group_matcher`` defines, any other in the middle of its children.

    Args:
        model: the model; it is not changed.
    """
    return [*_split_backbone(model), list(model.head.parameters())]


def has_batch_norms(module: nn.Module) -> bool:
    """Whether a layer is a batch norm, which has statistics of the images that it was trained with."""
    return any(isinstance(layer, _BatchNorm) for layer in module.modules())


def freeze_to(model: ImageModel, n: int, *, train_bn: bool = True) -> None:
    """Freezes the parameter groups before group ``n`` and unfreezes the others.

    Args:
        model: changed in place.
        n: index of the first trainable group, -3 to 2: 0 (or -3) trains all parameters, -1 (or 2) only the head.
        train_bn: keep normalisation layers of frozen groups trainable.

    Raises:
        InputError: there is no group ``n``.
    """
    groups = parameter_groups(model)
    if not is_whole(n) or not -len(groups) <= n < len(groups):
        raise InputError(f"cannot freeze up to group {n}: there are {len(groups)} groups, 0 to {len(groups) - 1}")
    norms = {id(parameter) for parameter in _norm_parameters(model)} if train_bn else set[int]()
    for index, group in enumerate(groups):
        for parameter in group:
            parameter.requires_grad_(index >= n % len(groups) or id(parameter) in norms)


def set_training_mode(model: ImageModel, *, train_bn: bool = True, keep_statistics: bool = False) -> None:
    """Puts the model in training mode, except for frozen parts if ``train_bn`` is False; replaces ``model.train()``.

    Args:
        model: changed in place.
        train_bn: the value passed to ``freeze_to``; False puts frozen parts in evaluation mode.
        keep_statistics: put the backbone's batch norms in evaluation mode: they use their running statistics without
            updating them, even if their weights are trainable.
    """
    model.train()
    if not train_bn:
        _eval_frozen(model)
    if keep_statistics:
        for module in model.body.modules():
            if hasattr(module, "running_mean"):
                module.eval()


@contextmanager
def modes_restored(model: nn.Module) -> Generator[None, None, None]:
    """A context that, on exit, puts each module back into the mode (training or evaluation) it had on entry.

    Args:
        model: its modes may be changed inside the context.
    """
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _split_backbone(model: ImageModel) -> list[list[nn.Parameter]]:
    stages = _stages(model)
    early = {id(parameter) for stage in stages[: (len(stages) + 1) // 2] for parameter in stage}
    parameters = list(model.body.parameters())
    return [[p for p in parameters if id(p) in early], [p for p in parameters if id(p) not in early]]


def _stages(model: ImageModel) -> list[list[nn.Parameter]]:
    """The backbone's parameters by stage or block, in forward order."""
    if model.description.arch in TORCHVISION:  # all of these are ResNets
        return [list(stage.parameters()) for stage in _resnet_stages(model.body)]
    if isinstance(model.body, TimmBackbone):
        return _timm_stages(model.body.model)
    return _children(model.body)


def _resnet_stages(backbone: Any) -> list[nn.Module]:
    """The stem and the four stages."""
    return [backbone[:4], backbone.layer1, backbone.layer2, backbone.layer3, backbone.layer4]


def _timm_stages(model: Any) -> list[list[nn.Parameter]]:
    from timm.models import group_parameters

    if not hasattr(model, "group_matcher"):
        return _children(model)
    layers = group_parameters(model, model.group_matcher(coarse=True), return_values=True)
    return [layers[index] for index in sorted(layers)]


def _children(module: nn.Module) -> list[list[nn.Parameter]]:
    """The parameters of each child; a child that is a ``Sequential`` or ``ModuleList`` counts as its items."""
    containers = (nn.Sequential, nn.ModuleList)
    modules = [
        item for child in module.children() for item in (child.children() if isinstance(child, containers) else [child])
    ]
    return [parameters for item in modules if (parameters := list(item.parameters()))]


def _norm_parameters(model: nn.Module) -> list[nn.Parameter]:
    norms = [module for module in model.modules() if isinstance(module, NORM_LAYERS)]
    return [parameter for norm in norms for parameter in norm.parameters(recurse=False)]


def _eval_frozen(module: nn.Module) -> None:
    """Puts each submodule whose parameters are all frozen in evaluation mode, including its dropout layers."""
    parameters = list(module.parameters())
    if parameters and not any(parameter.requires_grad for parameter in parameters):
        module.eval()
        return
    for child in module.children():
        _eval_frozen(child)
