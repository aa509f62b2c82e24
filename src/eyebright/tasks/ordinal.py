"""`OrdinalBlock`: one of several ordered classes per image, such as a rating from 1 to 5, by CORN."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor, nn
from torch.nn import functional

from eyebright._choices import HeadObjective
from eyebright.errors import InputError, LabelError, listing
from eyebright.losses import Balance, FlattenedLoss, class_weights
from eyebright.metrics.meter import Metric
from eyebright.metrics.ordinal import median_class, ordinal_accuracy_metric, ordinal_mae_metric, quadratic_kappa_metric
from eyebright.tasks.label_text import label_text
from eyebright.tasks.one_class import OneClassBlock, one_hot, single_class
from eyebright.types import Thresholds, Vocab, ordered_names


@dataclass(frozen=True, init=False)
class OrdinalBlock(OneClassBlock):
    """The target field with one of several ordered classes, such as a rating.

    For k classes the model has k - 1 outputs. Output i is the logit of "above class i, given that it is not below":
    P(above class i) is the product of the first i + 1 sigmoids, so it falls with i whatever the outputs are, and the
    probabilities of the classes sum to one (CORN: Shi, Cao & Raschka, 2021, arXiv:2111.08851, equations 4 to 6). The
    decoded value is the median class, see `eyebright.metrics.ordinal`.

    Args:
        classes: the classes from the lowest to the highest; None: the numbers of the training images.
    """

    name: ClassVar[str] = "ordinal"
    also_called: ClassVar[str] = "ratings"
    head_objective: ClassVar[HeadObjective] = "binary"
    vocab: Vocab | None

    def __init__(self, classes: Sequence[Any] | None = None) -> None:
        object.__setattr__(self, "vocab", None if classes is None else Vocab(map(_class_name, ordered_names(classes))))

    def read(self, raw: Any) -> str:
        """The class as text; 4, "4" and 4.0 are the same.

        Raises:
            LabelError: there is no class, or there are several.
        """
        raw = single_class(raw, "OrdinalBlock")
        if text := _class_name(raw):
            return text
        raise LabelError("an image has no rating, but an OrdinalBlock needs one; leave the image out")

    def fit(self, values: Iterable[str]) -> "OrdinalBlock":
        """The block whose classes are the numbers in ``values``, sorted; given classes are kept.

        Raises:
            InputError: the order of classes that are not numbers was not given.
        """
        if self.vocab is not None:
            return self
        names = dict.fromkeys(values)
        words = [name for name in names if _number(name) is None]
        if words:
            raise InputError(
                f"the order of {listing(sorted(words))} is not known, only that of numbers: write numbers, 1 for "
                "the lowest; or give all classes from the lowest to the highest in Python, OrdinalBlock(classes=[...])"
            )
        return OrdinalBlock(sorted(names, key=float))

    def activate(self, outputs: Float[Tensor, "b j"]) -> Float[Tensor, "b k"]:
        """The probability of each class; they sum to one."""
        above = outputs.sigmoid().cumprod(dim=-1)
        bounds = functional.pad(above, (1, 0), value=1.0), functional.pad(above, (0, 1), value=0.0)
        return bounds[0] - bounds[1]

    def predicted(self, activated: Float[Tensor, "n k"]) -> Int[Tensor, " n"]:
        """The index of the median class of each row."""
        return median_class(activated)

    def decode(self, activated: Shaped[Tensor, "..."], thresholds: Thresholds | None = None) -> str:
        """The median class, or the one with that index."""
        return self.classes[int(activated if activated.ndim == 0 else median_class(activated))]

    @property
    def n_out(self) -> int:
        """One output for each class except the highest."""
        return len(self.classes) - 1

    def loss(self) -> nn.Module:
        """The negative log-likelihood of the true class."""
        return CornLoss()

    def training_loss(
        self, values: Iterable[str], *, label_smoothing: float = 0.0, balance: Balance = "none"
    ) -> nn.Module:
        """`CornLoss` with smoothed targets and a weight for each class (`eyebright.losses.class_weights`)."""
        if balance == "none":
            return CornLoss(label_smoothing=label_smoothing)
        images = torch.tensor(self.class_counts(values), dtype=torch.float32)
        return CornLoss(class_weights(images, balance), label_smoothing=label_smoothing)

    def head_targets(self, targets: Shaped[Tensor, " n"]) -> Float[Tensor, "n j"]:
        """For each output, 1 above its class, 0 at it, and NaN (unknown) below it, which gives the loss `CornLoss`."""
        classes = torch.arange(self.n_out)
        index = targets.long()[:, None]
        known = (index >= classes) & (index >= 0)
        return torch.where(known, (index > classes).float(), torch.nan)

    def metrics(self) -> tuple[Metric, ...]:
        """The mean error in classes, quadratic weighted kappa and accuracy."""
        return (ordinal_mae_metric, quadratic_kappa_metric, ordinal_accuracy_metric)

    def training_summary(self, values: Sequence[str]) -> dict[str, Any]:
        """The number of images of each class; the baseline is the most frequent class, for the MAE the median."""
        each = torch.tensor(self.class_counts(values), dtype=torch.float32)
        n_classes = len(each)
        return {
            "images": len(values),
            "counts": each.long().tolist(),
            "baseline": {
                "*": functional.one_hot(each.argmax(), n_classes).double().tolist(),
                ordinal_mae_metric.name: functional.one_hot(median_class(each / each.sum()), n_classes)
                .double()
                .tolist(),
            },
        }

    @property
    def output_names(self) -> tuple[str, ...]:
        """``above CLASS`` for each class except the highest."""
        return tuple(f"above {name}" for name in list(self.classes)[:-1])

    @property
    def value_names(self) -> tuple[str, ...]:
        """The classes."""
        return tuple(self.classes)

    def describe(self) -> str:
        """The block and its classes on one line."""
        if self.vocab is None:
            return "OrdinalBlock, not fitted yet"
        return f"OrdinalBlock with {len(self.vocab)} ordered classes: {listing(self.vocab)}"

    def to_json(self) -> dict[str, Any]:
        """The classes, from the lowest to the highest."""
        return {"classes": None if self.vocab is None else list(self.vocab)}

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "OrdinalBlock":
        """The block that `to_json` described."""
        return cls(data["classes"])

    @classmethod
    def from_columns(cls, names: Sequence[str], *, mirror: Sequence[int] | None = None) -> "OrdinalBlock":
        """A block whose classes are ``names``, from the lowest to the highest; without names they are fitted."""
        return cls(names or None)


class CornLoss(FlattenedLoss):
    """The negative log-likelihood of ordered classes from their conditional logits, see `OrdinalBlock`.

    For class c it is the binary cross-entropy of the outputs up to c: "yes" for those below c, "no" for c. It is CORN's
    loss (Shi, Cao & Raschka, 2021, equation 7) except for its scale: the mean is over images, not over all these
    outputs.

    Args:
        weight: one weight for each class; the loss is then the weighted mean.
        label_smoothing: the fraction of the target that is spread evenly over all classes.
    """

    weight: Tensor | None

    def __init__(self, weight: Float[Tensor, " k"] | None = None, *, label_smoothing: float = 0.0) -> None:
        super().__init__()
        if not 0 <= label_smoothing < 1:
            raise InputError(f"label_smoothing must be a share in [0, 1), got {label_smoothing}")
        self.register_buffer("weight", weight, persistent=False)
        self.label_smoothing = label_smoothing

    def __repr__(self) -> str:
        return "FlattenedLoss of CornLoss()"

    def terms(
        self, pred: Float[Tensor, "b j"], target: Shaped[Tensor, "b ..."]
    ) -> tuple[Float[Tensor, " b"], Float[Tensor, " b"]]:
        """(weighted negative log-likelihood, weight) of each image.

        Args:
            pred: conditional logits, one for each class except the highest.
            target: the index of each image's class, negative if it is unknown; or a probability for each class, of
                shape (b, k) (mixed images; NaN: unknown).

        Raises:
            InputError: the shapes do not match.
        """
        n_images, n_classes = len(pred), pred.shape[1] + 1
        if target.shape not in ((n_images,), (n_images, n_classes)):
            raise InputError(
                f"ordered classes for outputs of the shape {tuple(pred.shape)} have the shape ({n_images},) or "
                f"({n_images}, {n_classes}), got {tuple(target.shape)}"
            )
        logits = pred.float()
        rows = target if target.ndim == 2 else one_hot(target, n_classes)
        known = ~rows.isnan().any(dim=1)
        rows = rows.nan_to_num().to(logits.dtype)
        weights = known.to(logits.dtype)
        if self.weight is not None:
            weights = weights * (rows @ self.weight.to(logits))
        rows = rows * (1 - self.label_smoothing) + self.label_smoothing / n_classes
        above = 1 - rows.cumsum(dim=1)[:, :-1]  # the probability that the true class is above each class
        terms = above * functional.softplus(-logits) + rows[:, :-1] * functional.softplus(logits)
        return terms.sum(dim=1) * weights, weights


def _class_name(raw: Any) -> str:
    """A class as text: whole numbers without decimals."""
    text = label_text(raw).strip()
    number = _number(text)
    return str(int(number)) if number is not None and number.is_integer() else text


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if number - number == 0 else None  # neither infinite nor NaN
