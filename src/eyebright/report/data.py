"""The values of a report: the facts that an `Evaluation` lacks, the metrics, and the finished page.

Each kind of target has a `TaskReport` (in labels.py, classes.py, points.py, numbers.py), which computes its metrics and
sections from an `Evaluation`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from eyebright._choices import EvaluatedPart
from eyebright.errors import DataError, InputError, count_text
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.exported_graphs import ExportedGraph
from eyebright.report.evaluated_thumbnail import evaluated_thumbnail
from eyebright.report.verdict.values import Verdict
from eyebright.sources.split_summary import SplitSummary
from eyebright.tasks.task_type import TaskType
from eyebright.web.blocks import Section, Thumbnail
from eyebright.web.text import number_text, score_text, short_names

Pair = tuple[str, str]


_FROZEN_KEPT_SENTENCE = "; the frozen model is kept"  # the wording in folders of older versions


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """The facts of a report that the evaluation lacks, as plain values.

    `to_json` returns the entry ``report`` of a manifest; the facts from `tuning` on are saved elsewhere.

    Args:
        title: the heading of the page.
        messages: sentences on how the data was read.
        split: (name, value) pairs that describe the split of the images, for a report without a summary of the split.
        split_summary: the counts of the split; None for models of older versions.
        skipped: (path, reason) of each skipped image.
        settings: (name, value) pairs of the training run.
        normalize_by: two points whose distance normalises the errors; None for the diagonal of the image.
        leaking: evaluated images that overlap with a training image, named as in the evaluation.
        fine_tuning: the gain of fine-tuning over the frozen model, as a sentence; empty if nothing was compared.
        keeps_frozen: whether the model is the frozen one, because fine-tuning was not better.
        frozen_scores: the validation scores of the frozen model, named as in the history; empty if there is none.
        tuning: how the decision was fitted, `Manifest.tuning`; empty for a model that was never tuned.
        history: one row per epoch: ``epoch``, ``train_loss``, ``valid_loss``, metrics, ``seconds``.
        versions: (name, value) pairs of the libraries.
        created: when the model was saved, ISO 8601, UTC; empty if unknown.
        exports: the graphs of the export in the model folder; empty if no export matches the model.
    """

    title: str = "Report"
    messages: Sequence[str] = ()
    split: Sequence[Pair] = ()
    split_summary: SplitSummary | None = None
    skipped: Sequence[Pair] = ()
    settings: Sequence[Pair] = ()
    normalize_by: Pair | None = None
    fine_tuning: str = ""
    keeps_frozen: bool = False
    leaking: Sequence[str] = ()
    frozen_scores: Mapping[str, float] = field(default_factory=dict[str, float])
    tuning: Mapping[str, Any] = field(default_factory=dict[str, Any])
    history: Sequence[Mapping[str, float]] = ()
    versions: Sequence[Pair] = ()
    created: str = ""
    exports: Sequence[ExportedGraph] = ()

    def to_json(self) -> dict[str, Any]:
        """The facts as JSON; bytes of file names that are not valid Unicode become escapes."""
        return {
            "title": _utf8(self.title),
            "messages": [_utf8(message) for message in self.messages],
            "split": [list(map(_utf8, pair)) for pair in self.split],
            "split_proof": None if self.split_summary is None else self.split_summary.to_json(),
            "skipped": [list(map(_utf8, pair)) for pair in self.skipped],
            "settings": [list(map(_utf8, pair)) for pair in self.settings],
            # The key of saved folders, older than the name of the option.
            "normalise_by": None if self.normalize_by is None else list(self.normalize_by),
            "fine_tuning": _utf8(self.fine_tuning),
            "keeps_frozen": self.keeps_frozen,
            "leaking": list(map(_utf8, self.leaking)),
            "frozen_scores": dict(self.frozen_scores),
        }

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "ReportFacts":
        """The facts from the JSON of `to_json`; missing entries stay empty.

        Raises:
            DataError: a value has the wrong form.
        """
        points, split_summary = data.get("normalise_by"), data.get("split_proof")
        try:
            return ReportFacts(
                title=str(data.get("title", "Report")),
                messages=[str(message) for message in data.get("messages") or []],
                split=_pairs(data.get("split")),
                split_summary=None if split_summary is None else SplitSummary.from_json(split_summary),
                skipped=_pairs(data.get("skipped")),
                settings=_pairs(data.get("settings")),
                normalize_by=None if points is None else _pair(points),
                fine_tuning=str(data.get("fine_tuning", "")),
                keeps_frozen=bool(data.get("keeps_frozen", _FROZEN_KEPT_SENTENCE in str(data.get("fine_tuning", "")))),
                leaking=[str(file) for file in data.get("leaking") or ()],
                frozen_scores={
                    str(name): math.nan if value is None else float(value)  # JSON has no NaN
                    for name, value in _items(data.get("frozen_scores"))
                },
            )
        except (TypeError, ValueError) as error:
            raise DataError(f"the saved facts of the report have the wrong form: {error}") from None


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One metric of the whole set, with its confidence interval and the baseline.

    Args:
        name: the name of the metric.
        value: its value.
        low: the lower end of its 95 % confidence interval; None without an interval.
        high: the upper end.
        baseline: the score of the best constant prediction; None if unknown.
        note: an explanation of the score.
        higher_is_better: False for errors.
        unit: the unit of the value, for example ``"px"``.
        is_share: True for a score in [0, 1], which is also drawn as a bar.
        decimals: number of decimals; None for three if ``is_share``, else for about three significant digits.
        expected: the score to expect on new images, if the thresholds were tuned on these images; NaN if it is worse by
            an unknown amount, None if they were tuned on others.
        images: the number of images that the score rests on.
        cells: the number of their known targets: labels of an image, points or numbers.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    note: str = ""
    higher_is_better: bool = True
    unit: str = ""
    is_share: bool = True
    decimals: int | None = None
    expected: float | None = None
    images: int | None = None
    cells: int | None = None

    @property
    def text(self) -> str:
        """The value with its unit."""
        return self._with_unit(self.value)

    @property
    def details(self) -> list[str]:
        """The interval, the baseline and the expected score on new images, as texts."""
        details: list[str] = []
        if self.interval is not None:
            low, high = (self.number(end) for end in self.interval)
            between = "-" if self.interval[0] >= 0 else " to "  # no minus sign after a dash
            details.append(f"95 % CI {low}{between}{high}{self._space_unit}")
        if self.baseline is not None:
            details.append(f"baseline {self._with_unit(self.baseline)}")
        if self.expected is not None:
            expected = "a worse value" if math.isnan(self.expected) else self._with_unit(self.expected)
            details.append(f"on new images expect {expected}")
        return details

    @property
    def rests_on(self) -> str:
        """The numbers of images and known targets: ``"60 images, 240 known targets"``; empty if unknown."""
        if self.images is None:
            return ""
        images = count_text(self.images, "image")
        return images if self.cells in (None, self.images) else f"{images}, {count_text(self.cells, 'known target')}"

    @property
    def line(self) -> str:
        """The row as one line: ``exact match 0.827 (95 % CI 0.772-0.871; baseline 0.111)``."""
        details = "; ".join(self.details)
        return f"{self.name} {self.text}" + (f" ({details})" if details else "")

    @property
    def interval(self) -> tuple[float, float] | None:
        """(low, high) of the confidence interval; None if it is unknown."""
        if self.low is None or self.high is None or math.isnan(self.low) or math.isnan(self.high):
            return None
        return self.low, self.high

    @property
    def _space_unit(self) -> str:
        return f" {self.unit}" if self.unit else ""

    def number(self, value: float) -> str:
        """A value of this metric without its unit, with as many decimals as this one."""
        if self.decimals is None and not self.is_share:
            return number_text(value)
        return score_text(value, decimals=3 if self.decimals is None else self.decimals)

    def _with_unit(self, value: float) -> str:
        return f"{self.number(value)}{self._space_unit}"


class ShownImage(NamedTuple):
    """An image of the evaluation, as shown on a card.

    Args:
        name: its file name, with as many parent folders as make it unique.
        file: its path relative to the folder of the images.
        thumbnail: a small copy of the image, or the reason why it cannot be read.
    """

    name: str
    file: str
    thumbnail: Thumbnail


@dataclass(frozen=True, eq=False)
class TaskReport(ABC):
    """The metrics and sections of a report for one kind of target.

    Args:
        evaluation: the model's outputs for a set of images, with their targets.
        facts: the facts that the evaluation lacks.
    """

    evaluation: Evaluation
    facts: ReportFacts = field(default_factory=ReportFacts)

    @abstractmethod
    def summary(self) -> str:
        """A short description of the set: ``"60 images, any of 20 labels each"``."""

    @classmethod
    def check_normalize_by(cls, names: Sequence[str], normalize_by: tuple[str, str]) -> None:
        """Raises `InputError` unless errors can be normalised by the distance between these two points.

        Args:
            names: the names of the points of the model.
            normalize_by: the names of two points.

        Raises:
            InputError: the model does not have these points, or does not predict points.
        """
        raise InputError(f"`normalize_by` ({', '.join(normalize_by)}) is for models that predict points")

    @property
    def names(self) -> Sequence[str]:
        """The names of the classes, points or numbers."""
        return self.evaluation.decision.target.value_names

    @property
    def set_text(self) -> str:
        """The number of images and their part: ``"60 validation images"``."""
        names = {"valid": "validation", "out_of_fold": "out-of-fold"}
        part = self.evaluation.part
        return count_text(len(self.evaluation), f"{names.get(part, part)} image")

    @property
    def history_note(self) -> str:
        """How the metrics after each epoch differ from `metric_rows`; empty if they do not."""
        return ""

    @abstractmethod
    def metric_rows(self) -> list[MetricRow]:
        """The metrics of the whole set, with intervals and baselines."""

    @abstractmethod
    def verdict(self) -> Verdict:
        """The strengths and weaknesses of the model and proposed changes, in the order of the rules."""

    @abstractmethod
    def output_rows(self) -> list[dict[str, Any]]:
        """The scores of each label, class, point or number, by name, for ``report.json``; None where undefined."""

    @abstractmethod
    def sections(self) -> list[Section]:
        """Tables, charts and the images with the greatest errors."""

    def images(self, indices: Sequence[int]) -> list[ShownImage]:
        """The images in these rows of the evaluation, for cards."""
        files = self.evaluation.files
        names = short_names(files, indices)
        return [
            ShownImage(name, files[index], evaluated_thumbnail(self.evaluation, index))
            for name, index in zip(names, indices, strict=True)
        ]

    @property
    def training(self) -> Mapping[str, Any]:
        """The summary of the training targets; empty if unknown."""
        return self.evaluation.training


@dataclass(frozen=True, slots=True)
class ReportData:
    """The content of the page.

    Args:
        title: the heading.
        summary: a short description of the set.
        kind: what the model predicts.
        evaluated: the part that the images belong to, and their number.
        verdict: the strengths and weaknesses of the model and the most useful changes.
        metric_rows: the metrics of the whole set.
        test_rows: the metrics of the test images; empty without test images.
        sections: the sections, in their order.
        output_rows: the scores of each label, class, point or number, see `TaskReport.output_rows`.
        weak_segments: see `weak_segments_json`.
        facts: the facts that the evaluation lacks.
        leaks: sentences on evaluated images that overlap with training images.
        missing_images: sentences on images that could not be shown.
        created: when the model was saved, as text; empty if unknown.
    """

    title: str
    summary: str
    kind: TaskType
    evaluated: tuple[EvaluatedPart, int]
    verdict: Verdict
    metric_rows: Sequence[MetricRow]
    sections: Sequence[Section]
    output_rows: Sequence[Mapping[str, Any]] = ()
    weak_segments: Sequence[Mapping[str, Any]] = ()
    facts: ReportFacts = field(default_factory=ReportFacts)
    leaks: Sequence[str] = ()
    missing_images: Sequence[str] = ()
    created: str = ""
    test_rows: Sequence[MetricRow] = ()

    @property
    def notices(self) -> Sequence[str]:
        """The sentences at the top of the page."""
        return [*self.leaks, *self.missing_images]

    @property
    def opening(self) -> Sequence[Section]:
        """The sections of the first screen."""
        return [Section("At a glance", "glance", [self.verdict.block])]

    @property
    def footer(self) -> str:
        """The time when the model was saved, and the generator of the page."""
        return f"Model saved {self.created}. Report" if self.created else "Report"


def _utf8(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _items(values: Any) -> Iterable[tuple[Any, Any]]:
    if not isinstance(values or {}, Mapping):
        raise TypeError(f"expected an object, got {type(values).__name__}")
    return (values or {}).items()


def _pairs(values: Any) -> list[Pair]:
    return [_pair(pair) for pair in values or []]


def _pair(values: Any) -> Pair:
    first, second = values
    return str(first), str(second)
