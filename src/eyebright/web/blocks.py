"""What a page is made of, as plain values: no markup here. Only ``page.html`` knows how they look.

A section is a heading, some words, and blocks: tables, charts, images, names with values, sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from eyebright.web.charts import Chart, Style
from eyebright.web.text import score_text

TagStyle = Literal["correct", "extra", "missing", "target", "predicted", "plain"]
"""What a tag says about an answer.

Right; said but not in the data; in the data but not said; where a point is; where it was said to be; none of these.
"""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Args:
        text: what stands in it.
        value: the number to sort it by; None for text.
        bar: a number in [0, 1] that is drawn as a bar too.
        tint: how strongly the cell is coloured, in [0, 1].
        tone: the colour.
    """

    text: str
    value: float | None = None
    bar: float | None = None
    tint: float | None = None
    tone: Style = "first"

    @staticmethod
    def of(value: str | float, *, bar: bool = False, decimals: int = 3) -> "Cell":
        """A cell from text as it is, a whole number, or another number; NaN becomes a dash.

        Args:
            value: what stands in it.
            bar: True draws the number as a bar too; it must lie in [0, 1].
            decimals: of a number that is not whole.
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
        caption: what it shows, for those who cannot see it as well.
        columns: the headings.
        rows: as many cells in each as there are columns.
        sortable: True lets the reader sort it by a column.
        matrix: True writes the headings upright, for many narrow columns.
    """

    kind: ClassVar = "table"
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = True
    matrix: bool = False

    @property
    def numeric(self) -> list[bool]:
        """For each column whether it holds numbers; the first holds headings."""
        return [i > 0 and any(row[i].value is not None for row in self.rows) for i in range(len(self.columns))]


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts beside each other under one legend.

    Args:
        charts: the charts.
        legend: what each style of line or mark means.
        small: True for many small ones.
    """

    kind: ClassVar = "charts"
    charts: Sequence[Chart]
    legend: Sequence[tuple[Style, str]] = ()
    small: bool = False


@dataclass(frozen=True, slots=True)
class Tag:
    """One label under an image."""

    text: str
    style: TagStyle = "plain"


@dataclass(frozen=True, slots=True)
class PointMark:
    """One point over an image, in the thumbnail's pixels; ``is_target`` tells a target from a prediction."""

    x: float
    y: float
    name: str
    is_target: bool


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A small image, or why there is none.

    Args:
        data_url: ``data:`` and the image itself.
        width: in pixels.
        height: in pixels.
        scale: pixels for each pixel of the whole image.
        error: why it cannot be shown.
    """

    data_url: str
    width: int
    height: int
    scale: float = 1.0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Card:
    """One image with what was said about it.

    Args:
        title: usually the name of the file.
        path: its full path.
        image: what is shown.
        alt_text: the same for those who cannot see it.
        tags: labels under it.
        points: points over it.
        note: one line under the tags.
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
    """Images with what was said about them, and what their tags and points mean."""

    kind: ClassVar = "gallery"
    cards: Sequence[Card]
    legend: Sequence[Tag] = ()


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names and values below each other, under a title of their own where there is one."""

    kind: ClassVar = "pairs"
    pairs: Sequence[tuple[str, str]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences below each other."""

    kind: ClassVar = "sentences"
    sentences: Sequence[str]


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report under its own heading.

    Args:
        title: the heading.
        anchor: its address inside the page.
        blocks: what stands in it.
        intro: a sentence or two on how to read it.
    """

    title: str
    anchor: str
    blocks: Sequence["Table | Charts | Gallery | Pairs | Sentences"]
    intro: str = ""
