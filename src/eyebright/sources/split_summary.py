"""`summarize_split`: what a split keeps apart and what leaks, and how near labels are to their shares in each part."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from eyebright.errors import DataError, count_text, listing
from eyebright.io.text import valid_unicode
from eyebright.sources.categorical import Categorical, Codes
from eyebright.sources.parts import PART_WORDS
from eyebright.sources.source import Source
from eyebright.sources.strata import is_label
from eyebright.sources.targets import Floats
from eyebright.sources.task_types import TARGET_FUNCTIONS

_MAX_SHOWN = 6  # labels, in a fact
_MAX_LABELS = 20  # that are listed, those with the greatest deviation


class Together(NamedTuple):
    """Images that should be in one part: groups, or sets of near-duplicates.

    Args:
        total: how many groups have an image, or sets of near-duplicates at least two.
        divided: how many of them have images in more than one part.
        also_train: by part, the images of it that belong together with a training image; without folds only.
    """

    total: int
    divided: int
    also_train: Mapping[str, int]


class LabelShare(NamedTuple):
    """A label in the parts.

    Args:
        label: its name.
        images: that have it.
        shares: by part, the share of its images that have the label, in [0, 1].
        deviation: the greatest difference between one of these and the share in all images, in percentage points.
        part: the part with this difference.
    """

    label: str
    images: int
    shares: Mapping[str, float]
    deviation: float
    part: str


class Missing(NamedTuple):
    """Labels that no image of a part has.

    Args:
        total: how many they are.
        labels: the first of them, sorted.
    """

    total: int
    labels: tuple[str, ...]


@dataclass(frozen=True)
class SplitSummary:
    """What can be counted about a split.

    Args:
        images: how many each part has.
        groups: images of one group; None: the data have no groups.
        duplicates: near-duplicates; None: they were not looked for.
        labels: how many labels there are; 0 for points and numbers.
        mean_deviation: the mean, over labels and parts, of the difference between a label's share in the part and in
            all images, in percentage points.
        shares: the shares of the labels with the greatest deviation, the greatest first.
        missing: by part, labels that no image of it has; parts that have all labels are left out.
    """

    images: Mapping[str, int]
    groups: Together | None = None
    duplicates: Together | None = None
    labels: int = 0
    mean_deviation: float = 0.0
    shares: tuple[LabelShare, ...] = ()
    missing: Mapping[str, Missing] | None = None

    @property
    def is_clean(self) -> bool:
        """True if no group and no set of near-duplicates that is known is in more than one part."""
        return not any(overlap is not None and overlap.divided for overlap in (self.groups, self.duplicates))

    def sizes(self) -> list[tuple[str, str]]:
        """(part or fold, images) pairs for a table."""
        return [(part_word(part), count_text(count, "image")) for part, count in self.images.items()]

    def facts(self) -> list[tuple[str, str]]:
        """(what was counted, how much) pairs for a table."""
        facts = [
            ("groups", _together_text(self.groups, "the data have none")),
            ("near-duplicates", _together_text(self.duplicates, "not looked for")),
        ]
        if self.shares:
            worst = self.shares[0]
            facts.append(
                (
                    "shares of labels in the parts",
                    f"at most {worst.deviation:.2f} percentage points from those of all images ('{worst.label}' in "
                    f"{part_word(worst.part)}), {self.mean_deviation:.2f} on average, over {self.labels:,} labels",
                )
            )
        for part, missing in (self.missing or {}).items():
            facts.append((f"labels without an image in {part_word(part)}", _missing_text(missing)))
        return facts

    def leaks(self) -> list[str]:
        """What leaks between parts, a sentence each for the user; empty if nothing is known to."""
        sentences: list[str] = []
        for overlap, what, which in (
            (self.groups, "groups", "are of groups that also have training images"),
            (self.duplicates, "sets of near-duplicates", "are near-duplicates of training images"),
        ):
            if overlap is None or not overlap.divided:
                continue
            counts = [
                f"{count:,} of {self.images[part]:,} {part_word(part)} images {which}"
                for part, count in overlap.also_train.items()
                if count
            ]
            end = (
                "so the scores are not those of new groups; a random split keeps each group in one part"
                if what == "groups"
                else "so the scores are not those of new images; a random split keeps them together"
            )
            sentences.append(
                f"{overlap.divided:,} of {overlap.total:,} {what} have images in more than one part of the split in "
                f"the data{': ' if counts else ''}{', '.join(counts)}, {end}"
            )
        return sentences

    def to_json(self) -> dict[str, Any]:
        """The summary as JSON; bytes of labels that are not valid Unicode become escapes."""
        return {
            **asdict(self),
            "groups": None if self.groups is None else self.groups._asdict(),
            "duplicates": None if self.duplicates is None else self.duplicates._asdict(),
            "shares": [share._replace(label=valid_unicode(share.label))._asdict() for share in self.shares],
            "missing": {
                part: {"total": lacking.total, "labels": list(map(valid_unicode, lacking.labels))}
                for part, lacking in (self.missing or {}).items()
            },
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "SplitSummary":
        """The summary that `to_json` described.

        Raises:
            DataError: a value has the wrong form.
        """
        try:
            groups, duplicates = (
                None if data.get(name) is None else Together(**data[name]) for name in ("groups", "duplicates")
            )
            return SplitSummary(
                images={str(part): int(count) for part, count in data["images"].items()},
                groups=groups,
                duplicates=duplicates,
                labels=int(data["labels"]),
                mean_deviation=float(data["mean_deviation"]),
                shares=tuple(LabelShare(**share) for share in data["shares"]),
                missing={
                    part: Missing(lacking["total"], tuple(lacking["labels"]))
                    for part, lacking in data["missing"].items()
                },
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"the saved summary of the split has the wrong form: {error}") from None


def summarize_split(source: Source, part: Categorical[Any] | None = None, *, same: Codes | None = None) -> SplitSummary:
    """What can be counted about a split.

    Args:
        source: the labelled images.
        part: the part or the fold of each image; None: those of the source. An image without a part is for training.
        same: shape (n,), the same code for near-duplicates of one another; None: not known.
    """
    part = source.part if part is None else part
    if part is None:
        part = Categorical[Any](("train",), np.zeros(len(source), dtype=np.int32))
    part = part.map(lambda part_name: part_name or "train").remove_unused_categories()
    names = parts_in_order(part.categories)
    codes = np.array([names.index(name) for name in part.categories], dtype=np.int32)[part.codes]
    sizes = np.bincount(codes, minlength=len(names))
    counts, label_names = _label_counts(source, codes, len(names))
    shares = counts / np.maximum(sizes, 1)
    whole = counts.sum(axis=1) / max(len(source), 1)
    deviations = np.abs(shares - whole[:, None]) * 100
    worst = np.argsort(-deviations.max(axis=1, initial=0), kind="stable")[:_MAX_LABELS].tolist()
    return SplitSummary(
        images=dict(zip(names, sizes.tolist(), strict=True)),
        groups=None if source.group is None else _together(source.group.codes, codes, names, at_least=1),
        duplicates=None if same is None else _together(same, codes, names, at_least=2),
        labels=len(label_names),
        mean_deviation=float(deviations.mean()) if deviations.size else 0.0,
        shares=tuple(
            LabelShare(
                label_names[label],
                int(counts[label].sum()),
                dict(zip(names, shares[label].tolist(), strict=True)),
                float(deviations[label].max()),
                names[int(deviations[label].argmax())],
            )
            for label in worst
        ),
        missing=_missing(counts, label_names, names),
    )


def leaking_rows(source: Source, *, same: Codes | None = None) -> list[int]:
    """The images of other parts that belong together with a training image: of one group, or near-duplicates.

    Args:
        source: a source with parts; without parts there are none.
        same: shape (n,), as in `summarize_split`; None: near-duplicates are not known.
    """
    if source.part is None:
        return []
    trains = source.part.isin([None, "train"])
    leaks = np.zeros(len(source), dtype=np.bool_)
    for codes in (None if source.group is None else source.group.codes, same):
        if codes is not None:
            leaks |= ~trains & np.isin(codes, codes[trains])
    return np.flatnonzero(leaks).tolist()


def part_word(part: str) -> str:
    """What the images of a part are for."""
    for name, word in PART_WORDS.items():
        if name == part:
            return word
    return f"fold {part}"


def parts_in_order(parts: Iterable[str]) -> list[str]:
    """The parts in the order in which they are listed; folds by their numbers."""
    order = list(PART_WORDS)
    return sorted(parts, key=lambda part: (order.index(part), 0) if part in order else (-1, int(part)))


def _label_counts(source: Source, part: Codes, n_parts: int) -> tuple[Floats, list[str]]:
    """(images with each label in each part, shape (labels, parts); the labels, sorted)."""
    block = source.block()
    matrix = TARGET_FUNCTIONS[block.task_type].strata(block, source.targets, 1.0)
    labels = sorted(name for name in matrix.names if is_label(name))
    rank = {name: i for i, name in enumerate(labels)}
    code = np.array([rank.get(name, -1) for name in matrix.names], dtype=np.int64)[matrix.codes]
    of_item = np.repeat(part, matrix.labels_per_item)[code >= 0]
    flat = np.bincount(code[code >= 0] * n_parts + of_item, minlength=len(labels) * n_parts)
    return flat.reshape(len(labels), n_parts).astype(np.float64), labels


def _together(codes: Codes, part: Codes, names: list[str], *, at_least: int) -> Together:
    """How many sets of images there are, and how many are divided.

    Args:
        codes: shape (n,), the set of each image.
        part: shape (n,), the part of each image.
        names: the names of the parts.
        at_least: images of a set that is counted.
    """
    _, numbers, sizes = np.unique(codes, return_inverse=True, return_counts=True)
    pairs = np.unique(numbers * len(names) + part)
    parts = np.bincount(pairs // len(names), minlength=len(sizes))
    also_train: dict[str, int] = {}
    if "train" in names:
        train = names.index("train")
        trains = np.zeros(len(sizes), dtype=np.bool_)
        trains[numbers[part == train]] = True
        counts = np.bincount(part[trains[numbers]], minlength=len(names)).tolist()
        also_train = {name: counts[i] for i, name in enumerate(names) if i != train}
    return Together(int((sizes >= at_least).sum()), int((parts > 1).sum()), also_train)


def _missing(counts: Floats, labels: list[str], names: list[str]) -> dict[str, Missing]:
    missing: dict[str, Missing] = {}
    for i, name in enumerate(names):
        none = np.flatnonzero(counts[:, i] == 0).tolist()
        if none:
            missing[name] = Missing(len(none), tuple(labels[label] for label in none[:_MAX_LABELS]))
    return missing


def _together_text(together: Together | None, absent: str) -> str:
    if together is None:
        return absent
    if not together.total:
        return "none"
    leaking = [f"{count:,} {part_word(part)} images" for part, count in together.also_train.items() if count]
    text = f"{together.total:,}, of which {together.divided:,} are in more than one part"
    return f"{text} ({', '.join(leaking)} share one with training images)" if leaking else text


def _missing_text(missing: Missing) -> str:
    shown = listing(missing.labels[:_MAX_SHOWN])
    return shown if missing.total <= _MAX_SHOWN else f"{missing.total:,}, such as {shown}"
