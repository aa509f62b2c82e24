"""Further metrics of decisions equal scikit-learn's, with unknown cells ignored."""

import numpy as np
import pytest
import torch
from sklearn import metrics as oracle

from eyebright.errors import InputError
from eyebright.metrics.decisions import false_alarms_per_1000, fbeta, fbeta_metric, labels_per_image, recall_micro
from eyebright.metrics.labels import f1_macro
from support.label_sets import LABEL_SETS, UNKNOWN_SETS, ScoredLabels


@pytest.mark.parametrize("average", ["macro", "micro", "samples"])
@pytest.mark.parametrize("beta", [0.1, 0.5, 1, 2, 5])
@pytest.mark.parametrize("name", LABEL_SETS)
def test_f_beta_is_that_of_scikit_learn(name: str, beta: float, average) -> None:
    labels: ScoredLabels = LABEL_SETS[name]
    true, decided = labels.target.numpy(), labels.decisions.numpy()
    if true.shape[1] == 1:  # scikit-learn takes one column for two classes; twice the column has the same score
        true, decided = np.hstack([true, true]), np.hstack([decided, decided])
    expected = oracle.fbeta_score(true, decided, beta=beta, average=average, zero_division=0)
    assert fbeta(labels.decisions, labels.target, beta=beta, average=average) == pytest.approx(expected)
    assert fbeta_metric(beta, average)(labels.decisions, labels.target) == pytest.approx(expected)


@pytest.mark.parametrize("name", UNKNOWN_SETS)
def test_unknown_cells_are_ignored(name: str) -> None:
    labels: ScoredLabels = UNKNOWN_SETS[name]
    known = ~labels.target.isnan()
    true, decided = labels.target[known].numpy() == 1, labels.decisions[known].numpy()
    images = int(known.any(dim=1).sum())
    assert false_alarms_per_1000(labels.decisions, labels.target) == pytest.approx(
        1000 * int((decided & ~true).sum()) / images, nan_ok=True
    )
    if true.any():
        assert recall_micro(labels.decisions, labels.target) == pytest.approx(oracle.recall_score(true, decided))
        expected = oracle.fbeta_score(true, decided, beta=2)
        assert fbeta(labels.decisions, labels.target, beta=2, average="micro") == pytest.approx(expected)
    assert labels_per_image(labels.decisions, labels.target) == pytest.approx(
        np.mean(labels.decisions.numpy().sum(axis=1))
    )


def test_metrics_have_the_names_of_their_objectives() -> None:
    assert fbeta_metric(1, "macro") is f1_macro
    assert (fbeta_metric(0.5, "micro").name, fbeta_metric(0.5, "micro").title) == ("f0.5_micro", "micro F0.5")


@pytest.mark.parametrize("beta", [0, -1, float("nan"), float("inf")])
def test_a_beta_that_is_not_positive_is_an_error(beta: float) -> None:
    with pytest.raises(InputError, match="`beta` of the F score must be a positive number"):
        fbeta(torch.ones(1, 1) == 1, torch.ones(1, 1), beta=beta, average="micro")
    with pytest.raises(InputError, match="`beta` of the F score must be a positive number"):
        fbeta_metric(beta, "macro")
