"""The effect of promises on the verdict: labels that are never answered yes, and how many images would change that."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jaxtyping import Bool, Shaped
from torch import Tensor

from eyebright.errors import count_text, listing
from eyebright.evaluation.promises import LabelPromise, PromiseResult
from eyebright.report.verdict.values import Recommendation, Verdict, percent

_NAMES = 5  # labels in a sentence


def with_promises(verdict: Verdict, tuning: Mapping[str, Any], *, is_three_way: bool) -> Verdict:
    """The verdict of a model that keeps promises; unchanged without any.

    A label that is never answered yes because of its promise is not a weakness of the weights: sentences on its F1 are
    left out.

    Args:
        verdict: the verdict on the predicted labels.
        tuning: `Manifest.tuning`.
        is_three_way: whether the model answers yes, no or *ask a person*.
    """
    if not tuning.get("promises"):
        return verdict
    results = [PromiseResult.from_json(dict(promise)) for promise in tuning["promises"]]
    promised_labels = [label for result in results for label in result.labels]
    never = {label.label for label in promised_labels if not label.kept and label.threshold == 1}
    cannot = [sentence for sentence in verdict.cannot if not any(sentence.startswith(f"'{name}'") for name in never)]
    sentences: list[str] = []
    if never:
        sentences.append(
            f"Never answered yes, since no threshold passed its test: {listing(sorted(never), limit=_NAMES)}."
        )
    if is_three_way:
        sentences.append("Answers that ask a person count as no in the scores here.")
    recommendations = [
        recommendation for recommendation in verdict.recommendations if not never & set(recommendation.about)
    ]
    return replace(verdict, cannot=[*sentences, *cannot], recommendations=[*_wanted(results), *recommendations])


def answered_sentence(
    decisions: Bool[Tensor, "n k"], abstained: Bool[Tensor, "n k"], targets: Shaped[Tensor, "n k"]
) -> str:
    """A sentence on the answers given without a person, and how many of these are right.

    Args:
        decisions: True where a label is answered yes.
        abstained: True where a person is asked.
        targets: 1 where the image has the label, 0 where not, NaN where unknown.
    """
    given = ~abstained & ~targets.isnan()
    n_given, right = int(given.sum()), int((given & (decisions == (targets == 1))).sum())
    images, known = int(abstained.any(dim=1).sum()), int((~targets.isnan()).sum())
    return (
        f"It answers {percent(n_given, known)} without a person; {percent(right, n_given)} of these answers are right "
        f"({right:,} of {n_given:,}); it asks about a label of {images:,} of the {count_text(len(targets), 'image')}."
    )


def _wanted(results: Sequence[PromiseResult]) -> list[Recommendation]:
    """The proposal of held-out images if there are none, or of more for the label that needs the fewest."""
    if estimate := next((result for result in results if not result.is_promise), None):
        return [
            Recommendation(
                "estimate_needs_images",
                "Hold images out for promises: train again on a split with the part promise.",
                f"{estimate.promise} is an estimate: its images were not held out.",
            )
        ]
    missing = [(label.missing, result, label) for result in results for label in result.labels if label.missing]
    if not missing:
        return []
    count, result, label = min(missing, key=lambda case: case[0])
    unit = "images" if result.n_groups is None else "groups"
    return [
        Recommendation(
            "promise_needs_images",
            f"Label about {count:,} more {unit} of the part promise, for '{label.label}'.",
            f"{result.promise}: {_counts(result, label)}, exact bound {label.bound:.3f}.",
            about=(label.label,),
        )
    ]


def _counts(result: PromiseResult, label: LabelPromise) -> str:
    right = "wrong" if result.promise.is_upper else "right"
    count = label.total - label.right if result.promise.is_upper else label.right
    return f"{count:,} of {label.total:,} answers were {right}"
