"""`cnn_learner`: the learner of Microsoft's computer-vision recipes."""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from eyebright._defaults import DROPOUT, PROGRESS, TRAINING_PRECISION, WEIGHT_DECAY
from eyebright.data.dataloaders import DataLoaders
from eyebright.errors import checked_keywords
from eyebright.learner.learner import Learner
from eyebright.learner.training import AnyMetric
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
    wd: float = WEIGHT_DECAY,
    precision: str = TRAINING_PRECISION,
    seed: int = 0,
    progress: str = PROGRESS,
) -> Learner:
    """A learner as from `vision_learner`, with callbacks.

    Unlike in the recipes the head is that of fastai 2 (its linear layers have no bias), and weight decay does not apply
    to normalisation layers.

    Args:
        data: the data from ``.databunch()``, or `DataLoaders`.
        base_arch: the backbone, see `vision_learner`.
        pretrained: start from pretrained weights, with a frozen backbone.
        lin_ftrs: widths of the hidden layers of the head.
        ps: dropout probability in the head.
        metrics: metrics of the validation set.
        callback_fns: functions that are called with the learner and return an observer of its training.
        loss_func: the loss; None for the default of the target block.
        wd: weight decay.
        precision: the dtype of training, see `vision_learner`.
        seed: seed of the initial weights of the head and of dropout.
        progress: the progress display, see `vision_learner`.

    Raises:
        TypeError: an unknown keyword argument; the message suggests the nearest known one.
        InputError: an argument is invalid, see `vision_learner`.
        WeightsError: the pretrained weights are not available.
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
