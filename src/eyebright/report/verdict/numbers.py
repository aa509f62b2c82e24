"""The verdict on a regression model: the errors of its numbers, their biases, and what would improve them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import count_text
from eyebright.report.data import MetricRow
from eyebright.report.verdict.values import MIN_IMAGES, Gain, Recommendation, Verdict, percent
from eyebright.web.text import number_text

_MIN_SHIFT = 0.25  # share of the mean absolute error from which a mean error is systematic
_MIN_SHRINKAGE = 0.5  # share of the mean absolute error of the extreme targets
_Z = 3.0  # standard errors
_EXTREME_SHARE = 0.1  # share of the targets at each end
_LARGE_SHARE = 0.5  # share of the squared error in the worst twentieth of the images
_MIN_R2 = 0.3  # R2
_MAX_COLUMNS = 3  # columns that are described one by one


@dataclass(frozen=True, eq=False)
class NumberVerdict:
    """Strengths and weaknesses of a regression model on a set of images.

    Args:
        names: the numbers.
        predicted: the predicted numbers.
        targets: the true numbers; NaN where unknown.
        rows: the metrics of the whole set.
    """

    names: Sequence[str]
    predicted: Float[Tensor, "n k"]
    targets: Float[Tensor, "n k"]
    rows: Sequence[MetricRow]

    def verdict(self) -> Verdict:
        """The sentences and the proposals; without known numbers, only that."""
        known = [k for k in range(len(self.names)) if len(self._errors(k))]
        if not known:
            return Verdict(cannot=["No number of these images is known, so the model cannot be judged."])
        can = [self._near(k) for k in known[:_MAX_COLUMNS]]
        if len(known) > _MAX_COLUMNS:
            can.append(f"{len(known) - _MAX_COLUMNS:,} more columns are under Numbers.")
        cannot = [sentence for k in known for sentence in (*self._unexplained(k), *self._far(k))][:_MAX_COLUMNS]
        recommendations = [
            recommendation
            for k in known
            for recommendation in (*self._shifted(k), *self._pulled(k), *self._worst_images(k))
        ]
        return Verdict([*can, *self._explained()], cannot, [*recommendations, *self._few_images()])

    # ------------------------------------------------------------------ what it can and cannot do

    def _near(self, k: int) -> str:
        sizes = self._errors(k).abs().numpy()
        half, most = (number_text(float(np.quantile(sizes, share))) for share in (0.5, 0.9))
        return (
            f"Half of its numbers{self._subject(k)} are within {half} of the target, 90 % within {most} "
            f"({count_text(len(sizes), 'known number')})."
        )

    def _explained(self) -> list[str]:
        return [
            f"It explains {percent(row.value, 1)} of the variance of the targets (R2)"
            + (", the mean over the columns." if len(self.names) > 1 else ".")
            for row in self.rows
            if row.name == "R2" and row.value >= _MIN_R2
        ]

    def _unexplained(self, k: int) -> list[str]:
        share = self._r2(k)
        if math.isnan(share) or share >= _MIN_R2:
            return []
        how = f"R2 {share:.2f}; 0 is as good as always predicting the mean"
        return [f"Its numbers{self._subject(k)} explain little of the targets ({how})."]

    def _far(self, k: int) -> list[str]:
        sizes = self._errors(k).abs().numpy()
        most = number_text(float(np.quantile(sizes, 0.9)))
        largest = number_text(float(sizes.max()))
        return [f"One number in ten{self._subject(k)} is more than {most} off; the largest error is {largest}."]

    # ------------------------------------------------------------------ what would help

    def _shifted(self, k: int) -> list[Recommendation]:
        """Predictions that are too high or too low on average."""
        errors = self._errors(k)
        if len(errors) < MIN_IMAGES:
            return []
        shift, size = float(errors.mean()), float(errors.abs().mean())
        if abs(shift) < _MIN_SHIFT * size or abs(shift) < _Z * float(errors.std()) / math.sqrt(len(errors)):
            return []
        side = "high" if shift > 0 else "low"
        evidence = (
            f"The predictions{self._subject(k)} are too {side} by {number_text(abs(shift))} on average (mean absolute "
            f"error {number_text(size)})."
        )
        gain = self._gain(k, float((errors - shift).abs().mean()), "without this shift")
        which = f"'{self.names[k]}' of the evaluated images" if len(self.names) > 1 else "the evaluated images"
        action = f"Find out how {which} and the training images differ: in the unit, the device or the site."
        return [Recommendation("shifted", action, evidence, gain, about=(self.names[k],))]

    def _pulled(self, k: int) -> list[Recommendation]:
        """Extreme targets whose predictions are too near to the mean."""
        errors, targets = self._errors(k), self._known_targets(k)
        if len(errors) < 5 * MIN_IMAGES:
            return []
        low, high = np.quantile(targets.numpy(), [_EXTREME_SHARE, 1 - _EXTREME_SHARE]).tolist()
        pulls: list[tuple[float, str, float, Tensor]] = []
        for name, end, rows, sign in (("below", low, targets <= low, 1.0), ("above", high, targets >= high, -1.0)):
            pull, size = sign * float(errors[rows].mean()), float(errors[rows].abs().mean())
            if pull > _MIN_SHRINKAGE * size and size > float(errors.abs().mean()):
                pulls.append((pull, name, end, rows))
        if not pulls:
            return []
        pull, name, end, rows = max(pulls, key=lambda case: case[0])
        count = int(rows.sum())
        others = float(errors[~rows].abs().mean())
        evidence = (
            f"On the {count:,} images with targets {name} {number_text(end)} the predictions are too near to the mean, "
            f"by {number_text(pull)} on average; the others are {number_text(others)} off."
        )
        gain = self._gain(k, others, "if they were as good as the others")
        action = f"Label more images with targets {name} {number_text(end)}{self._subject(k)}."
        return [Recommendation("extreme_targets", action, evidence, gain, about=(self.names[k],))]

    def _worst_images(self, k: int) -> list[Recommendation]:
        """Few images that cause much of the squared error."""
        errors = self._errors(k)
        if len(errors) < 20:
            return []
        sizes = errors.abs().sort(descending=True).values
        count = len(sizes) // 20
        share = float(sizes[:count].square().sum() / sizes.square().sum())
        if math.isnan(share) or share < _LARGE_SHARE:
            return []
        held = f"{percent(share, 1)} of the squared error{self._subject(k)}"
        evidence = f"{count_text(count, 'image')} of {len(errors):,} cause {held}."
        gain = self._gain(k, float(sizes[count:].mean()), "if they were as good as the others")
        action = "Look at the images under Worst images, and correct wrong numbers."
        return [Recommendation("worst_images", action, evidence, gain, about=(self.names[k],))]

    def _few_images(self) -> list[Recommendation]:
        count = int((~self.targets.isnan()).any(dim=1).sum())
        if count >= 5 * MIN_IMAGES:
            return []
        evidence = f"Only {count_text(count, 'image')} with known numbers are evaluated here."
        return [Recommendation("few_images", "Evaluate on more images.", evidence)]

    # ------------------------------------------------------------------ numbers

    def _gain(self, k: int, after: float, condition: str) -> Gain:
        before = float(self._errors(k).abs().mean())
        return Gain(f"MAE{self._subject(k)}", before, after, condition, is_share=False)

    def _errors(self, k: int) -> Float[Tensor, " m"]:
        """The prediction minus the target, for each known number of a column."""
        known = ~self.targets[:, k].isnan()
        return (self.predicted[known, k] - self.targets[known, k]).double()

    def _known_targets(self, k: int) -> Float[Tensor, " m"]:
        column = self.targets[:, k]
        return column[~column.isnan()].double()

    def _r2(self, k: int) -> float:
        targets = self._known_targets(k)
        deviations = float((targets - targets.mean()).square().sum())
        return 1 - float(self._errors(k).square().sum()) / deviations if deviations > 0 else math.nan

    def _subject(self, k: int) -> str:
        return f" of '{self.names[k]}'" if len(self.names) > 1 else ""
