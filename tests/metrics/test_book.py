"""The book's metrics of several labels, against scikit-learn."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn import metrics as sklearn

from eyebright.errors import InputError
from eyebright.metrics.book import (
    APScoreMulti,
    F1ScoreMulti,
    HammingLossMulti,
    PrecisionMulti,
    RecallMulti,
    RocAucMulti,
)
from eyebright.metrics.meter import Metric
from eyebright.metrics.roc import roc_auc


def random_inputs(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits with many ties, and targets of four labels that all have positives and negatives."""
    generator = np.random.default_rng(seed)
    logits = torch.from_numpy(generator.integers(-4, 5, (50, 4)) / 2).float()
    target = torch.from_numpy((generator.random((50, 4)) < 0.4).astype(np.float32))
    target[0], target[1] = 0.0, 1.0
    return logits, target


DECIDED: dict[str, tuple[Callable[..., Metric], Callable[..., float]]] = {
    "f1_score": (F1ScoreMulti, sklearn.f1_score),
    "precision_score": (PrecisionMulti, sklearn.precision_score),
    "recall_score": (RecallMulti, sklearn.recall_score),
}


@pytest.mark.parametrize("average", ["macro", "micro", "samples"])
@pytest.mark.parametrize("name", DECIDED)
@pytest.mark.parametrize("seed", range(3))
def test_scores_of_decisions_equal_scikit_learn(seed: int, name: str, average: str) -> None:
    logits, target = random_inputs(seed)
    ours, theirs = DECIDED[name]
    metric = ours(thresh=0.3, average=average)
    assert metric.name == name
    expected = theirs(target, logits.sigmoid() > 0.3, average=average, zero_division=0)
    assert metric(logits, target) == pytest.approx(expected)
    assert ours(0.3, sigmoid=False, average=average)(logits.sigmoid(), target) == pytest.approx(expected)
    assert ours(average=average)(logits.sigmoid() > 0.3, target) == pytest.approx(expected)  # the learner decides


@pytest.mark.parametrize("seed", range(3))
def test_the_hamming_loss_equals_scikit_learn(seed: int) -> None:
    logits, target = random_inputs(seed)
    metric = HammingLossMulti(thresh=0.4)
    assert metric(logits, target) == pytest.approx(sklearn.hamming_loss(target, logits.sigmoid() > 0.4))
    assert (metric.name, metric.higher_is_better) == ("hamming_loss", False)


@pytest.mark.parametrize("average", ["macro", "micro", "weighted", "samples"])
@pytest.mark.parametrize("seed", range(3))
def test_ranking_scores_with_ties_equal_scikit_learn(seed: int, average: str) -> None:
    logits, target = random_inputs(seed)
    if average == "samples":  # scikit-learn has no area for an image whose labels are all absent or all there
        mixed = (target.sum(1) > 0) & (target.sum(1) < 4)
        logits, target = logits[mixed], target[mixed]
    ap = sklearn.average_precision_score(target, logits, average=average)
    assert APScoreMulti(average=average)(logits, target) == pytest.approx(ap)
    area = sklearn.roc_auc_score(target, logits, average=average)
    assert RocAucMulti(average=average)(logits, target) == pytest.approx(area)


def test_a_label_without_positives_or_without_negatives_is_skipped() -> None:
    logits, target = random_inputs(0)
    target[:, 1], target[:, 2] = 0.0, 1.0
    areas = roc_auc(logits, target)
    assert areas.isnan().tolist() == [False, True, True, False]
    kept = sklearn.roc_auc_score(target[:, [0, 3]], logits[:, [0, 3]], average="macro")
    for average in ("macro", "weighted"):
        assert RocAucMulti(average=average)(logits, target) == pytest.approx(
            sklearn.roc_auc_score(target[:, [0, 3]], logits[:, [0, 3]], average=average)
        )
    assert RocAucMulti()(logits, target) == pytest.approx(kept)
    assert np.isnan(RocAucMulti()(logits, torch.zeros_like(target)))
    assert APScoreMulti()(logits, target) == pytest.approx(
        sklearn.average_precision_score(target[:, [0, 2, 3]], logits[:, [0, 2, 3]])
    )


def test_unknown_targets_are_masked() -> None:
    logits, target = random_inputs(1)
    unknown = torch.rand(target.shape, generator=torch.Generator().manual_seed(3)) < 0.3
    unknown[:2] = False  # a positive and a negative of each label are known
    masked = torch.where(unknown, torch.nan, target)
    columns = [(logits[~unknown[:, k], k], target[~unknown[:, k], k]) for k in range(4)]
    expected = [sklearn.roc_auc_score(t, s) for s, t in columns]
    assert roc_auc(logits, masked).tolist() == pytest.approx(expected)
    f1 = [sklearn.f1_score(t, s.sigmoid() > 0.3, zero_division=0) for s, t in columns]
    assert F1ScoreMulti(0.3)(logits, masked) == pytest.approx(np.mean(f1))
    wrong = sum(int(((s.sigmoid() > 0.3) != t.bool()).sum()) for s, t in columns)
    assert HammingLossMulti(0.3)(logits, masked) == pytest.approx(wrong / sum(len(t) for _, t in columns))
    ap = [sklearn.average_precision_score(t, s) for s, t in columns]
    assert APScoreMulti()(logits, masked) == pytest.approx(np.mean(ap))


def test_wrong_arguments_are_errors_that_name_the_right_ones() -> None:
    with pytest.raises(InputError, match=r"unknown `average` 'makro'\. Did you mean 'macro'\?"):
        F1ScoreMulti(average="makro")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"unknown `average` 'mikro'\. Did you mean 'micro'\?"):
        RocAucMulti(average="mikro")  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"`thresh` is compared with probabilities and must be in \[0, 1\], got 2"):
        HammingLossMulti(2)
    with pytest.raises(TypeError, match="F1ScoreMulti has no keyword 'tresh'. Did you mean 'thresh'"):
        F1ScoreMulti(tresh=0.3)  # type: ignore[call-arg]
    with pytest.raises(InputError, match="scores must be numbers, got NaN"):
        roc_auc(torch.tensor([[torch.nan], [1.0]]), torch.tensor([[0.0], [1.0]]))
