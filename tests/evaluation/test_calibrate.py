"""Calibrations that are fitted to an evaluation: beside scipy and scikit-learn, chosen honestly, and never worse."""

import json
from dataclasses import replace
from typing import Any, get_args

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import Tensor
from torch.nn import functional

from eyebright._choices import CalibrationKind
from eyebright.errors import DataError, InputError
from eyebright.evaluation.calibrate import MIN_IMAGES, cross_fitted_probabilities, fit_calibration
from eyebright.evaluation.evaluation import Evaluation
from eyebright.metrics.calibration import log_loss
from eyebright.tasks.calibration import Beta, Isotonic, NoCalibration, Platt, Temperature
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.multicategory import MultiCategoryBlock
from eyebright.tasks.ordinal import OrdinalBlock
from eyebright.tasks.points import PointBlock
from eyebright.tasks.regression import RegressionBlock
from support.evaluations import make_evaluation

KINDS: list[Any] = [kind for kind in get_args(CalibrationKind) if kind != "none"]
NAN = float("nan")


def logits(n: int, k: int, seed: int = 0) -> Tensor:
    return torch.randn(n, k, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def drawn(true: Tensor, seed: int = 1) -> Tensor:
    """Targets that are 1 with the probability of these logits."""
    return (torch.rand(true.shape, generator=torch.Generator().manual_seed(seed)) < true.sigmoid()).float()


def of_labels(outputs: Tensor, targets: Tensor) -> Evaluation:
    return make_evaluation(MultiCategoryBlock(vocab=[f"label {i}" for i in range(outputs.shape[1])]), outputs, targets)


def of_classes(outputs: Tensor, targets: Tensor) -> Evaluation:
    return make_evaluation(CategoryBlock([f"class {i}" for i in range(outputs.shape[1])]), outputs, targets)


# ------------------------------------------------------------------------------- the fits


@pytest.mark.parametrize("n", [200, 3000], ids=["a point for each image", "shared points"])
def test_temperature_has_the_least_log_loss_of_all_labels_together(n: int) -> None:
    outputs = logits(n, 3)
    targets = drawn(outputs / 2.5)
    found = fit_calibration(of_labels(outputs, targets), kind="temperature").calibration
    assert isinstance(found, Temperature)

    def loss(logarithm: float) -> float:
        scaled = outputs.double() * float(np.exp(logarithm))
        total = functional.binary_cross_entropy_with_logits(scaled, targets.double(), reduction="sum")
        return float(total) + 0.5 * logarithm**2

    expected = np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-8}).x)
    assert 1 / found.value == pytest.approx(expected, rel=2e-3)


def test_the_temperature_of_classes_has_the_least_log_loss() -> None:
    outputs = logits(400, 5) * 3
    targets = torch.multinomial((outputs / 3).softmax(1), 1, generator=torch.Generator().manual_seed(1))[:, 0]
    found = fit_calibration(of_classes(outputs, targets), kind="temperature").calibration
    assert isinstance(found, Temperature)

    def loss(logarithm: float) -> float:
        total = functional.cross_entropy(outputs.double() * float(np.exp(logarithm)), targets, reduction="sum")
        return float(total) + 0.5 * logarithm**2

    expected = np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-8}).x)
    assert 1 / found.value == pytest.approx(expected, rel=1e-4)
    assert found.value == pytest.approx(3, rel=0.2)


def test_the_temperature_of_ordered_classes_is_that_of_the_simulation() -> None:
    outputs = logits(2000, 3) + 1
    above = outputs.div(2).sigmoid().cumprod(1)
    targets = (torch.rand(2000, 1, generator=torch.Generator().manual_seed(1)) < above).sum(1)
    found = fit_calibration(make_evaluation(OrdinalBlock([1, 2, 3, 4]), outputs, targets)).calibration
    assert isinstance(found, Temperature)
    assert found.value == pytest.approx(2, rel=0.15)


def test_labels_with_much_evidence_get_the_parameters_of_the_simulation() -> None:
    outputs = logits(6000, 3)
    slopes, offsets = torch.tensor([0.5, 1.0, 2.0]), torch.tensor([1.0, 0.0, -1.0])
    found = fit_calibration(of_labels(outputs, drawn(outputs * slopes + offsets)), kind="platt").calibration
    assert isinstance(found, Platt)
    assert np.allclose(found.slopes, slopes, rtol=0.15)
    assert np.allclose(found.offsets, offsets, atol=0.15)


def test_beta_finds_the_parameters_of_the_simulation() -> None:
    outputs = logits(20000, 2)
    truth = Beta((0.5, 1.5), (1.5, 0.6), (0.3, -0.5))
    found = fit_calibration(of_labels(outputs, drawn(truth(outputs))), kind="beta").calibration
    assert isinstance(found, Beta)
    for got, expected in ((found.a, truth.a), (found.b, truth.b), (found.c, truth.c)):
        assert np.allclose(got, expected, atol=0.2)


def test_isotonic_finds_a_curve_that_no_formula_has() -> None:
    outputs = logits(20000, 2)
    true = torch.where(outputs > 0, 3.0, -1.0) + outputs * 0.2
    evaluation = of_labels(outputs, drawn(true))
    found = fit_calibration(evaluation, kind="isotonic")
    assert isinstance(found.calibration, Isotonic)
    at = torch.tensor([[-3.0], [-1.0], [1.0], [3.0]]).expand(-1, 2)
    expected = torch.where(at > 0, 3.0, -1.0) + at * 0.2
    assert torch.allclose(found.calibration(at).sigmoid(), expected.sigmoid(), atol=0.06)
    assert fit_calibration(evaluation).evidence.kind == "isotonic"


def test_a_label_with_little_evidence_keeps_nearly_the_shared_parameters() -> None:
    outputs = logits(1000, 8)
    targets = drawn(outputs / 2 + 1)
    targets[3:, 0] = NAN
    targets[:, 1] = NAN
    found = fit_calibration(of_labels(outputs, targets), kind="platt").calibration
    assert isinstance(found, Platt)
    shared = np.mean(found.slopes[2:]), np.mean(found.offsets[2:])
    assert found.slopes[1] == pytest.approx(shared[0], abs=0.05)
    assert (found.slopes[0], found.offsets[0]) == pytest.approx(shared, abs=0.15)


# ------------------------------------------------------------------------------- the choice


def test_probabilities_that_are_right_stay_as_they_are() -> None:
    kept = 0
    for seed in range(20):
        outputs = logits(200, 4, seed)
        kept += fit_calibration(of_labels(outputs, drawn(outputs, 100 + seed))).evidence.kind != "none"
    assert kept <= 4


def test_probabilities_that_are_wrong_are_calibrated() -> None:
    outputs = logits(500, 4)
    fitted = fit_calibration(of_labels(outputs * 3, drawn(outputs)))
    evidence = fitted.evidence
    assert evidence.kind == "temperature"
    assert evidence.log_loss_after < evidence.log_loss_before
    assert evidence.calibration_error_after < evidence.calibration_error_before / 2
    assert evidence.log_losses["temperature"] == evidence.log_loss_after
    assert set(evidence.log_losses) == set(get_args(CalibrationKind))
    assert "the log loss is lower by" in evidence.reason


def test_the_evidence_is_of_the_cross_fitted_probabilities() -> None:
    outputs = logits(200, 3)
    targets = drawn(outputs / 3)
    targets[:20] = NAN
    targets[30:60, 1] = NAN
    evaluation = of_labels(outputs, targets)
    fitted = fit_calibration(evaluation, kind="platt")
    assert torch.equal(fitted.probabilities, cross_fitted_probabilities(evaluation, kind="platt"))
    assert fitted.evidence.log_loss_after == pytest.approx(log_loss(fitted.probabilities, targets))
    assert fitted.evidence.log_loss_before == pytest.approx(log_loss(outputs.sigmoid(), targets))
    assert fitted.evidence.images == 180
    assert json.loads(json.dumps(fitted.evidence.to_json(), allow_nan=False))["kind"] == "platt"


def test_no_image_changes_its_own_cross_fitted_probability() -> None:
    outputs = logits(100, 2)
    targets = drawn(outputs / 2)
    changed = targets.clone()
    changed[7] = 1 - changed[7]
    for kind in KINDS:
        before = cross_fitted_probabilities(of_labels(outputs, targets), kind=kind)
        after = cross_fitted_probabilities(of_labels(outputs, changed), kind=kind)
        assert torch.allclose(before[7], after[7], rtol=0, atol=1e-5)
        assert not torch.allclose(before, after, rtol=0, atol=1e-3)


def test_no_image_of_a_group_changes_the_cross_fitted_probabilities_of_the_group() -> None:
    outputs = logits(100, 2)
    targets = drawn(outputs / 2)
    changed = targets.clone()
    changed[7] = 1 - changed[7]
    groups = [f"patient {i % 25}" for i in range(100)]
    before, after = (
        cross_fitted_probabilities(of_labels(outputs, given), kind="platt", groups=groups)
        for given in (targets, changed)
    )
    assert torch.allclose(before[7::25], after[7::25], rtol=0, atol=1e-5)
    assert not torch.allclose(before, after, rtol=0, atol=1e-3)


def test_the_groups_of_an_evaluation_are_kept_together() -> None:
    outputs = logits(100, 2)
    groups = tuple(f"patient {i % 25}" for i in range(100))
    evaluation = of_labels(outputs, drawn(outputs / 2))
    own = cross_fitted_probabilities(replace(evaluation, groups=groups), kind="platt")
    assert torch.equal(own, cross_fitted_probabilities(evaluation, kind="platt", groups=groups))
    assert not torch.equal(own, cross_fitted_probabilities(evaluation, kind="platt"))


def test_the_standard_error_counts_groups() -> None:
    outputs = logits(60, 3)
    targets = drawn(outputs / 3)
    alone = fit_calibration(of_labels(outputs, targets), kind="temperature").evidence
    copies = of_labels(outputs.repeat(4, 1), targets.repeat(4, 1))
    grouped = fit_calibration(copies, kind="temperature", groups=list(range(60)) * 4).evidence
    assert grouped.gain_standard_error == pytest.approx(alone.gain_standard_error, rel=0.1)


def test_the_same_answers_give_the_same_calibration() -> None:
    evaluation = of_labels(logits(100, 2), drawn(logits(100, 2) / 2))
    assert fit_calibration(evaluation).calibration == fit_calibration(evaluation).calibration


# ------------------------------------------------------------------------------- little or odd evidence

ODD: dict[str, tuple[Tensor, Tensor]] = {
    "one image": (logits(1, 2), torch.tensor([[1.0, 0.0]])),
    "two images": (logits(2, 2), torch.tensor([[1.0, 0.0], [0.0, 1.0]])),
    "nothing known": (logits(40, 2), torch.full((40, 2), NAN)),
    "a label without positives": (logits(60, 2), torch.stack([torch.zeros(60), drawn(logits(60, 1))[:, 0]], 1)),
    "only positives": (logits(60, 2), torch.ones(60, 2)),
    "equal outputs": (torch.full((60, 2), 1.5), drawn(torch.zeros(60, 2))),
    "equal outputs of many": (torch.full((600, 2), 1.5), drawn(torch.zeros(600, 2))),
    "two different outputs": (drawn(torch.zeros(600, 2)) * 4, drawn(torch.zeros(600, 2), 5)),
    "labels that are told apart": (logits(80, 2), (logits(80, 2) > 0).float()),
    "extreme outputs": (logits(80, 2) * 1000, drawn(logits(80, 2))),
    "a single label": (logits(60, 1), drawn(logits(60, 1))),
    "outputs the wrong way round": (logits(300, 2), drawn(-logits(300, 2) * 3)),
}


@pytest.mark.parametrize("kind", ["auto", *KINDS])
@pytest.mark.parametrize("odd", ODD)
def test_odd_evidence_gives_a_calibration_of_finite_numbers(odd: str, kind: Any) -> None:
    outputs, targets = ODD[odd]
    fitted = fit_calibration(of_labels(outputs, targets), kind=kind)
    calibrated = fitted.calibration(outputs)
    assert bool(calibrated.isfinite().all())
    assert bool(((fitted.probabilities >= 0) & (fitted.probabilities <= 1)).all())
    json.dumps(fitted.evidence.to_json(), allow_nan=False)


def test_few_images_are_too_few_to_choose() -> None:
    outputs = logits(MIN_IMAGES - 1, 2)
    fitted = fit_calibration(of_labels(outputs * 5, drawn(outputs)))
    assert fitted.calibration == NoCalibration()
    assert fitted.evidence.reason == "19 images or groups with known targets are too few to choose a calibration"


@pytest.mark.parametrize(
    "evaluation",
    [
        make_evaluation(PointBlock(1), torch.zeros(30, 2), torch.zeros(30, 1, 2)),
        make_evaluation(RegressionBlock(2), torch.zeros(30, 2), torch.zeros(30, 2)),
    ],
    ids=["points", "numbers"],
)
def test_points_and_numbers_are_not_calibrated(evaluation: Evaluation) -> None:
    fitted = fit_calibration(evaluation)
    assert fitted.calibration == NoCalibration()
    assert "has no probabilities to calibrate" in fitted.evidence.reason
    assert torch.equal(fitted.probabilities, evaluation.activated)
    assert fitted.evidence.to_json()["log_loss_before"] is None


def test_what_cannot_be_fitted_is_refused() -> None:
    classes = of_classes(logits(30, 2), torch.zeros(30, dtype=torch.long))
    with pytest.raises(InputError, match="a CategoryBlock cannot have the calibration 'platt', only 'none', 'temp"):
        fit_calibration(classes, kind="platt")
    with pytest.raises(InputError, match="unknown calibration 'plat'. Did you mean 'platt'"):
        fit_calibration(classes, kind="plat")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="compared on two folds or more, got 1"):
        fit_calibration(classes, folds=1)
    with pytest.raises(InputError, match="`groups` needs one group for each of the 30 images, got 2"):
        fit_calibration(classes, groups=[1, 2])
    with pytest.raises(DataError, match="NaN or infinite"):
        fit_calibration(of_labels(torch.full((3, 1), NAN), torch.zeros(3, 1)))


def test_classes_that_are_unknown_are_ignored() -> None:
    outputs = logits(100, 3)
    targets = outputs.argmax(1)
    more = torch.cat([targets, torch.full((20,), -1)])
    found = fit_calibration(of_classes(torch.cat([outputs, logits(20, 3, 5)]), more), kind="temperature")
    assert found.evidence.images == 100
    assert found.calibration == fit_calibration(of_classes(outputs, targets), kind="temperature").calibration
