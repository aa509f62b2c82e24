"""Rankings of labels equal scikit-learn's, with ties, absent classes, one class, empty rows and unknown cells."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings, strategies as st
from sklearn import metrics as oracle
from torch import Tensor

from eyebright.errors import InputError
from eyebright.metrics.rankings import (
    average_precision_micro,
    coverage_error,
    coverage_errors,
    label_ranking_average_precision,
    label_ranking_loss,
    ranking_average_precisions,
    ranking_losses,
    roc_auc_macro,
    roc_auc_micro,
)

ORACLES = {
    coverage_error: oracle.coverage_error,
    label_ranking_loss: oracle.label_ranking_loss,
    label_ranking_average_precision: oracle.label_ranking_average_precision_score,
}
EACH = {
    coverage_errors: oracle.coverage_error,
    ranking_losses: oracle.label_ranking_loss,
    ranking_average_precisions: oracle.label_ranking_average_precision_score,
}


@st.composite
def label_sets(draw: st.DrawFn, values: tuple[float, ...] = (0.0, 1.0)) -> tuple[Tensor, Tensor]:
    images, classes = draw(st.integers(1, 5)), draw(st.integers(1, 4))
    cells = images * classes
    scores = draw(st.lists(st.sampled_from([-1.0, 0.0, 0.25, 0.5, 0.75, 1.0]), min_size=cells, max_size=cells))
    target = draw(st.lists(st.sampled_from(values), min_size=cells, max_size=cells))
    return torch.tensor(scores).reshape(images, classes), torch.tensor(target).reshape(images, classes)


def of_one_image(function, scores: np.ndarray, target: np.ndarray) -> float:
    if function is oracle.coverage_error and not target.any():
        return 0.0
    if (function is not oracle.coverage_error and target.all()) or not target.any():
        return 1.0 if function is oracle.label_ranking_average_precision_score else 0.0
    return float(function(target[None], scores[None])) if len(target) > 1 else float(target.sum())


@given(labels=label_sets((0.0, 1.0, 1.0, float("nan"))))
@settings(max_examples=150, deadline=None)
def test_each_image_has_scikit_learns_value_on_its_known_labels(labels: tuple[Tensor, Tensor]) -> None:
    scores, target = labels
    for function, expected in EACH.items():
        for i, found in enumerate(function(scores, target).tolist()):
            known = ~target[i].isnan()
            if not known.any():
                assert np.isnan(found)
                continue
            want = of_one_image(expected, scores[i, known].numpy(), target[i, known].numpy())
            assert found == pytest.approx(want)


@pytest.mark.parametrize("levels", [None, 3], ids=["all different", "ties"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_the_mean_over_images_is_scikit_learns(share: float, levels: int | None) -> None:
    generator = np.random.default_rng(0)
    target = (generator.random((40, 6)) < share).astype(float)
    scores = generator.random((40, 6)) + 0.3 * target
    scores = scores if levels is None else np.round(scores * levels)
    for metric, expected in ORACLES.items():
        assert metric(torch.tensor(scores), torch.tensor(target)) == pytest.approx(expected(target, scores))
    if share:
        for metric, average in ((roc_auc_macro, "macro"), (roc_auc_micro, "micro")):
            want = oracle.roc_auc_score(target, scores, average=average)
            assert metric(torch.tensor(scores), torch.tensor(target)) == pytest.approx(want)
        want = oracle.average_precision_score(target, scores, average="micro")
        assert average_precision_micro(torch.tensor(scores), torch.tensor(target)) == pytest.approx(want)


def test_blocks_of_images_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, target = torch.rand(23, 4), (torch.rand(23, 4) < 0.4).double()
    before = ranking_losses(scores, target)
    monkeypatch.setattr("eyebright.metrics.rankings._MAX_BLOCK", 12)
    assert torch.equal(ranking_losses(scores, target), before)


def test_a_score_that_is_nan_is_an_error() -> None:
    with pytest.raises(InputError, match="scores hold NaN, which cannot be ranked"):
        coverage_errors(torch.tensor([[float("nan")]]), torch.tensor([[1.0]]))
