"""Losses of the target blocks, and the class weights that go with them.

The names and reprs are fastai's ("flattened": points of shape (b, n, 2) are compared with a model's flat (b, 2n)).
Every loss here is a sum over images divided by a sum of weights, and gives both (`terms`): the mean of batch losses is
*not* the loss over the set as soon as classes have weights, targets are unknown or the last batch is smaller.
`MeanLoss` adds them up exactly.

Unknown targets are masked everywhere: NaN in labels, points and numbers, a negative index for one label per image.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn
from torch.nn import functional

from eyebright._choices import Balance
from eyebright.errors import InputError

IGNORE_INDEX = -100
"""The class index of images that PyTorch's cross-entropy ignores."""

EFFECTIVE_NUMBER_BETA = 0.999
"""beta of `effective_number` (Cui et al. 2019); it maps 1,000 images to 632 and never exceeds 1,000."""


class FlattenedLoss(nn.Module, ABC):
    """A loss over a batch: the sum of the images' terms divided by the sum of their weights."""

    @abstractmethod
    def terms(
        self, pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """For each image its term of the loss, and its weight: the loss is the ratio of their sums."""

    def forward(self, pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> Float[Tensor, ""]:
        """The loss of a batch; 0, with zero gradients, where all of its targets are unknown."""
        return loss_and_weight(self, pred, target)[0]

    def per_image(self, pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> Float[Tensor, " b"]:
        """The loss of each image; NaN for an image whose targets are all unknown."""
        terms, weights = self.terms(pred, target)
        return terms / weights


class CrossEntropyLossFlat(FlattenedLoss):
    """Cross-entropy of one label per image, from logits of shape (b, ..., k): classes in the last axis.

    PyTorch's cross-entropy expects classes in the second axis, (b, k, ...); for (b, k) both are the same.

    Args:
        weight: one weight for each class; the loss is the weighted mean, divided by the weights of the true classes.
        label_smoothing: the fraction of the target that is spread evenly over all classes (Szegedy et al., 2016,
            arXiv:1512.00567, section 7).
    """

    weight: Tensor | None

    def __init__(
        self, weight: Float[Tensor, " k"] | Sequence[float] | None = None, *, label_smoothing: float = 0.0
    ) -> None:
        super().__init__()
        self.register_buffer("weight", _checked_weights(weight, "weight"), persistent=False)
        self.label_smoothing = _checked_smoothing(label_smoothing)

    def __repr__(self) -> str:
        return "FlattenedLoss of CrossEntropyLoss()"

    def terms(
        self, pred: Float[Tensor, "b *d k"], target: Shaped[Tensor, "b ..."]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """For each image its weighted cross-entropy, and its weight (the weight of its true class).

        Args:
            pred: logits, shape (b, ..., k): classes in the last axis, unlike PyTorch's (b, k, ...).
            target: the index of each image's class, negative where it is unknown; or, in the shape of ``pred``, a
                probability for each class (mixed images; NaN: unknown). Then weights are 1, as in PyTorch.

        Raises:
            InputError: the shapes, or the number of weights, do not match.
        """
        pred = _at_least_float32(pred)
        n_classes = pred.shape[-1]
        weight = _weights_like(self.weight, pred, "weight")
        soft = target.is_floating_point() and target.shape == pred.shape
        if not soft and target.shape != pred.shape[:-1]:
            raise InputError(
                f"class indices for logits of the shape {tuple(pred.shape)} have the shape {tuple(pred.shape[:-1])}, "
                f"got {tuple(target.shape)}"
            )
        if soft:
            flat_target = target.reshape(-1, n_classes).to(pred.dtype)
            known = ~flat_target.isnan().any(1)
            flat_target = torch.where(known[:, None], flat_target, 0.0)
            weights = known.to(pred.dtype)
        else:
            flat_target = target.reshape(-1).long()
            known = flat_target >= 0
            weights = known.to(pred.dtype)
            if weight is not None:
                weights = torch.where(known, weight[flat_target.clamp_min(0)], 0.0)
            flat_target = torch.where(known, flat_target, IGNORE_INDEX)
        terms = functional.cross_entropy(
            pred.reshape(-1, n_classes), flat_target, weight, reduction="none", label_smoothing=self.label_smoothing
        )
        terms = torch.where(known, terms, 0.0)
        return terms.reshape(len(pred), -1).sum(1), weights.reshape(len(pred), -1).sum(1)


def LabelSmoothingCrossEntropy(  # noqa: N802 - fastai's name
    eps: float = 0.1, weight: Float[Tensor, " k"] | Sequence[float] | None = None
) -> CrossEntropyLossFlat:
    """`CrossEntropyLossFlat` with label smoothing, for training and validation, as in chapter 7 of the fastai book.

    ``FitOptions(label_smoothing=...)`` smooths only the training loss.

    Args:
        eps: the fraction of the target that is spread evenly over all classes.
        weight: as in `CrossEntropyLossFlat`.

    Raises:
        InputError: ``eps`` is not in [0, 1), or a weight is negative.
    """
    return CrossEntropyLossFlat(weight, label_smoothing=eps)


class BCEWithLogitsLossFlat(FlattenedLoss):
    """Binary cross-entropy of any number of labels per image, from logits.

    Args:
        weight: one factor for each class. As in PyTorch the mean is taken over all outputs, not over the weights.
        pos_weight: one factor for each class, for the images that have it: 3 counts each of them three times.
        label_smoothing: moves targets towards 1/2: y becomes y (1 - s) + s / 2. This is smoothing over the two classes
            of each label (Szegedy et al., 2016, arXiv:1512.00567, section 7, with K = 2; so does Keras).
    """

    weight: Tensor | None
    pos_weight: Tensor | None

    def __init__(
        self,
        weight: Float[Tensor, " k"] | Sequence[float] | None = None,
        pos_weight: Float[Tensor, " k"] | Sequence[float] | None = None,
        *,
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__()
        self.register_buffer("weight", _checked_weights(weight, "weight"), persistent=False)
        self.register_buffer("pos_weight", _checked_weights(pos_weight, "pos_weight"), persistent=False)
        self.label_smoothing = _checked_smoothing(label_smoothing)

    def __repr__(self) -> str:
        return "FlattenedLoss of BCEWithLogitsLoss()"

    def terms(
        self, pred: Float[Tensor, "b k"], target: Shaped[Tensor, "b k"]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """For each image the sum over its known labels, and how many are known.

        Args:
            pred: logits.
            target: 1 where the image has the label, else 0, or a share between them (mixed images); any number type.
                NaN: unknown.

        Raises:
            InputError: the shapes, or the number of weights, do not match.
        """
        pred = _at_least_float32(pred)
        target = _target_like(target, pred)
        known = ~target.isnan()
        filled = torch.where(known, target, 0.0)  # a NaN would make gradients NaN even where it is masked afterwards
        if self.label_smoothing:
            filled = filled * (1 - self.label_smoothing) + self.label_smoothing / 2
        losses = functional.binary_cross_entropy_with_logits(
            pred,
            filled,
            _weights_like(self.weight, pred, "weight"),
            reduction="none",
            pos_weight=_weights_like(self.pos_weight, pred, "pos_weight"),
        )
        return torch.where(known, losses, 0.0).flatten(1).sum(1), known.flatten(1).sum(1).to(pred.dtype)


class MSELossFlat(FlattenedLoss):
    """The mean squared error of numbers or points; NaN in the target is unknown and ignored."""

    def __repr__(self) -> str:
        return "FlattenedLoss of MSELoss()"

    def terms(
        self, pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """For each image the sum of its squared errors, and how many numbers of its target are known.

        Args:
            pred: the predicted numbers.
            target: as many numbers for each image, in any shape; NaN: unknown.

        Raises:
            InputError: the shapes do not match.
        """
        pred = _at_least_float32(pred)
        target = _target_like(target, pred)
        known = ~target.isnan()
        errors = torch.where(known, pred - target, 0.0)  # masked before squaring, so that no gradient is NaN
        return errors.square().flatten(1).sum(1), known.flatten(1).sum(1).to(pred.dtype)


def image_losses(
    loss: Callable[[Tensor, Tensor], Tensor], pred: Float[Tensor, "n ..."], target: Shaped[Tensor, "n ..."]
) -> Float[Tensor, " n"]:
    """The loss of each image, with any loss; NaN for an image whose targets are all unknown.

    Args:
        loss: one of the losses here; or any callable, which is given one image at a time.
        pred: the model's outputs.
        target: the targets.
    """
    if isinstance(loss, FlattenedLoss):
        return loss.per_image(pred, target)
    return torch.stack([loss(pred[i : i + 1], target[i : i + 1]) for i in range(len(pred))])


class MeanLoss:
    """The loss over a dataset, accumulated batch by batch; exact even if batches differ in size or weight.

    Args:
        loss: one of the losses here, whose terms are summed; or any function, whose value must be the mean over the
            images of its batch.
    """

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        self._loss = loss
        self._sum = 0.0
        self._weight = 0.0

    def add(self, pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]) -> None:
        """Adds one batch of outputs and targets."""
        if isinstance(self._loss, FlattenedLoss):
            terms, weights = self._loss.terms(pred.detach(), target)
            self._sum += float(terms.double().sum())
            self._weight += float(weights.double().sum())
        else:
            self._sum += float(self._loss(pred.detach(), target)) * len(pred)
            self._weight += len(pred)

    @property
    def value(self) -> float:
        """The loss over all batches so far; NaN if all targets are unknown."""
        return self._sum / self._weight if self._weight else float("nan")


def loss_and_weight(
    loss: Callable[[Tensor, Tensor], Tensor], pred: Float[Tensor, "b ..."], target: Shaped[Tensor, "b ..."]
) -> tuple[Float[Tensor, ""], Float[Tensor, ""] | int]:
    """(loss, weight) of a batch; the weighted mean of the losses of two batches is the loss of both together.

    Args:
        loss: one of the losses here, or any function whose value is the mean over the images.
        pred: the model's outputs.
        target: their targets.
    """
    if not isinstance(loss, FlattenedLoss):
        return loss(pred, target), len(pred)
    terms, weights = loss.terms(pred, target)
    weight = weights.sum()
    return terms.sum() / torch.where(weight > 0, weight, 1.0), weight


def class_weights(counts: Float[Tensor, " k"], balance: Balance = "pos_weight") -> Float[Tensor, " k"] | None:
    """A weight for each class, for `CrossEntropyLossFlat`, so that rare classes count as much as frequent ones.

    Args:
        counts: number of training images of each class, shape (k,); a class without images gets the weight 1.
        balance: ``"pos_weight"``: n / (k * count), where n is the sum of the counts: scikit-learn's
            ``class_weight="balanced"`` (King and Zeng, 2001). ``"effective_number"``: 1 / E(count), scaled so that the
            weights add up to the number of classes, where E(n) = (1 - beta^n) / (1 - beta) is the effective
            number of n images (Cui et al., 2019, arXiv:1901.05555, equations 2 and 3). ``"none"`` gives None.
    """
    if balance == "none":
        return None
    counts = counts.double()
    present = counts > 0
    effective = effective_number(counts) if balance == "effective_number" else counts
    inverse = torch.where(present, 1 / effective, 0.0)
    scale = present.sum() / inverse.sum() if balance == "effective_number" else counts.sum() / present.sum()
    return torch.where(present, scale * inverse, 1.0).float()


def pos_weights(
    positives: Float[Tensor, " k"], negatives: Float[Tensor, " k"], balance: Balance = "pos_weight"
) -> Float[Tensor, " k"] | None:
    """A weight for the positives of each label, for `BCEWithLogitsLossFlat`, so that they count as much as negatives.

    Args:
        positives: number of training images that have each label, shape (k,); a label that no image or every image has
            gets the weight 1.
        negatives: number of training images that do not have it; images for which it is unknown are in neither.
        balance: ``"pos_weight"``: negatives / positives. ``"effective_number"``: E(negatives) / E(positives), the
            weights of `class_weights` for the two classes of each label. ``"none"`` gives None.
    """
    if balance == "none":
        return None
    positives, negatives = positives.double(), negatives.double()
    both = (positives > 0) & (negatives > 0)
    if balance == "effective_number":
        positives, negatives = effective_number(positives), effective_number(negatives)
    return torch.where(both, negatives / positives, 1.0).float()


def effective_number(counts: Float[Tensor, " k"], beta: float = EFFECTIVE_NUMBER_BETA) -> Float[Tensor, " k"]:
    """The effective number of images, (1 - beta^n) / (1 - beta) (Cui et al., 2019): each additional image adds less.

    Args:
        counts: number n of training images of each class, shape (k,).
        beta: a number in [0, 1); with 0 the result is 1 for every class, near 1 it is n.
    """
    return (1 - beta ** counts.double()) / (1 - beta)


def _checked_weights(values: Tensor | Sequence[float] | None, name: str) -> Tensor | None:
    if values is None:
        return None
    weights = torch.as_tensor(values, dtype=torch.float32).detach().clone()
    if weights.ndim != 1 or not bool((weights.isfinite() & (weights >= 0)).all()):
        raise InputError(f"{name} must be one number, 0 or more, for each class; got {values}")
    return weights


def _checked_smoothing(share: float) -> float:
    if not 0 <= share < 1:
        raise InputError(f"label_smoothing must be a share in [0, 1), got {share}")
    return share


def _weights_like(weights: Tensor | None, pred: Tensor, name: str) -> Tensor | None:
    if weights is not None and len(weights) != pred.shape[-1]:
        raise InputError(f"{name} has {len(weights)} numbers, for {pred.shape[-1]} classes")
    return None if weights is None else weights.to(device=pred.device, dtype=pred.dtype)


def _at_least_float32(pred: Tensor) -> Tensor:
    """The prediction in float32 if it has 16 bits, in which sums would lose small terms."""
    return pred.float() if pred.dtype in (torch.float16, torch.bfloat16) else pred


def _target_like(target: Tensor, pred: Tensor) -> Tensor:
    """The target in the shape and dtype of the prediction."""
    if len(target) != len(pred) or target.numel() != pred.numel():
        raise InputError(
            f"predictions of the shape {tuple(pred.shape)} and targets of the shape {tuple(target.shape)} do not fit: "
            "each image needs as many targets as outputs"
        )
    return target.reshape(pred.shape).to(pred.dtype)
