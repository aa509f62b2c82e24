"""The content of a page as plain values; the template ``page.html`` turns them into HTML.

A section has a title, an introduction and blocks: tables, charts, galleries of images, name-value lists and sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from eyebright.web.charts import Chart, Style
from eyebright.web.text import score_text

TagStyle = Literal["correct", "extra", "missing", "asked", "target", "predicted", "plain"]
"""The meaning of a tag, which decides its colour and its sign.

``correct``, ``extra`` (predicted, but not in the data), ``missing`` (in the data, but not predicted) and ``asked`` (in
the data, and a person is asked) are for labels;
``target`` and ``predicted`` are for points and numbers.
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Args:
        text: the text of the cell.
        value: the number by which the column is sorted; None to sort by the text.
        bar: a number in [0, 1] to draw as a bar below the text.
        tint: the opacity of the background colour, in [0, 1].
        tone: the background colour, named as in charts.
    """

    text: str
    value: float | None = None
    bar: float | None = None
    tint: float | None = None
    tone: Style = "first"

    @staticmethod
    def of(value: str | float, *, bar: bool = False, decimals: int = 3) -> "Cell":
        """A cell for a string, an integer or a float; NaN becomes a dash.

        Args:
            value: the content.
            bar: True to draw a float in [0, 1] as a bar too.
            decimals: number of decimals of a float.
        """
        if isinstance(value, str):
            return Cell(value)
        if isinstance(value, int):
            return Cell(f"{value:,}", float(value))
        if value != value:
            return Cell(score_text(value))
        return Cell(score_text(value, decimals=decimals), value, bar=value if bar else None)


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of each row is its heading.

    Args:
        caption: the title of the table, which screen readers announce too.
        columns: the column headings.
        rows: the cells of each row, one per column.
        sortable: True to make the table sortable by its columns.
        matrix: True for vertical headings, for many narrow columns.
    """

    kind: ClassVar = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = True
    matrix: bool = False

    @property
    def numeric(self) -> list[bool]:
        """For each column, True if it contains numbers; the first column contains row headings."""
        return [i > 0 and any(row[i].value is not None for row in self.rows) for i in range(len(self.columns))]


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts side by side with a common legend.

    Args:
        charts: the charts.
        legend: (style, meaning) of the lines and marks.
        small: True for many small charts.
    """

    kind: ClassVar = "charts"
    charts: Sequence[Chart]
    legend: Sequence[tuple[Style, str]] = ()
    small: bool = False


@dataclass(frozen=True, slots=True)
class Tag:
    """One label below an image."""

    text: str
    style: TagStyle = "plain"


@dataclass(frozen=True, slots=True)
class PointMark:
    """One point on an image, in pixels of the thumbnail.

    Args:
        x: the distance from the left edge.
        y: the distance from the top edge.
        name: shown as a tooltip.
        is_target: True for a target, False for a prediction.
        line_to: (x, y) of the target that a line connects a prediction with; None for no line.
    """

    x: float
    y: float
    name: str
    is_target: bool
    line_to: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small image, or the reason why it cannot be shown.

    Args:
        data_url: the image as a ``data:`` URL.
        width: the width in pixels.
        height: the height in pixels.
        scale: thumbnail pixels per image pixel.
        error: why the image cannot be shown; empty if it can.
    """

    data_url: str
    width: int
    height: int
    scale: float = 1.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One image with its labels or points.

    Args:
        title: the text below the image, usually its file name.
        path: the full path, shown as a tooltip.
        image: the thumbnail.
        alt_text: a description for screen readers.
        tags: labels below the image.
        points: points on the image.
        note: one line below the tags.
    """

    title: str
    path: str
    image: Thumbnail
    alt_text: str
    tags: Sequence[Tag] = ()
    points: Sequence[PointMark] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Gallery:
    """Images with their labels or points, and a legend for these."""

    kind: ClassVar = "gallery"
    cards: Sequence[Card]
    legend: Sequence[Tag] = ()


@dataclass(frozen=True, slots=True)
class FindingCard:
    """One thing that a check found.

    Args:
        severity: ``"error"``, ``"warning"`` or ``"note"``.
        title: the kind of finding.
        sentence: what was found.
        remedy: what to do.
        groups: images that show it; those of one group belong together.
        table: figures; None for none.
        files: names of images, listed below.
        files_title: the heading of the list.
        labels: that it concerns; the page can be limited to those of one label.
    """

    severity: str
    title: str
    sentence: str
    remedy: str
    groups: Sequence[Sequence[Card]] = ()
    table: Table | None = None
    files: Sequence[str] = ()
    files_title: str = ""
    labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Findings:
    """Findings, which can be chosen by severity, label and text.

    Args:
        findings: the findings in their order.
        counts: (severity, number of findings) of those that there are.
        labels: that some finding concerns.
    """

    kind: ClassVar = "findings"
    findings: Sequence[FindingCard]
    counts: Sequence[tuple[str, int]]
    labels: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Pairs:
    """A list of names and values with an optional title."""

    kind: ClassVar = "pairs"
    pairs: Sequence[tuple[str, str]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Sentences:
    """A list of sentences."""

    kind: ClassVar = "sentences"
    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class Proposal:
    """Something to do.

    Args:
        action: what to do.
        evidence: why.
        gain: what it would bring; empty where that is unknown.
    """

    action: str
    evidence: str
    gain: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """The first screen: what works, what does not, and what to do next."""

    kind: ClassVar = "overview"
    can: Sequence[str]
    cannot: Sequence[str]
    proposals: Sequence[Proposal]


@dataclass(frozen=True, slots=True)
class Collapsed:
    """Collapsed blocks that are opened by a click.

    Args:
        title: what is inside.
        blocks: the content.
    """

    kind: ClassVar = "collapsed"
    title: str
    blocks: Sequence["Table | Charts | Gallery | Pairs | Sentences"]


@dataclass(frozen=True, slots=True)
class Section:
    """A section of a page.

    Args:
        title: the heading.
        anchor: the ``id`` of the heading, for links.
        blocks: the content.
        intro: one or two sentences on how to read the content.
    """

    title: str
    anchor: str
    blocks: Sequence["Table | Charts | Gallery | Findings | Pairs | Sentences | Overview | Collapsed"]
    intro: str = ""
