"""Test-time augmentation: the mean of predictions for augmented views of each image, as fastai's ``learn.tta``."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor

from eyebright.data.loader import Loader
from eyebright.errors import InputError
from eyebright.tasks.decision import Decision
from eyebright.train.evaluate import Outputs
from eyebright.train.trainer import Trainer
from eyebright.transforms.pipeline import Pipeline


def predict_augmented(
    trainer: Trainer,
    loader: Loader,
    pipeline: Pipeline,
    decision: Decision,
    *,
    n: int,
    beta: float | None,
    use_max: bool,
) -> tuple[Float[Tensor, "images ..."] | tuple[Tensor, Tensor], Shaped[Tensor, "images ..."] | None]:
    """(predictions, targets) of a dataset: ``beta`` times the plain predictions, the rest from augmented views.

    Args:
        trainer: the trainer that computes the outputs.
        loader: the loader of the dataset, without augmentation.
        pipeline: the transforms of the augmented views.
        decision: converts outputs to probabilities or values.
        n: number of augmented views, at least 1.
        beta: share of the plain predictions; None returns (augmented, plain) instead of one tensor.
        use_max: the greatest score of all views instead of a mean.

    Raises:
        InputError: the targets are points, ``n`` or ``beta`` is out of range, or no image can be read.
    """
    if decision.target.is_geometric:
        raise InputError("points move in augmented views, so tta cannot average them: use get_preds")
    if n < 1:
        raise InputError(f"`n`, the number of augmented views, must be at least 1, got {n}")
    if beta is not None and not 0 <= beta <= 1:
        raise InputError(f"`beta`, the share of the predictions without augmentation, must be in [0, 1], got {beta}")
    plain = trainer.outputs.of_loader(loader)
    views = loader.variant(loader.dataset, pipeline, bs=loader.bs, training=True)
    augmented = torch.stack(
        [_predictions_in_order(trainer.outputs.of_loader(views, epoch=i), plain, decision) for i in range(n)]
    )
    plain_predictions = decision.activate(plain.outputs)
    if use_max:
        return torch.maximum(plain_predictions, augmented.amax(0)), plain.targets
    mean = augmented.mean(0)
    return ((mean, plain_predictions) if beta is None else torch.lerp(mean, plain_predictions, beta)), plain.targets


def _predictions_in_order(augmented: Outputs, plain: Outputs, decision: Decision) -> Float[Tensor, "images ..."]:
    """The predictions for ``augmented`` in the order of ``plain``: with several processes their orders differ."""
    row_of = {index: row for row, index in enumerate(augmented.indices)}
    missing = [index for index in plain.indices if index not in row_of]
    if missing:
        raise InputError(f"{len(missing)} images could be read at first but not again, the first is item {missing[0]}")
    return decision.activate(augmented.outputs[[row_of[index] for index in plain.indices]])
