"""The learner of the recipes' notebook."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from eyebright._defaults import DROPOUT
from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import checked_keywords
from eyebright.learner.learner import AnyMetric, Learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.recipes.data_bunch import ImageDataBunch
from eyebright.train.events import Observer


@checked_keywords
def cnn_learner(
    data: ImageDataBunch | DataLoaders,
    base_arch: str | Callable[..., nn.Module],
    pretrained: bool = True,  # noqa: FBT001  # the recipes' signature
    lin_ftrs: Sequence[int] | None = None,
    ps: float | Sequence[float] = DROPOUT,
    *,
    metrics: AnyMetric | Sequence[AnyMetric] | None = None,
    callback_fns: Sequence[Callable[[Learner], Observer]] = (),
    loss_func: Callable[[Tensor, Tensor], Tensor] | None = None,
    wd: float = 0.01,
    precision: str = "auto",
    seed: int = 0,
    progress: str = "auto",
) -> Learner:
    """A learner on the recipes' data: `vision_learner`, with callbacks that are made for it.

    The head is that of the book's later chapters (its linear layers have no bias), and norm layers do not decay.

    Args:
        data: what ``.databunch()`` gave.
        base_arch: the backbone.
        pretrained: start from pretrained weights, frozen up to the head.
        lin_ftrs: widths of the head's hidden layers.
        ps: dropout of the head.
        metrics: what validation computes besides the loss.
        callback_fns: each is called with the learner and gives what watches its fits.
        loss_func: None: the one for the labels.
        wd: weight decay.
        precision: the number format of training.
        seed: of the head's first weights and of dropout.
        progress: what a person sees of a fit.
    """
    learner = vision_learner(
        data.dls if isinstance(data, ImageDataBunch) else data,
        base_arch,
        pretrained=pretrained,
        lin_ftrs=lin_ftrs,
        ps=ps,
        metrics=metrics,
        loss_func=loss_func,
        wd=wd,
        precision=precision,
        seed=seed,
        progress=progress,
    )
    learner.observers += [make(learner) for make in callback_fns]
    return learner
