"""The losses of the three kinds of answer: what a training step makes small.

The names and reprs are the book's ("flattened" losses: points of shape (b, n, 2) are compared with a model's flat
(b, 2n)). Every loss here is a sum over images divided by a sum of weights, and says both (`terms`), because the mean
of batch losses is *not* the loss over the set as soon as classes have weights, points are missing or the last batch is
smaller; `MeanLoss` adds them up exactly.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

from eyebright.errors import InputError


class FlattenedLoss(nn.Module, ABC):
    """A loss over a batch: the sum of the images' terms divided by the sum of their weights."""

    @abstractmethod
    def terms(
        self, pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """For each image what it adds to the loss, and its weight: the loss is the ratio of their sums."""

    def forward(self, pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> Float[Tensor, ""]:
        """The loss of a batch. It is 0, with zero gradients, when nothing in the batch counts."""
        return loss_and_weight(self, pred, target)[0]

    def per_image(self, pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        """The loss of each image alone; NaN for one in which nothing counts."""
        added, weights = self.terms(pred, target)
        return added / weights


class CrossEntropyLossFlat(FlattenedLoss):
    """Cross-entropy of one label per image, from logits.

    Args:
        weight: one weight for each class; the loss is the weighted mean, divided by the weights of the true classes.
        label_smoothing: the share of the target that is spread evenly over all classes (Szegedy et al., 2016,
            arXiv:1512.00567, section 7).
    """

    weight: Tensor | None

    def __init__(
        self, weight: Float[Tensor, " k"] | Sequence[float] | None = None, *, label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label smoothing is a share in [0, 1), got {label_smoothing}")
        self.register_buffer("weight", _weights(weight, "weight"), persistent=False)
        self.label_smoothing = label_smoothing

    def __repr__(self) -> str:
        return "FlattenedLoss of CrossEntropyLoss()"

    def terms(
        self, pred: Float[Tensor, "b *d k"], target: Shaped[Tensor, "b ..."]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """For each image its weighted cross-entropy, and its weight (the weight of its true class).

        Args:
            pred: logits.
            target: the numbers of the classes; or, of the shape of ``pred``, probabilities of the classes (mixed
                images), whose weights are 1 as in PyTorch.

        Raises:
            InputError: the shapes, or the number of weights, do not fit.
        """
        pred = _full_precision(pred)
        classes = pred.shape[-1]
        weight = _fitting(self.weight, pred, "weight")
        mixed = target.is_floating_point() and target.shape == pred.shape
        if not mixed and target.shape != pred.shape[:-1]:
            raise InputError(
                f"class numbers for logits of the shape {tuple(pred.shape)} have the shape {tuple(pred.shape[:-1])}, "
                f"got {tuple(target.shape)}"
            )
        flat = target.reshape(-1, classes).to(pred.dtype) if mixed else target.reshape(-1).long()
        added = functional.cross_entropy(
            pred.reshape(-1, classes), flat, weight, reduction="none", label_smoothing=self.label_smoothing
        )
        weights = torch.ones_like(added) if mixed or weight is None else weight[flat]
        return added.reshape(len(pred), -1).sum(1), weights.reshape(len(pred), -1).sum(1)


class BCEWithLogitsLossFlat(FlattenedLoss):
    """Binary cross-entropy of any number of labels per image, from logits.

    Args:
        weight: one factor for each class. As in PyTorch the mean is taken over all outputs, not over the weights.
        pos_weight: one factor for each class, for the images that have it: 3 counts each of them three times.
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Float[Tensor, " k"] | Sequence[float] | None = None,
        pos_weight: Float[Tensor, " k"] | Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", _weights(weight, "weight"), persistent=False)
        self.register_buffer("pos_weight", _weights(pos_weight, "pos_weight"), persistent=False)

    def __repr__(self) -> str:
        return "FlattenedLoss of BCEWithLogitsLoss()"

    def terms(
        self, pred: Float[Tensor, "b k"], target: Shaped[Tensor, "b k"]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """For each image the sum over its labels, and how many labels there are.

        Args:
            pred: logits.
            target: 1 where the image has the label, else 0; any number type.

        Raises:
            InputError: the shapes, or the number of weights, do not fit.
        """
        pred = _full_precision(pred)
        added = functional.binary_cross_entropy_with_logits(
            pred,
            _like(target, pred),
            _fitting(self.weight, pred, "weight"),
            reduction="none",
            pos_weight=_fitting(self.pos_weight, pred, "pos_weight"),
        ).flatten(1)
        return added.sum(1), torch.full_like(added[:, 0], added.shape[1])


class MSELossFlat(FlattenedLoss):
    """The mean squared error of numbers or points; targets that are NaN (points that nobody sees) are left out."""

    def __repr__(self) -> str:
        return "FlattenedLoss of MSELoss()"

    def terms(
        self, pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """For each image the sum of its squared errors, and how many numbers of its target are known.

        Args:
            pred: the predicted numbers.
            target: as many numbers for each image, in any shape; NaN where unknown.

        Raises:
            InputError: the shapes do not fit.
        """
        pred = _full_precision(pred)
        target = _like(target, pred)
        known = ~target.isnan()
        # The gradient of the square is taken after the unknown ones are set to 0: NaN never meets a gradient.
        errors = torch.where(known, pred - target, 0.0)
        return errors.square().flatten(1).sum(1), known.flatten(1).sum(1).to(pred.dtype)


def image_losses(
    loss: Callable[[Tensor, Tensor], Tensor], pred: Float[Tensor, "n ..."], target: Shaped[Tensor, "n ..."]
) -> Float[Tensor, " n"]:
    """The loss of each image alone, with any loss; NaN for an image in which nothing counts.

    Args:
        loss: one of the losses here; or any callable, which is given one image at a time.
        pred: the model's outputs.
        target: the targets.
    """
    if isinstance(loss, FlattenedLoss):
        return loss.per_image(pred, target)
    return torch.stack([loss(pred[i : i + 1], target[i : i + 1]) for i in range(len(pred))])


class MeanLoss:
    """The exact loss over a set, added up batch by batch.

    Args:
        loss: one of the losses here, whose terms are added up; or any callable, whose value is taken as the mean over
            the images of its batch.
    """

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        self._loss = loss
        self._added = 0.0
        self._weight = 0.0

    def add(self, pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> None:
        """Count one batch of outputs and targets."""
        if isinstance(self._loss, FlattenedLoss):
            added, weights = self._loss.terms(pred.detach(), target)
            self._added += float(added.double().sum())
            self._weight += float(weights.double().sum())
        else:
            self._added += float(self._loss(pred.detach(), target)) * len(pred)
            self._weight += len(pred)

    @property
    def value(self) -> float:
        """The loss over everything added so far; NaN when nothing counted."""
        return self._added / self._weight if self._weight else float("nan")


def loss_and_weight(
    loss: Callable[[Tensor, Tensor], Tensor], pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""] | int]:
    """The loss of a batch and its weight: the weighted mean of two batches' losses is the loss of both together.

    Args:
        loss: one of the losses here, or any callable, whose value is taken as the mean over the images.
        pred: the model's outputs.
        target: their targets.
    """
    if not isinstance(loss, FlattenedLoss):
        return loss(pred, target), len(pred)
    added, weights = loss.terms(pred, target)
    weight = weights.sum()
    return added.sum() / _or_one(weight), weight


def balanced_weight(target: Int[Tensor, " n"], classes: int) -> Float[Tensor, " k"]:
    """Weights that let every class count the same, for `CrossEntropyLossFlat`: n / (classes * images of the class).

    The rule is scikit-learn's ``class_weight="balanced"`` (King & Zeng, 2001). A class without images gets 1.
    """
    counts = torch.bincount(target.cpu().long(), minlength=classes).double()
    present = counts > 0
    return torch.where(present, len(target) / (int(present.sum()) * counts), 1.0).float()


def balanced_pos_weight(target: Shaped[Tensor, "n k"]) -> Float[Tensor, " k"]:
    """Weights that let having and lacking a label count the same, for `BCEWithLogitsLossFlat`: lacking / having.

    A label that no image has, or every image, gets 1.
    """
    having = target.cpu().double().sum(0)
    lacking = len(target) - having
    return torch.where((having > 0) & (lacking > 0), lacking / having, 1.0).float()


def _weights(values: Tensor | Sequence[float] | None, name: str) -> Tensor | None:
    if values is None:
        return None
    weights = torch.as_tensor(values, dtype=torch.float32).detach().clone()
    if weights.ndim != 1 or not bool((weights.isfinite() & (weights >= 0)).all()):
        raise InputError(f"{name} is one number, 0 or more, for each class; got {values}")
    return weights


def _fitting(weights: Tensor | None, pred: Tensor, name: str) -> Tensor | None:
    if weights is not None and len(weights) != pred.shape[-1]:
        raise InputError(f"{name} has {len(weights)} numbers, for {pred.shape[-1]} classes")
    return None if weights is None else weights.to(device=pred.device, dtype=pred.dtype)


def _full_precision(pred: Tensor) -> Tensor:
    """At least float32: sums of bfloat16 terms lose the small ones."""
    return pred.float() if pred.dtype in (torch.float16, torch.bfloat16) else pred


def _like(target: Tensor, pred: Tensor) -> Tensor:
    """The target in the shape and type of the prediction, image by image."""
    if len(target) != len(pred) or target.numel() != pred.numel():
        raise InputError(
            f"predictions of the shape {tuple(pred.shape)} and targets of the shape {tuple(target.shape)} do not fit: "
            "each image needs as many targets as outputs"
        )
    return target.reshape(pred.shape).to(pred.dtype)


def _or_one(total: Tensor) -> Tensor:
    return torch.where(total > 0, total, 1.0)
