"""Evaluates a trained model on the images of the parts promise and test, which are held out."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import numpy as np

from eyebright._choices import HeldOutPart
from eyebright.errors import count_text, listing
from eyebright.evaluation.evaluation import Evaluation
from eyebright.learner.learner import Learner
from eyebright.sources.categorical import Categorical, Codes, Mask
from eyebright.sources.parts import PART_WORDS
from eyebright.sources.source import Source
from eyebright.sources.together import joined
from eyebright.tasks.base import TargetBlock

Rows = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The images of a held-out part.

    Args:
        part: the part; None: the images are evaluated, but not saved as a part.
        rows: their indices in the source, without images that have a label unknown to the model.
        left_out: the number of images that have a label unknown to the model.
        new_labels: these labels, with the number of images of each.
        leaks: the number of images that overlap with an image for training or validation, so that they are not new to
            the model.
        keeps_leaks: whether ``rows`` has them.
    """

    part: HeldOutPart | None
    rows: Rows
    left_out: int = 0
    new_labels: Mapping[str, int] = field(default_factory=dict[str, int])
    leaks: int = 0
    keeps_leaks: bool = False

    @property
    def messages(self) -> list[str]:
        """Sentences for the user: how many images there are, and which are left out."""
        first = (
            f"{count_text(len(self.rows), 'image')} for {self._words}: nothing is chosen by them; they are evaluated "
            f"at the end"
        )
        return [first, *self.left_out_messages]

    @property
    def left_out_messages(self) -> list[str]:
        """Sentences on images that are left out, or are not new to the model."""
        words, sentences = self._words, list[str]()
        if self.left_out:
            sentences.append(
                f"left out of {words}: {count_text(self.left_out, 'image')} with a label that no training image has "
                f"({listing(self.new_labels)})"
            )
        if self.leaks:
            what = "not new to the model, but used for" if self.keeps_leaks else "left out of"
            sentences.append(
                f"{what} {words}: {count_text(self.leaks, 'copy', 'copies')} of images for training or validation, or "
                "images of their groups"
            )
        return sentences

    @property
    def _words(self) -> str:
        return "the evaluation" if self.part is None else PART_WORDS[self.part]

    def with_leaks(self, leaking: Mask, *, keep: bool) -> "HeldOut":
        """The part with leaks: images that are not new to the model.

        Args:
            leaking: for each of `rows`, whether it overlaps with an image for training or validation.
            keep: False to leave these images out.
        """
        return replace(
            self, rows=self.rows if keep else self.rows[~leaking], leaks=int(leaking.sum()), keeps_leaks=keep
        )


def held_out_parts(source: Source, block: TargetBlock, codes: Sequence[int] | None = None) -> list[HeldOut]:
    """The parts promise and test of a source that have images.

    Args:
        source: the labelled images.
        block: the fitted target block of the model.
        codes: an integer for each image, equal for images that belong together, however many; None without such images.
            Images that overlap with those for training or validation are not used for promises, but kept for testing.
    """
    if source.part is None:
        return []
    parts = {part: np.flatnonzero(source.part.isin([part])) for part in get_args(HeldOutPart)}
    parts_with_rows = [rows_of_part(source, block, part, rows) for part, rows in parts.items() if len(rows)]
    if codes is None:
        return parts_with_rows
    image_groups = np.asarray(codes)
    known = image_groups[source.not_held_out().array]
    return [
        part_rows.with_leaks(np.isin(image_groups[part_rows.rows], known), keep=part_rows.part == "test")
        for part_rows in parts_with_rows
    ]


def rows_of_part(source: Source, block: TargetBlock, part: HeldOutPart | None, rows: Rows) -> HeldOut:
    """The images of a part whose labels the model has.

    Args:
        source: the labelled images.
        block: the fitted target block of the model.
        part: the part; None for images that are not saved as a part.
        rows: the indices of its images.
    """
    targets = source.targets
    if not isinstance(targets, Categorical):
        return HeldOut(part, rows)
    new = [set(block.labels(block.read(raw))).difference(block.label_names) for raw in targets.categories]
    codes = targets.codes[rows]
    left_out = np.array([bool(labels) for labels in new], dtype=np.bool_)[codes]
    counts = Counter(label for code in codes[left_out].tolist() for label in new[code])
    return HeldOut(part, rows[~left_out], int(left_out.sum()), dict(counts))


def evaluate_held_out(
    learner: Learner, source: Source, parts: Sequence[HeldOut], groups: Sequence[str | None]
) -> list[Evaluation]:
    """The evaluation of each part, computed once, with the predictions of the saved model.

    Args:
        learner: the trained model with its decision.
        source: the labelled images.
        parts: the result of `held_out_parts`.
        groups: the group of each image of the source; empty without groups.

    Raises:
        DataError: no image of a part can be read.
    """
    evaluations: list[Evaluation] = []
    for held_out in parts:
        if len(held_out.rows) and held_out.part is not None:
            loader = learner.dls.test_dl(source.take(held_out.rows), with_labels=True)  # type: ignore[arg-type]
            evaluation = learner.evaluate(dl=loader, part=held_out.part)
            evaluations.append(with_groups(evaluation, [groups[row] for row in held_out.rows] if groups else ()))
    return evaluations


def joined_groups(source: Source, copies: Codes | None) -> list[int] | None:
    """The group of each image, which joins the groups of the data and copies; None without groups and copies.

    Args:
        source: the labelled images.
        copies: shape (n,), the same code for copies of an image; None: unknown.
    """
    copies = None if copies is None or len(np.unique(copies)) == len(copies) else copies
    together = [codes for codes in (None if source.group is None else source.group.codes, copies) if codes is not None]
    return joined(together, len(source)).tolist() if together else None


def group_names(source: Source, codes: Sequence[int] | None) -> tuple[str | None, ...]:
    """The name of each image's group: its name in the source, or the file of the group's first image.

    Args:
        source: the labelled images.
        codes: an integer for each image, equal for images of one group; None without groups.

    Returns:
        None for an image without one; empty without groups.
    """
    if codes is None:
        return ()
    _, first, inverse, counts = np.unique(codes, return_index=True, return_inverse=True, return_counts=True)
    named = [None if source.group is None else source.group[int(row)] for row in first]
    names = [name or source.files[int(row)] for name, row in zip(named, first, strict=True)]
    return tuple(names[code] if counts[code] > 1 else None for code in inverse.tolist())


def with_groups(evaluation: Evaluation, groups: Sequence[str | None]) -> Evaluation:
    """The evaluation with the groups of its images.

    Args:
        evaluation: the evaluation, with the indices of its images.
        groups: the group of each item of its dataset; empty without groups.
    """
    return replace(evaluation, groups=tuple(groups[index] for index in evaluation.indices) if groups else ())
