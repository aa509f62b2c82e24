"""`PredictionSets`: several labels for an image, which contain the right ones with a stated coverage.

`eyebright.evaluation.conformal` fits them and has the sources. Axes: n images, k classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from eyebright._choices import SetMethod
from eyebright.errors import InputError, check_choice, count_text, listing, short_repr
from eyebright.types import refuse_nan

FITTED, _ANSWERED = 0, 1
"""Independent random streams of randomised sets: for fitting and for prediction."""
_ROUNDING = 1e-9  # rounding error of sums of probabilities


@dataclass(frozen=True, slots=True)
class PredictionSets:
    """The rule that computes the prediction set of an image from its probabilities.

    Args:
        method: the method, see `eyebright.evaluation.conformal`.
        coverage: the probability, or the share of labels, to be covered; in (0, 1).
        limits: the greatest nonconformity in the set, for each class or one for all: 1 - probability, or for
            ``aps`` the sum of probabilities. Infinite if too few images of a class are known: it is in all sets.
        names: the classes.
        n_images: the number of images that the limits were fitted to: with a known class, or with labels.
        confidence: only for ``rcps``: the probability that the coverage holds, over the draw of the images; None: it
            holds in expectation over the draws.
        randomised: only for ``aps``: whether the last class is in the set at random, which makes the coverage exact.

    Raises:
        InputError: an unknown method, a coverage or confidence that is not between 0 and 1, a negative number of
            images, or not one limit or one for each class, or a limit that is NaN or minus infinity.
    """

    method: SetMethod
    coverage: float
    limits: tuple[float, ...]
    names: tuple[str, ...]
    n_images: int
    confidence: float | None = None
    randomised: bool = False

    def __post_init__(self) -> None:
        check_choice("method of prediction sets", self.method, get_args(SetMethod))
        for name, value in (("coverage", self.coverage), ("confidence", self.confidence)):
            if value is not None and not (isinstance(value, float) and 0 < value < 1):
                wanted = f"the {name} of prediction sets must be between 0 and 1 (not included)"
                raise InputError(f"{wanted}, got {short_repr(value)}")
        if self.n_images < 0:
            raise InputError(f"prediction sets are fitted to a number of images, got {self.n_images}")
        if len(self.limits) not in (1, len(self.names)) or any(
            limit != limit or limit == -np.inf for limit in self.limits
        ):
            raise InputError(
                f"prediction sets have one limit, or one for each of {len(self.names)} classes, got "
                f"{short_repr(self.limits)}"
            )

    @property
    def is_for_labels(self) -> bool:
        """True for any number of labels per image, False for one class per image."""
        return self.method in ("crc", "rcps")

    @property
    def by_label(self) -> bool:
        """True if each class or label is covered separately."""
        return len(self.limits) > 1

    def sets(
        self, probabilities: Float[Tensor, "n k"], *, indices: Sequence[int] | None = None, seed: int = 0
    ) -> Bool[Tensor, "n k"]:
        """True for the classes in the set of each image.

        If sets are randomised, the random number of an image is computed from the seed and its index: its set does not
        depend on the other images, and is independent for other seeds.

        Args:
            probabilities: calibrated probabilities, by the decision of the evaluation that the sets were fitted to.
            indices: the index of each image, at least 0; None: its row.
            seed: the seed of the random numbers.

        Raises:
            InputError: a probability is NaN, or there is not one index for each image.
        """
        refuse_nan(probabilities, "probabilities")
        scores = probabilities.detach().cpu().double().numpy()
        limits = np.array(self.limits)
        if self.method != "aps":
            return torch.from_numpy(1 - scores <= limits + _ROUNDING)
        parts = random_parts(len(scores), indices, (seed, _ANSWERED)) if self.randomised else None
        return torch.from_numpy(cumulative(scores, parts) <= limits + _ROUNDING)

    @property
    def sentence(self) -> str:
        """The coverage, its probability and the number of images, as a sentence."""
        share = f"{100 * self.coverage:.6g} %"
        for_which = "for each class separately" if self.by_label else "on average over all classes"
        if self.method in ("lac", "aps"):
            kind = self.method.upper() + (", randomised" if self.randomised else "")
            text = (
                f"the set of an image contains its class with a probability of at least {share}, {for_which} ({kind})"
            )
        elif self.by_label:
            text = f"each label is in the set of an image that has it with a probability of at least {share}"
        elif self.confidence is None:
            text = (
                f"in expectation, the set of an image that has labels contains at least {share} of them (conformal "
                "risk control)"
            )
        else:
            text = (
                f"with {100 * self.confidence:.6g} % confidence, the sets of images that have labels contain on "
                f"average at least {share} of them (RCPS)"
            )
        unsure = [name for name, limit in zip(self.names, self.limits, strict=False) if self.by_label and limit > 1e9]
        if all(limit > 1e9 for limit in self.limits):
            return f"too few images for a coverage of {share} ({self.n_images:,}): each set contains all labels"
        more = f"; too few images of {listing(unsure)}, which are in all sets" if unsure else ""
        return f"{text}, from {count_text(self.n_images, 'image')}{more}"

    def to_json(self) -> dict[str, Any]:
        """All fields; null for an infinite limit."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        limits = [None if np.isinf(limit) else limit for limit in self.limits]
        return {**fields, "limits": limits, "names": list(self.names)}

    @staticmethod
    def from_json(data: dict[str, Any]) -> "PredictionSets":
        """The value that `to_json` described.

        Raises:
            InputError: the JSON does not have the expected form.
        """
        try:
            limits = tuple(np.inf if limit is None else float(limit) for limit in data["limits"])
            names = tuple(map(str, data["names"]))
            fields: dict[str, Any] = {**data, "limits": limits, "names": names, "n_images": int(data["n_images"])}
            return PredictionSets(**fields)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"the prediction sets have the wrong form: {error}") from None


def random_parts(n_images: int, indices: Sequence[int] | None, seeds: tuple[int, int]) -> Float[np.ndarray, " n"]:
    """The random number of each image, in [0, 1), by its index in the sequence of the seeds."""
    rows = np.arange(n_images) if indices is None else np.asarray(indices)
    if rows.shape != (n_images,) or rows.dtype.kind not in "iu" or (rows < 0).any():
        raise InputError(f"`indices` must be one whole number of at least 0 for each of {n_images} images")
    return np.random.default_rng(seeds).random(int(rows.max(initial=-1)) + 1)[rows]


def cumulative(
    scores: Float[np.ndarray, "n k"], parts: Float[np.ndarray, " n"] | None = None
) -> Float[np.ndarray, "n k"]:
    """The sum of the probabilities of all classes before each class, plus a random part of its own.

    Without random parts, its own probability counts in full, but the first class always has 0, so that no set is empty.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    ranked = np.take_along_axis(scores, order, axis=1)
    sums = np.cumsum(ranked, axis=1)
    if parts is not None:
        sums = sums - parts[:, None] * ranked
    else:
        sums[:, 0] = 0
    back = np.empty_like(sums)
    np.put_along_axis(back, order, sums, axis=1)
    return back
