"""The verdict on a point model: the errors of its points, the worst points, and what would improve them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from eyebright.errors import count_text
from eyebright.report.data import MetricRow
from eyebright.report.verdict.values import MIN_IMAGES, Gain, Recommendation, Verdict, counted_names, judged, percent
from eyebright.web.text import number_text

_MIN_CASES = 3
_MAX_PAIRED = 100  # points of which pairs are examined
_WEAK_RATIO = 1.25  # ratio to the median of the points' mean errors
_LARGE_SHARE = 0.3  # share of the sum of the errors in the worst twentieth of the images
_MIN_SHIFT = 0.5  # share of the mean error from which a shift is systematic
_Z = 3.0  # standard errors


@dataclass(frozen=True, eq=False)
class PointVerdict:
    """Strengths and weaknesses of a point model on a set of images.

    Args:
        names: the points.
        predicted: (x, y) of each predicted point, in pixels of the image file.
        targets: (x, y) of each true point; NaN where unknown.
        errors: the distance of each prediction from its target; NaN where unknown.
        rows: the metrics of the whole set.
    """

    names: Sequence[str]
    predicted: Float[Tensor, "n p 2"]
    targets: Float[Tensor, "n p 2"]
    errors: Float[Tensor, "n p"]
    rows: Sequence[MetricRow]

    def verdict(self) -> Verdict:
        """The sentences and the proposals; without known points, only that."""
        if not len(self._known):
            return Verdict(cannot=["No point of these images is known, so the model cannot be judged."])
        recommendations = [
            *self._swapped(),
            *self._shifted(),
            *self._worst_images(),
            *self._worst_point(),
            *self._few_images(),
        ]
        return Verdict(self._overall(), [*self._weak(), *self._far(), *self._unjudged()], recommendations)

    # ------------------------------------------------------------------ what it can and cannot do

    def _overall(self) -> list[str]:
        half, most = (number_text(self._quantile(share)) for share in (0.5, 0.9))
        sentences = [
            f"Half of its points are within {half} px of the target, 90 % within {most} px "
            f"({count_text(len(self._known), 'known point')} of {count_text(self._n_images, 'image')})."
        ]
        sentences += [
            f"{percent(row.value, 1)} of the {row.note}"
            + (f"; the mean position in training: {percent(row.baseline, 1)}." if row.baseline is not None else ".")
            for row in self.rows
            if row.name.startswith("PCK") and not math.isnan(row.value)
        ]
        return sentences

    def _weak(self) -> list[str]:
        means = self._means
        enough = judged(self._counts)
        if len(enough) < 2:
            return []
        worst, best = max(enough, key=means.__getitem__), min(enough, key=means.__getitem__)
        return [
            f"Weakest point: '{self.names[worst]}', {number_text(means[worst])} px off on average; the best, "
            f"'{self.names[best]}', {number_text(means[best])} px."
        ]

    def _far(self) -> list[str]:
        return [
            f"One point in ten is more than {number_text(self._quantile(0.9))} px off; the largest error is "
            f"{number_text(float(self._known.max()))} px."
        ]

    def _unjudged(self) -> list[str]:
        few = [pair for pair in zip(self.names, self._counts, strict=True) if pair[1] < MIN_IMAGES]
        if not few:
            return []
        return [f"Too few images to judge, fewer than {MIN_IMAGES}: {counted_names(few)}."]

    # ------------------------------------------------------------------ what would help

    def _swapped(self) -> list[Recommendation]:
        """Pairs of points that are often swapped."""
        best: tuple[int, int, int, float] | None = None
        if len(self.names) > _MAX_PAIRED:
            return []
        for a in range(len(self.names)):
            for b in range(a + 1, len(self.names)):
                own = self.errors[:, a] + self.errors[:, b]
                crossed = self._distances(a, b) + self._distances(b, a)
                swapped = crossed < 0.5 * own  # NaN is not
                count = int(swapped.sum())
                if best is None or count > best[2]:
                    best = a, b, count, float((own - crossed)[swapped].sum())
        if best is None or best[2] < _MIN_CASES:
            return []
        a, b, count, saved = best
        names = (self.names[a], self.names[b])
        evidence = f"On {count_text(count, 'image')} the two are swapped."
        action = f"Check the names '{names[0]}' and '{names[1]}' in the data, and that mirrored images exchange them."
        return [
            Recommendation(
                "swapped_points", action, evidence, self._gain(saved, "if they were exchanged there"), about=names
            )
        ]

    def _shifted(self) -> list[Recommendation]:
        """Points that are predicted to one side of their targets."""
        shifts: list[tuple[float, int, float]] = []
        for k in range(len(self.names)):
            known = ~self.errors[:, k].isnan()
            if int(known.sum()) < MIN_IMAGES:
                continue
            offsets = (self.predicted[known, k] - self.targets[known, k]).double()
            shift = offsets.mean(dim=0)
            error = float((offsets.var(dim=0) / len(offsets)).sum().sqrt())
            size, mean = float(shift.norm()), float(self.errors[known, k].mean())
            if size > _MIN_SHIFT * mean and size > _Z * error:
                saved = float(self.errors[known, k].sum() - (offsets - shift).norm(dim=1).sum())
                shifts.append((saved, k, size))
        if not shifts:
            return []
        saved, k, size = max(shifts)
        evidence = (
            f"'{self.names[k]}' is predicted {number_text(size)} px to one side on average, of a mean error of "
            f"{number_text(self._means[k])} px."
        )
        action = f"Check that '{self.names[k]}' is marked at the same place in the training and the evaluated images."
        return [
            Recommendation(
                "shifted_point", action, evidence, self._gain(saved, "without the shift"), about=(self.names[k],)
            )
        ]

    def _worst_images(self) -> list[Recommendation]:
        """Few images that cause much of the error."""
        sums = self.errors.nansum(dim=1)
        count = max(self._n_images // 20, 1)
        if self._n_images < 20 or float(sums.sum()) == 0:
            return []
        worst = sums.argsort(descending=True)[:count]
        share = float(sums[worst].sum() / sums.sum())
        if share < _LARGE_SHARE:
            return []
        known = (~self.errors.isnan()).sum(dim=1)
        others = float((sums.sum() - sums[worst].sum()) / (known.sum() - known[worst].sum()))
        saved = float(sums[worst].sum()) - others * int(known[worst].sum())
        evidence = f"{count_text(count, 'image')} of {self._n_images:,} cause {percent(share, 1)} of the error."
        action = "Look at the images under Worst images: correct wrong points, and label more images like the others."
        return [
            Recommendation("worst_images", action, evidence, self._gain(saved, "if they were as good as the others"))
        ]

    def _worst_point(self) -> list[Recommendation]:
        enough = judged(self._counts)
        if len(enough) < 3:
            return []
        typical = float(torch.tensor([self._means[k] for k in enough]).median())
        worst = max(enough, key=self._means.__getitem__)
        if self._means[worst] < _WEAK_RATIO * typical:
            return []
        name, count = self.names[worst], self._counts[worst]
        evidence = (
            f"'{name}' is {number_text(self._means[worst])} px off on average, the median point "
            f"{number_text(typical)} px."
        )
        gain = self._gain((self._means[worst] - typical) * count, f"if '{name}' reached the median point")
        action = f"Go through the mistakes with '{name}': is its place clear, and the same in all images?"
        return [Recommendation("hard_point", action, evidence, gain, about=(name,))]

    def _few_images(self) -> list[Recommendation]:
        if self._n_images >= 5 * MIN_IMAGES:
            return []
        evidence = f"Only {count_text(self._n_images, 'image')} with known points are evaluated here."
        return [Recommendation("few_images", "Evaluate on more images.", evidence)]

    # ------------------------------------------------------------------ numbers

    def _gain(self, saved: float, condition: str) -> Gain:
        """The mean error if the sum of the errors were smaller."""
        before = float(self._known.mean())
        after = before - saved / len(self._known)
        return Gain("mean pixel error", before, after, condition, is_share=False, unit="px")

    def _distances(self, a: int, b: int) -> Float[Tensor, " n"]:
        """The distance of the prediction of one point from the target of another."""
        return (self.predicted[:, a] - self.targets[:, b]).double().norm(dim=1)

    def _quantile(self, share: float) -> float:
        return float(np.quantile(self._known.numpy(), share))

    @cached_property
    def _known(self) -> Float[Tensor, " e"]:
        return self.errors[~self.errors.isnan()]

    @cached_property
    def _means(self) -> list[float]:
        return self.errors.nanmean(dim=0).tolist()

    @cached_property
    def _counts(self) -> list[int]:
        return (~self.errors.isnan()).sum(dim=0).tolist()

    @property
    def _n_images(self) -> int:
        return int((~self.errors.isnan()).any(dim=1).sum())
