"""cleanlab on the same answers: ``python suspects_cleanlab.py ANSWERS.npz OUT.npz``.

It is licensed under the AGPL, so nothing of Eyebright depends on it; runs under an interpreter with cleanlab and numpy.
``ANSWERS.npz`` has ``given`` (images, labels), 0 or 1, or (images,) of classes, and ``probabilities``. ``OUT.npz`` gets
a ranking of cells for each method: flat indices, the most suspicious first.
"""

import sys
from typing import Any

import numpy as np
from cleanlab.multilabel_classification.filter import find_multilabel_issues_per_class
from cleanlab.multilabel_classification.rank import get_label_quality_scores_per_class
from cleanlab.rank import get_label_quality_scores

METHODS = ("self_confidence", "normalized_margin")


def of_classes(given: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """The rankings of images with one class each."""
    found = {}
    for method in METHODS:
        for adjust in (False, True):
            scores = get_label_quality_scores(given, probabilities, method=method, adjust_pred_probs=adjust)
            found[method + ", adjusted" * adjust] = np.argsort(scores, kind="stable")
    return found


def of_labels(given: np.ndarray, probabilities: np.ndarray) -> dict[str, Any]:
    """The rankings of cells of images with several labels."""
    lists = [np.flatnonzero(row).tolist() for row in given]
    found = {}
    for adjust in (False, True):
        scores = get_label_quality_scores_per_class(lists, probabilities, adjust_pred_probs=adjust)
        found["self_confidence" + ", adjusted" * adjust] = np.argsort(np.asarray(scores), axis=None, kind="stable")
    # Cells that its filter keeps, of all labels together, by its score; all others behind them.
    scores = np.asarray(get_label_quality_scores_per_class(lists, probabilities))
    is_issue = np.asarray(find_multilabel_issues_per_class(lists, probabilities)).reshape(given.shape)
    found["find_multilabel_issues_per_class"] = np.lexsort((scores.reshape(-1), ~is_issue.reshape(-1)))
    return found


if __name__ == "__main__":
    answers = np.load(sys.argv[1])
    rank = of_classes if answers["given"].ndim == 1 else of_labels
    np.savez(sys.argv[2], **rank(answers["given"], answers["probabilities"]))
