"""Cards of images with mistakes, and the section with a few of them for each label or pair of classes.

The worst mistakes of the whole set may all be of one label. Here each label with many mistakes gets a gallery of images
where it is missed and where it is predicted wrongly; with one class per image, each pair of a true and a predicted
class. Their number is limited, so that the page does not grow with the number of labels.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float

from eyebright.errors import count_text
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.image_errors import image_errors
from eyebright.report.evaluated_thumbnail import evaluated_thumbnail
from eyebright.tasks.task_type import TaskType
from eyebright.web.blocks import Card, Collapsed, Gallery, Section, Tag
from eyebright.web.text import number_text, short_names
from eyebright.web.thumbnails import SMALL_SIDE

MAX_LABELS = 6
"""The maximum number of labels, or pairs of classes, with a gallery."""
MAX_OF_KIND = 3
"""The maximum numbers of images on which a label is missed, and on which it is predicted wrongly."""
MIN_MISTAKES = 2

_MAX_TAGS = 6
_LEGEND: Mapping[TaskType, tuple[Tag, ...]] = {
    "labels": (Tag("in the data, not predicted", "missing"), Tag("predicted, not in the data", "extra")),
    "classes": (Tag("true class", "missing"), Tag("predicted class", "extra")),
    "points": (),
    "numbers": (),
}


def mistake_gallery(evaluation: Evaluation, rows: Sequence[int]) -> Gallery:
    """The images in these rows, each with its mistakes.

    Args:
        evaluation: the outputs.
        rows: the rows, in the order in which they are shown.
    """
    task_type = evaluation.decision.target.task_type
    tags = _TAGS_OF_TASK_TYPE[task_type](evaluation, rows)
    cards: list[Card] = []
    for row, name, (own, note) in zip(rows, short_names(evaluation.files, rows), tags, strict=True):
        image = evaluated_thumbnail(evaluation, row, side=SMALL_SIDE)
        words = "; ".join([*(f"{tag.style} {tag.text}" for tag in own), *filter(None, [note])]) or "no mistake"
        cards.append(Card(name, evaluation.files[row], image, f"{name}: {words}", own, note=note))
    return Gallery(cards, _LEGEND[task_type])


def mistakes_section(evaluation: Evaluation) -> list[Section]:
    """A gallery for each of the labels with most mistakes; empty for points and numbers, or without mistakes.

    Args:
        evaluation: the outputs.
    """
    groups = _GROUPS.get(evaluation.decision.target.task_type, _no_groups)(evaluation)
    if not groups:
        return []
    blocks = [
        Collapsed(title, [Gallery(gallery.cards, gallery.legend)])
        for title, rows in groups
        for gallery in [mistake_gallery(evaluation, rows)]
    ]
    what = _NOUN_OF_TASK_TYPE[evaluation.decision.target.task_type]
    intro = (
        f"The {what} with most mistakes (at most {MAX_LABELS}), and the worst images of each: false "
        "negatives with the lowest probability, false positives with the highest. Numbers are probabilities."
    )
    return [Section("Mistakes by label", "mistakes", blocks, intro)]


# ------------------------------------------------------------------ which images

_Groups = list[tuple[str, list[int]]]


def _no_groups(_: Evaluation) -> _Groups:
    return []


def _label_groups(evaluation: Evaluation) -> _Groups:
    missing, extra = _wrong_labels(evaluation)
    probabilities = evaluation.activated.cpu().numpy()
    counts = missing.sum(axis=0) + extra.sum(axis=0)
    groups: _Groups = []
    for k in np.argsort(-counts, kind="stable")[:MAX_LABELS]:
        if counts[k] < MIN_MISTAKES:
            break
        missed, too_much = np.flatnonzero(missing[:, k]), np.flatnonzero(extra[:, k])
        missed = missed[np.argsort(probabilities[missed, k], kind="stable")]
        too_much = too_much[np.argsort(-probabilities[too_much, k], kind="stable")]
        has = count_text(int((evaluation.targets[:, k] == 1).sum()), "image")
        name = evaluation.decision.target.output_names[k]
        negatives, positives = count_text(len(missed), "false negative"), count_text(len(too_much), "false positive")
        title = f"{name}: {negatives} of {has}, {positives}"
        groups.append((title, [*missed[:MAX_OF_KIND].tolist(), *too_much[:MAX_OF_KIND].tolist()]))
    return groups


def _class_groups(evaluation: Evaluation) -> _Groups:
    names, given = evaluation.decision.target.value_names, evaluation.targets.cpu().numpy().astype(np.int64)
    probabilities = evaluation.activated.double().cpu().numpy()
    predicted = probabilities.argmax(axis=1)
    wrong = np.flatnonzero((given >= 0) & (predicted != given))
    pairs, inverse, counts = np.unique(
        given[wrong] * len(names) + predicted[wrong], return_inverse=True, return_counts=True
    )
    groups: _Groups = []
    for i in np.argsort(-counts, kind="stable")[:MAX_LABELS]:
        if counts[i] < MIN_MISTAKES:
            break
        rows = wrong[inverse == i]
        rows = rows[np.argsort(-probabilities[rows, predicted[rows]], kind="stable")]
        true, other = divmod(int(pairs[i]), len(names))
        title = f"{names[true]} predicted as {names[other]}: {count_text(len(rows), 'image')}"
        groups.append((title, rows[: 2 * MAX_OF_KIND].tolist()))
    return groups


_GROUPS: Mapping[TaskType, Callable[[Evaluation], _Groups]] = {"labels": _label_groups, "classes": _class_groups}
_NOUN_OF_TASK_TYPE: Mapping[TaskType, str] = {"labels": "labels", "classes": "pairs of classes"}


# ------------------------------------------------------------------ what is wrong with an image

_Tags = list[tuple[list[Tag], str]]


def _label_tags(evaluation: Evaluation, rows: Sequence[int]) -> _Tags:
    shown = evaluation.take(rows)
    wrong, probabilities = _wrong_labels(shown), shown.activated.double().cpu().numpy()
    names = evaluation.decision.target.output_names
    tags_of_rows: _Tags = []
    for i in range(len(rows)):
        missing, extra = (np.flatnonzero(part[i]) for part in wrong)
        tags = [Tag(f"{names[k]} {probabilities[i, k]:.2f}", "missing") for k in missing]
        tags += [Tag(f"{names[k]} {probabilities[i, k]:.2f}", "extra") for k in extra]
        more = len(tags) - _MAX_TAGS
        tags_of_rows.append((tags[:_MAX_TAGS], f"and {more} more" if more > 0 else ""))
    return tags_of_rows


def _class_tags(evaluation: Evaluation, rows: Sequence[int]) -> _Tags:
    names = evaluation.decision.target.value_names
    probabilities = evaluation.activated[list(rows)].double().cpu().numpy()
    tags_of_rows: _Tags = []
    for row, given in zip(probabilities, evaluation.targets[list(rows)].cpu().long().tolist(), strict=True):
        best = int(row.argmax())
        true = (
            [Tag(f"{names[given]} {row[given]:.2f}", "correct" if best == given else "missing")] if given >= 0 else []
        )
        tags_of_rows.append((true if best == given else [*true, Tag(f"{names[best]} {row[best]:.2f}", "extra")], ""))
    return tags_of_rows


def _value_tags(evaluation: Evaluation, rows: Sequence[int]) -> _Tags:
    errors: Float[np.ndarray, " n"] = image_errors(evaluation).values
    name = image_errors(evaluation).name
    return [([], f"{number_text(float(errors[row]))}: {name}") for row in rows]


_TAGS_OF_TASK_TYPE: Mapping[TaskType, Callable[[Evaluation, Sequence[int]], _Tags]] = {
    "labels": _label_tags,
    "classes": _class_tags,
    "points": _value_tags,
    "numbers": _value_tags,
}


def _wrong_labels(evaluation: Evaluation) -> tuple[Bool[np.ndarray, "n k"], Bool[np.ndarray, "n k"]]:
    """(labels in the data that are answered no, predicted labels that are not in the data)."""
    thresholds, activated = evaluation.decision.thresholds, evaluation.activated
    predicted = thresholds.decide(activated).cpu().numpy()
    abstained = thresholds.abstains(activated).cpu().numpy()
    targets = evaluation.targets.cpu().numpy()
    return (targets == 1) & ~predicted & ~abstained, (targets == 0) & predicted
