"""Fits a calibration to an evaluation, chooses its kind by cross-validation, and measures its effect.

The images are split into folds (of groups, where there are groups). Each kind is fitted to all folds but one and scored
on that one, so every probability that counts comes from a calibration that did not see its image. Then

1. the simplest kind is taken whose log loss is within one standard error of the best one's,
2. and kept only if its log loss is lower than without calibration by more than `MIN_GAIN` standard errors.

Standard errors are those of the paired differences between images, or between groups. The scores of the chosen kind are
cross-fitted. They are slightly optimistic, because the kind was chosen on the same images; this bias is much smaller
than the standard errors.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, get_args

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from torch import Tensor

from eyebright._choices import CalibrationChoice, CalibrationKind
from eyebright._defaults import FOLDS
from eyebright.errors import InputError, check_choice, listing
from eyebright.evaluation.calibration_fits import fit_each_set, fit_softmax_temperature
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.label_counts import LabelCounts, count_labels
from eyebright.metrics.calibration import expected_calibration_error, image_log_losses
from eyebright.tasks.base import TargetBlock
from eyebright.tasks.calibration import Calibration, NoCalibration, Temperature

MIN_GAIN = 1.645
"""How many standard errors lower the log loss must be: a calibration without effect is kept in 5 % of the cases."""
MIN_IMAGES = 20
"""The smallest number of images, or groups of images, from which a kind is chosen."""


@dataclass(frozen=True)
class CalibrationEvidence:
    """The effect of a calibration, measured on images that it was not fitted to.

    Args:
        kind: the calibration that was fitted.
        reason: why this kind was chosen, as a sentence.
        images: the number of images with known targets.
        log_loss_before: the log loss without calibration.
        log_loss_after: the log loss with calibration, cross-fitted; NaN if there are too few images.
        gain: the log loss before minus the log loss after.
        gain_standard_error: the standard error of the gain.
        calibration_error_before: the debiased expected calibration error of all labels together, or of the top class.
        calibration_error_after: the same error with calibration, cross-fitted.
        log_losses: the log loss of each kind that was tried, cross-fitted.
    """

    kind: CalibrationKind
    reason: str
    images: int
    log_loss_before: float
    log_loss_after: float
    gain: float
    gain_standard_error: float
    calibration_error_before: float
    calibration_error_after: float
    log_losses: Mapping[CalibrationKind, float]

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON; NaN is None."""
        values = {name: None if value != value else value for name, value in asdict(self).items()}
        return values | {"log_losses": {name: None if x != x else x for name, x in self.log_losses.items()}}


@dataclass(frozen=True)
class CalibrationFit:
    """A calibration that was fitted to an evaluation, and the evidence for it.

    Args:
        calibration: the calibration fitted to all images.
        evidence: its measured effect.
        probabilities: each image's probabilities, from a calibration of the same kind that was fitted to other images.
    """

    calibration: Calibration
    evidence: CalibrationEvidence
    probabilities: Float[Tensor, "n ..."]


def fit_calibration(
    evaluation: Evaluation,
    *,
    kind: CalibrationChoice = "auto",
    groups: Sequence[Any] | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> CalibrationFit:
    """A calibration of the evaluation's outputs; a calibration that its decision already has is not used.

    Args:
        evaluation: an evaluation on images that the model was not trained on.
        kind: a fixed kind, or ``"auto"`` for the best one (``"none"`` if no kind helps).
        groups: the group of each image, such as the patient; images of a group are never in different folds. None:
            the groups of the evaluation.
        folds: number of folds, at most one for each image or group.
        seed: seed of the split into folds.

    Raises:
        InputError: an unknown kind, one that the target cannot have, fewer than two folds, the number of groups differs
            from the number of images, or an output is NaN or infinite.
    """
    evaluation.check_finite()
    target = evaluation.decision.target
    candidates = _kinds(target, kind)
    problem = _Problem.of(evaluation, groups, folds=folds, seed=seed)
    if candidates == ("none",):
        reason = "as requested" if kind == "none" else f"a {type(target).__name__} has no probabilities to calibrate"
        return problem.result("none", problem.cross_validate(()), reason)
    if kind != "auto":
        return problem.result(candidates[0], problem.cross_validate(candidates), "as requested")
    if problem.n_units < MIN_IMAGES:
        reason = f"{problem.n_units:,} images or groups with known targets are too few to choose a calibration"
        return problem.result("none", problem.cross_validate(()), reason)
    tried = problem.cross_validate(candidates)
    return problem.result(*problem.select(tried))


def cross_fitted_probabilities(
    evaluation: Evaluation,
    *,
    kind: CalibrationChoice = "auto",
    groups: Sequence[Any] | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> Float[Tensor, "n ..."]:
    """The probabilities of each image from a calibration that was fitted to other images.

    Metrics computed from them estimate those on new images. Arguments and errors as in `fit_calibration`.
    """
    if kind not in ("auto", "none"):  # the kind is fixed, so the slower measurement is not needed
        evaluation.check_finite()
        (chosen,) = _kinds(evaluation.decision.target, kind)
        return _Problem.of(evaluation, groups, folds=folds, seed=seed).cross_fit(chosen)[1]
    return fit_calibration(evaluation, kind=kind, groups=groups, folds=folds, seed=seed).probabilities


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A kind of calibration, cross-fitted.

    Args:
        kind: the kind.
        calibration: the calibration fitted to all images.
        probabilities: each image's probabilities, from the other folds.
        losses: the sum of the log losses of each image's known cells.
    """

    kind: CalibrationKind
    calibration: Calibration
    probabilities: Tensor
    losses: Float[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class _Problem:
    """The data that calibrations are fitted to.

    Args:
        target: the target block.
        outputs: raw outputs.
        targets: encoded targets.
        has_losses: whether there are probabilities that have a log loss.
        n_known: the number of known cells of each image.
        unit: the number of each image's unit, an image or a group; -1 for images without known targets.
        fold: the fold of each image; -1 for images without known targets.
    """

    target: TargetBlock
    outputs: Float[Tensor, "n j"]
    targets: Shaped[Tensor, "n ..."]
    has_losses: bool
    n_known: Int[Tensor, " n"]
    unit: Int[Tensor, " n"]
    fold: Int[Tensor, " n"]

    @staticmethod
    def of(evaluation: Evaluation, groups: Sequence[Any] | None, *, folds: int, seed: int) -> "_Problem":
        """The problem with its images split into folds.

        Raises:
            InputError: as in `fit_calibration`.
        """
        if folds < 2:
            raise InputError(f"calibrations are compared on two folds or more, got {folds}")
        target, outputs, targets = (
            evaluation.decision.target,
            evaluation.outputs.float().cpu(),
            evaluation.targets.cpu(),
        )
        has_losses = len(target.calibrations) > 1
        n_known = torch.zeros(len(outputs), dtype=torch.int64)
        if has_losses:
            n_known = (targets >= 0).long() if targets.ndim == 1 else (~targets.isnan()).sum(1)
        unit = torch.full((len(outputs),), -1)
        codes = evaluation.group_codes if groups is None else _codes(groups, len(outputs))
        codes = np.arange(len(outputs)) if codes is None else codes
        has_known = n_known > 0
        unit[has_known] = torch.from_numpy(
            np.unique(codes[has_known.numpy()], return_inverse=True)[1].reshape(-1)
        ).long()
        n_units = int(unit.max()) + 1
        of_unit = torch.from_numpy(np.random.default_rng(seed).permutation(n_units) % folds)
        fold = torch.where(has_known, of_unit[unit.clamp_min(0)] if n_units else -1, -1)
        return _Problem(target, outputs, targets, has_losses, n_known, unit, fold)

    @property
    def n_units(self) -> int:
        """The number of images, or groups, with known targets."""
        return int(self.unit.max()) + 1

    def cross_validate(self, kinds: Sequence[CalibrationKind]) -> dict[CalibrationKind, _Candidate]:
        """Each of the kinds and "none", cross-fitted."""
        none = NoCalibration()
        tried = {"none": self._scored("none", none, self.target.activate(self.outputs))}
        for kind in kinds:
            if kind != "none":
                tried[kind] = self._scored(kind, *self.cross_fit(kind))
        return tried  # type: ignore[return-value]

    def select(
        self, tried: dict[CalibrationKind, _Candidate]
    ) -> tuple[CalibrationKind, dict[CalibrationKind, _Candidate], str]:
        """(kind, all kinds that were tried, the reason for this kind)."""
        others = [candidate for kind, candidate in tried.items() if kind != "none"]
        best = min(others, key=lambda candidate: float(candidate.losses.sum()))
        simplest = next(candidate for candidate in others if self._is_near(candidate, best))
        gain, error = self._gain(tried["none"], simplest)
        if gain > MIN_GAIN * error:
            return simplest.kind, tried, f"the log loss is lower by {gain:.4f} (standard error {error:.4f})"
        return (
            "none",
            tried,
            f"no kind lowers the log loss beyond noise ({simplest.kind}: lower by {gain:.4f}, standard error "
            f"{error:.4f})",
        )

    def result(self, kind: CalibrationKind, tried: dict[CalibrationKind, _Candidate], reason: str) -> CalibrationFit:
        """The calibration of a kind that was tried, with its evidence."""
        before, after = tried["none"], tried[kind]
        gain, error = self._gain(before, after)
        cells = int(self.n_known.sum())
        evidence = CalibrationEvidence(
            kind=kind,
            reason=reason,
            images=int((self.n_known > 0).sum()),
            log_loss_before=_ratio(float(before.losses.sum()), cells),
            log_loss_after=_ratio(float(after.losses.sum()), cells),
            gain=gain,
            gain_standard_error=error,
            calibration_error_before=self._calibration_error(before),
            calibration_error_after=self._calibration_error(after),
            log_losses={name: _ratio(float(candidate.losses.sum()), cells) for name, candidate in tried.items()},
        )
        return CalibrationFit(after.calibration, evidence, after.probabilities)

    def _scored(self, kind: CalibrationKind, calibration: Calibration, probabilities: Tensor) -> _Candidate:
        losses = torch.zeros(len(self.outputs), dtype=torch.float64)
        if self.has_losses:
            losses = image_log_losses(probabilities, self.targets)[0]
        return _Candidate(kind, calibration, probabilities, losses)

    def cross_fit(self, kind: CalibrationKind) -> tuple[Calibration, Tensor]:
        """(calibration fitted to all images, probabilities from calibrations that were fitted to the other folds)."""
        folds = range(int(self.fold.max()) + 1)
        on_all, *on_others = self._fits(kind)
        outputs = self.outputs.clone()
        rows = [(self.fold == fold, candidate) for fold, candidate in zip(folds, on_others, strict=True)]
        for these, calibration in [*rows, (self.fold < 0, on_all)]:
            outputs[these] = calibration(self.outputs[these])
        return on_all, self.target.activate(outputs)

    def _fits(self, kind: CalibrationKind) -> list[Calibration]:
        """The calibrations fitted to all images, then to all folds but the first, all but the second, and so on."""
        if self.target.head_objective == "multinomial":
            return list(_softmax_temperatures(self.outputs, self.target.head_targets(self.targets), self.fold))
        return fit_each_set(self._counts, kind)

    @cached_property
    def _counts(self) -> LabelCounts:
        return count_labels(self.outputs, self.target.head_targets(self.targets), self.fold)

    def _gain(self, before: _Candidate, after: _Candidate) -> tuple[float, float]:
        """(how much lower the second log loss is, its standard error); NaN without two units."""
        difference = (before.losses - after.losses)[self.unit >= 0]
        of_unit = torch.bincount(self.unit[self.unit >= 0], difference)
        cells = int(self.n_known.sum())
        if len(of_unit) < 2:
            return float("nan"), float("nan")
        return float(of_unit.sum()) / cells, float(of_unit.std()) * len(of_unit) ** 0.5 / cells

    def _is_near(self, candidate: _Candidate, best: _Candidate) -> bool:
        gain, error = self._gain(candidate, best)
        return gain <= error

    def _calibration_error(self, candidate: _Candidate) -> float:
        return expected_calibration_error(candidate.probabilities, self.targets) if self.has_losses else float("nan")


def _kinds(target: TargetBlock, kind: CalibrationChoice) -> tuple[CalibrationKind, ...]:
    """The kinds to try.

    Raises:
        InputError: an unknown kind, or one that the target cannot have.
    """
    if kind == "auto":
        return target.calibrations[1:] or target.calibrations
    check_choice("calibration", kind, get_args(CalibrationChoice))
    if kind not in target.calibrations:
        raise InputError(
            f"a {type(target).__name__} cannot have the calibration '{kind}', only {listing(target.calibrations)}"
        )
    return (kind,)


def _codes(groups: Sequence[Any], n_images: int) -> np.ndarray[Any, Any]:
    """An integer for each image's group.

    Raises:
        InputError: the number of groups differs from the number of images.
    """
    if len(groups) != n_images:
        raise InputError(f"`groups` needs one group for each of the {n_images} images, got {len(groups)}")
    number: dict[Any, int] = {}
    return np.array([number.setdefault(group, len(number)) for group in groups])


def _softmax_temperatures(outputs: Tensor, targets: Tensor, fold: Tensor) -> Iterator[Calibration]:
    value = 1.0
    for left_out in range(-1, int(fold.max()) + 1):
        is_fitted = (fold >= 0) & (fold != left_out)
        value = fit_softmax_temperature(outputs[is_fitted], targets[is_fitted], start=value)
        yield Temperature(value)


def _ratio(total: float, cells: int) -> float:
    return total / cells if cells else float("nan")
