"""`label_findings`: labels that cannot be learnt or scored, images without one; no pixels are read."""

from typing import Any

import numpy as np

from eyebright.check.finding import Finding, files_at
from eyebright.check.label_cells import LabelCells
from eyebright.check.label_rules import rule_findings
from eyebright.errors import count_text, listing
from eyebright.sources.categorical import Categorical, Mask
from eyebright.sources.source import Source
from eyebright.sources.spelling import alike

FEW_IMAGES = 10
"""Labels with fewer images are rare. A fifth of them for validation is less than two images: the score of the label is
chance, and a threshold cannot be chosen for it."""

IMBALANCE = 10
"""Times that the largest class has more images than the smallest, from which on it is a finding."""


def label_findings(source: Source) -> list[Finding]:
    """Findings on the labels or classes of images, and on the split in the data.

    Args:
        source: a source with labels or classes; other targets have no findings.
    """
    if not isinstance(source.targets, Categorical) or not len(source):
        return []
    cells = LabelCells.of(source.targets)
    yes, unknown = cells.counts()
    is_one_label = source.block().is_exclusive
    findings = [
        *_labels_outside_of_training(source, cells),
        *_labels_of_all(cells, yes, len(source) - unknown),
        *([] if is_one_label else rule_findings(source, cells)),
        *_spellings(cells, yes),
        *_images_without_labels(source, cells),
        *_rare_labels(cells, yes),
        *_unused(source, cells, yes),
        *(_imbalance(cells, yes) if is_one_label else []),
    ]
    unknown = np.where(yes > 0, unknown, 0)  # a label that no image has is not trained, so nothing of it is masked
    if total := int(unknown.sum()):
        findings.append(_unknown(cells, unknown, total))
    return findings


def _labels_outside_of_training(source: Source, cells: LabelCells) -> list[Finding]:
    if source.part is None:
        return []
    counts = {part: cells.counts(mask)[0] for part, mask in _parts(source).items()}
    train, valid = counts["train"], counts["valid"]
    elsewhere = sum(counts.values()) - train
    findings: list[Finding] = []
    if absent := _names(cells, (train == 0) & (elsewhere > 0)):
        findings.append(
            Finding(
                kind="labels_not_in_training",
                severity="error",
                sentence=f"No training image has {count_text(len(absent), 'label')} that images of other parts have: "
                f"{listing(absent)}.",
                remedy="A label without training images cannot be learnt: move images of it to the training set, or "
                "leave the label out.",
                figure=len(absent),
                figure_name="labels",
                labels=tuple(absent),
                files=files_at(source, _images_with(cells, absent)),
            )
        )
    if valid.any() and (unscored := _names(cells, (train > 0) & (valid == 0))):
        findings.append(
            Finding(
                kind="labels_not_in_validation",
                severity="note",
                sentence=f"No validation image has {count_text(len(unscored), 'label')}: {listing(unscored)}.",
                remedy="Such a label is trained, but its score is not known and its threshold is that of all labels: "
                "move some of its images to the validation set, or split again.",
                figure=len(unscored),
                figure_name="labels",
                labels=tuple(unscored),
                details={"training_images": _by_name(cells, train, unscored)},
            )
        )
    return findings


def _parts(source: Source) -> dict[str, Mask]:
    """The images of each part; images without a part are for training."""
    assert source.part is not None
    held = {part: source.part.isin([part]) for part in ("valid", "promise", "test")}
    return {"train": ~np.any(list(held.values()), axis=0), **held}


def _labels_of_all(cells: LabelCells, yes: Any, known: Any) -> list[Finding]:
    labels = _names(cells, (yes > 1) & (yes == known))
    if not labels:
        return []
    return [
        Finding(
            kind="labels_of_all_images",
            severity="warning",
            sentence=f"Every image for which it is known has {_label(labels)}.",
            remedy="A label that all images have cannot be learnt: add images without it, or leave the label out.",
            figure=len(labels),
            figure_name="labels",
            labels=tuple(labels),
        )
    ]


def _rare_labels(cells: LabelCells, yes: Any) -> list[Finding]:
    rare = np.flatnonzero((yes > 0) & (yes < FEW_IMAGES))
    if not len(rare):
        return []
    labels = [cells.names[i] for i in rare[np.argsort(yes[rare], kind="stable")].tolist()]
    counts = _by_name(cells, yes, labels)
    singles = sum(count == 1 for count in counts.values())
    single = (
        f"; {count_text(singles, 'label')} of them with a single image cannot be trained and scored" if singles else ""
    )
    return [
        Finding(
            kind="labels_with_few_images",
            severity="note",
            sentence=f"{count_text(len(labels), 'label')} with fewer than {FEW_IMAGES} images: "
            f"{listing(f'{label} ({count:,})' for label, count in counts.items())}{single}.",
            remedy="A random split keeps at least one training image of each label, so few or none are left to score "
            "it: add images, merge the label with a similar one, or leave it out.",
            figure=len(labels),
            figure_name="labels",
            labels=tuple(labels),
            details={"images": counts},
        )
    ]


def _unused(source: Source, cells: LabelCells, yes: Any) -> list[Finding]:
    labels = sorted({*source.unused, *_names(cells, yes == 0)})
    if not labels:
        return []
    return [
        Finding(
            kind="unused_labels",
            severity="note",
            sentence=f"No image has {count_text(len(labels), 'label')} of those that the data declare: "
            f"{listing(labels)}.",
            remedy="They are not trained: add images of them if the model shall know them.",
            figure=len(labels),
            figure_name="labels",
            labels=tuple(labels),
        )
    ]


def _spellings(cells: LabelCells, yes: Any) -> list[Finding]:
    count = dict(zip(cells.names, yes.tolist(), strict=True))
    findings: list[Finding] = []
    for group in alike(cells.names):
        ordered = sorted(group, key=lambda label: (-count[label], label))
        findings.append(
            Finding(
                kind="label_spellings",
                severity="warning",
                sentence="These may be spellings of one label: "
                + ", ".join(f"'{label}' ({count_text(count[label], 'image')})" for label in ordered)
                + ".",
                remedy=f"If they mean the same, write '{ordered[0]}' everywhere: otherwise the model learns to tell "
                "apart what looks the same.",
                figure=sum(count[label] for label in ordered[1:]),
                labels=tuple(ordered),
                details={"images": {label: count[label] for label in ordered}},
            )
        )
    return findings


def _images_without_labels(source: Source, cells: LabelCells) -> list[Finding]:
    n_yes, n_unknown = cells.labels_per_image()
    is_unknown = (n_yes == 0) & (n_unknown == len(cells.names)) & (n_unknown > 0)
    is_empty = (n_yes == 0) & (n_unknown == 0)
    findings: list[Finding] = []
    if n := int(is_unknown.sum()):
        findings.append(
            Finding(
                kind="images_with_unknown_labels_only",
                severity="warning",
                sentence=f"All labels are unknown for {count_text(n, 'image')}.",
                remedy="Nothing can be learnt from such an image: label it, or leave it out.",
                figure=n,
                files=files_at(source, is_unknown),
            )
        )
    if n := int(is_empty.sum()):
        findings.append(
            Finding(
                kind="images_without_label",
                severity="note",
                sentence=f"{count_text(n, 'image')} of {len(source):,} without any label.",
                remedy="They are trained as images that show none of the labels. If they are not labelled yet, leave "
                "them out.",
                figure=n,
                files=files_at(source, is_empty),
            )
        )
    return findings


def _imbalance(cells: LabelCells, yes: Any) -> list[Finding]:
    used = yes[yes > 0]
    if len(used) < 2 or used.max() < IMBALANCE * used.min():
        return []
    largest, smallest = cells.names[int(yes.argmax())], cells.names[int(np.where(yes > 0, yes, yes.max()).argmin())]
    ratio = float(used.max() / used.min())
    return [
        Finding(
            kind="class_imbalance",
            severity="note",
            sentence=f"The class '{largest}' has {count_text(int(used.max()), 'image')}, and '{smallest}' "
            f"{count_text(int(used.min()), 'image')}.",
            remedy="A model prefers large classes, and the accuracy hides it: look at the macro F1, add images of "
            "small classes, or weight them with the option `balance`.",
            figure=ratio,
            figure_name="ratio",
            labels=(largest, smallest),
        )
    ]


def _unknown(cells: LabelCells, unknown: Any, total: int) -> Finding:
    labels = _names(cells, unknown > 0)
    return Finding(
        kind="unknown_labels",
        severity="note",
        sentence=f"{count_text(total, 'label')} of images {'is' if total == 1 else 'are'} unknown, in "
        f"{count_text(len(labels), 'label')}.",
        remedy="Unknown is not counted as no: it is left out of the loss and of every score. Nothing needs to be done.",
        figure=total,
        figure_name="cells",
        labels=tuple(labels),
        details={"images": _by_name(cells, unknown, labels)},
    )


def _names(cells: LabelCells, chosen: Any) -> list[str]:
    return [cells.names[i] for i in np.flatnonzero(chosen).tolist()]


def _by_name(cells: LabelCells, counts: Any, labels: list[str]) -> dict[str, int]:
    count_of = dict(zip(cells.names, counts.tolist(), strict=True))
    return {label: count_of[label] for label in labels}


def _images_with(cells: LabelCells, labels: list[str]) -> Mask:
    wanted = np.isin(np.array(cells.names), labels)[cells.yes.labels]
    has = np.zeros(cells.n_sets, dtype=np.bool_)
    has[cells.yes.sets[wanted]] = True
    return has[cells.codes]


def _label(labels: list[str]) -> str:
    return f"the label {listing(labels)}" if len(labels) == 1 else f"the labels {listing(labels)}"
