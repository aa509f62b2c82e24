"""What a report is made from: the model's answers for a set of images, and what is known about how they came about.

Each kind of answer (`LabelAnswers`, `ClassAnswers`, `PointAnswers`, `NumberAnswers`; a file each) brings its scores and
the sections that show it. The report knows no learner: it takes these values from anywhere.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eyebright.web.blocks import Section
from eyebright.web.text import number_text, score_text


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One score of the whole set.

    Args:
        name: what is measured.
        value: the score.
        low: lower end of its 95 % interval; None when there is none.
        high: upper end.
        baseline: what an answer that never looks at the image scores; None when that has no meaning.
        note: what a reader must know to read the score.
        higher_is_better: False for errors.
        unit: of the value, for example ``"px"``.
        share: True when it lies in [0, 1]; it is drawn on that scale.
        expected: what to expect on new images, in words, where thresholds were tuned on these; empty elsewhere.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    baseline: float | None = None
    note: str = ""
    higher_is_better: bool = True
    unit: str = ""
    share: bool = True
    expected: str = ""

    @property
    def text(self) -> str:
        """The value, with its unit."""
        return self._written(self.value)

    @property
    def beside(self) -> list[str]:
        """The interval, the baseline and what new images will score, in words."""
        lines: list[str] = []
        if self.interval is not None:
            low, high = self.interval
            lines.append(f"95 % interval {self._written(low, unit='')} to {self._written(high)}")
        if self.baseline is not None:
            lines.append(f"without looking {self._written(self.baseline)}")
        if self.expected:
            lines.append(f"on new images expect {self.expected}")
        return lines

    @property
    def interval(self) -> tuple[float, float] | None:
        """Both ends, where there are ends."""
        if self.low is None or self.high is None or math.isnan(self.low) or math.isnan(self.high):
            return None
        return self.low, self.high

    def _written(self, value: float, *, unit: str | None = None) -> str:
        text = score_text(value) if self.share else number_text(value)
        return f"{text} {self.unit if unit is None else unit}".rstrip()


class Answers(ABC):
    """What a model answered for a set of images, and what is true."""

    @abstractmethod
    def __len__(self) -> int:
        """How many images."""

    @abstractmethod
    def summary(self) -> str:
        """What was asked, in a few words: "20 labels, any number on an image"."""

    @abstractmethod
    def scores(self) -> list[ScoreRow]:
        """The scores of the whole set, with intervals and with what an answer without looking would score."""

    @abstractmethod
    def sections(self, paths: Sequence[str]) -> list[Section]:
        """What there is to see about these answers.

        Args:
            paths: where each image is.
        """


@dataclass(frozen=True, slots=True)
class ReportData:
    """Everything that a report shows.

    Args:
        title: the heading of the page.
        answers: what was answered and what is true, for the images of the validation (or test) set.
        paths: where each of those images is.
        scores: of the whole set.
        history: one row an epoch, with the training's own names: ``epoch``, ``train_loss``, ``valid_loss``, metrics.
        said: what the reader said about how it understood the data.
        split: how the images were divided.
        skipped: (path, reason) of each image that was left out.
        settings: (name, value) of the training.
        versions: (name, value) of what it ran on.
    """

    title: str
    answers: Answers
    paths: Sequence[str | Path]
    scores: Sequence[ScoreRow]
    history: Sequence[dict[str, float]] = ()
    said: Sequence[str] = ()
    split: Sequence[tuple[str, str]] = ()
    skipped: Sequence[tuple[str, str]] = ()
    settings: Sequence[tuple[str, str]] = ()
    versions: Sequence[tuple[str, str]] = ()
