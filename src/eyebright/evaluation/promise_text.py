"""A `PromiseResult` in sentences: one for each label, and one for all.

An estimate, from images that were not held out, never uses the word promise.
"""

from eyebright.errors import count_text, listing
from eyebright.evaluation.promises import LabelPromise, PromiseResult

_COUNTED_UNITS = {
    "precision": "yes answers",
    "recall": "images with the label",
    "false_positive_rate": "images without the label",
}
_OUTCOMES = {"precision": "were right", "recall": "were answered yes", "false_positive_rate": "were answered yes"}
_THREE_WAY_OUTCOME = "were answered yes or went to a person"
_FAULTLESS_COUNTS = {
    "precision": "yes answers, all right",
    "recall": "images with the label, all answered yes",
    "false_positive_rate": "images without the label, none answered yes",
}


def label_sentence(result: PromiseResult, label: LabelPromise, *, is_three_way: bool = False) -> str:
    """One sentence about a label: its threshold and evidence, or what is missing.

    Args:
        result: the result that the label belongs to.
        label: one of its labels.
        is_three_way: True for a model that answers yes, no or *ask a person*: a promise of recall then bounds how many
            images with the label are answered no.
    """
    is_three_way = is_three_way and result.promise.metric == "recall"
    evidence = _evidence(result, label, is_three_way=is_three_way)
    if label.kept:
        return f"{label.label}: {_kept(result, label, is_three_way=is_three_way)} ({evidence})"
    instead = _instead(result, label, is_three_way=is_three_way)
    missing = _missing(result, label, is_three_way=is_three_way)
    return f"{label.label}: {instead}; {evidence}; {missing}"


def summary(result: PromiseResult) -> str:
    """One sentence about all labels: for how many the promise is kept, on which images and by which bound.

    Args:
        result: the result to describe.
    """
    promise = result.promise
    noun = "promise" if result.is_promise else "estimate"
    at_once = "all of them at once" if promise.all_labels else "each label separately"
    at_once = f"the label '{promise.label}'" if promise.label is not None else at_once
    labels = "label" if len(result.labels) == 1 else "labels"
    text = (
        f"{noun}: {promise} with {_percent(promise.confidence)} confidence for {result.n_kept:,} of "
        f"{len(result.labels):,} {labels} ({at_once}), from {_images(result)}, {_bound(result)}"
    )
    without = [label.label for label in result.labels if not label.kept]
    return text + (f"; not for {listing(without)}" if without else "")


def _kept(result: PromiseResult, label: LabelPromise, *, is_three_way: bool) -> str:
    promise = result.promise
    side = "at most" if promise.is_upper else "at least"
    verb = "promised" if result.is_promise else "estimated"
    claim = f"{promise.words} {side} {promise.bound:g}, {verb} with {_percent(promise.confidence)} confidence"
    return f"{'no at or below' if is_three_way else 'yes above'} {label.threshold:.4g}: {claim}"


def _percent(share: float) -> str:
    return f"{100 * share:.6g} %"


def _evidence(result: PromiseResult, label: LabelPromise, *, is_three_way: bool) -> str:
    """The counts at the tested threshold, and their bound."""
    metric = result.promise.metric
    count = label.total - label.right if metric == "false_positive_rate" else label.right
    side = "upper" if result.promise.is_upper else "lower"
    where = "" if label.kept else f" above {label.tested:.4g}" if metric == "precision" else ""
    if not label.total:
        return f"there were no {_COUNTED_UNITS[metric]}{where}"
    if is_three_way and label.kept and label.tested > label.threshold:
        where = f", tested at {label.tested:.4g},"  # below it, recall cannot be lower
    outcome = _THREE_WAY_OUTCOME if is_three_way else _OUTCOMES[metric]
    counts = f"{count:,} of {label.total:,} {_COUNTED_UNITS[metric]}{where} {outcome}"
    return f"{counts}, exact {side} bound {_bound_text(result, label)}"


def _bound_text(result: PromiseResult, label: LabelPromise) -> str:
    """The bound, with enough decimals to show on which side of the promised bound it is."""
    for decimals in range(3, 8):
        text = f"{label.bound:.{decimals}f}"
        if float(text) != result.promise.bound:
            break
    return text  # pyright: ignore[reportPossiblyUnboundVariable]


def _instead(result: PromiseResult, label: LabelPromise, *, is_three_way: bool) -> str:
    nothing = "nothing is promised" if result.is_promise else "the evidence does not suffice"
    if label.former:
        return f"keeps its threshold {label.threshold:.4g}, for which {nothing}"
    if result.promise.metric != "recall":
        return f"never answered yes, because {nothing}"
    answer = "answered no only at a probability of 0" if is_three_way else "answered yes at every probability above 0"
    return f"{answer}, because {nothing}"


def _missing(result: PromiseResult, label: LabelPromise, *, is_three_way: bool) -> str:
    faultless = "images with the label, none answered no" if is_three_way else _FAULTLESS_COUNTS[result.promise.metric]
    text = f"it takes {label.faultless:,} {faultless}"
    unit = "images" if result.n_groups is None else "groups"
    if label.missing is not None:
        return f"{text}, which is about {label.missing:,} more labelled {unit}"
    if label.total and label.right < result.promise.share * label.total:
        return f"{text}; the share of right answers was below the bound, so more {unit} would not suffice"
    return f"{text}, and there are too few to estimate how many more {unit} are needed"


def _images(result: PromiseResult) -> str:
    images = f"{count_text(result.n_images, 'image')} of the part '{result.part}'"
    if result.part == "out_of_fold":
        images = f"out-of-fold predictions for {count_text(result.n_images, 'image')}"
    role = "which were held out" if result.is_promise else "which were not held out or are not the saved model's"
    if result.n_groups is None:
        return f"{images}, {role}"
    return f"one image of each of {count_text(result.n_groups, 'group')} drawn at random from {images}, {role}"


def _bound(result: PromiseResult) -> str:
    """How the thresholds were tested."""
    tested = {
        "even_chain": "tested in the order of evenly spaced thresholds, from two starting points",
        "chosen_chain": "tested in an order chosen on other images",
        "every_threshold": "tested at every threshold to the first failure",
        "single": "tested at one threshold for each label, chosen elsewhere",
        "holm": "tested at one threshold for each label, chosen elsewhere, by Holm's method",
    }[result.method]
    several = result.promise.all_labels and result.method != "holm"
    divided = f", the error divided by {count_text(len(result.labels), 'label')} (Bonferroni)" if several else ""
    return f"by exact binomial bounds (Clopper-Pearson), {tested}{divided}"
