"""The section of the report on slices: scores by the columns of the data, and by sizes and types of the images."""

from collections.abc import Sequence

from eyebright._defaults import SIGNIFICANCE
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.intervals import Interval
from eyebright.evaluation.slices import MAX_SLICES, MAX_VALUES, MIN_IMAGES, Slice
from eyebright.metrics.labels import mean_ap
from eyebright.web.blocks import Cell, Section, Table
from eyebright.web.text import number_text


def slices_section(evaluation: Evaluation, slices: Sequence[Slice]) -> list[Section]:
    """The section; empty if no column has slices of enough images.

    Args:
        evaluation: the outputs.
        slices: its slices by the main metric, see `find_slices`.
    """
    metric = evaluation.decision.target.metrics()[0]
    if not slices:
        return []
    worse = sum(data_slice.is_worse and data_slice.p_value < SIGNIFICANCE for data_slice in slices)
    intro = (
        "A slice is all evaluated images that have one value in a column of the data, or one size or file type; every "
        f"slice is compared, whether the model is worse on it or not. {worse or 'None'} of the {len(slices):,} slices "
        f"{'score' if worse > 1 else 'scores'} worse than all other images by more than chance explains (p < "
        f"{SIGNIFICANCE}): a z test with bootstrap standard errors, corrected for the number of slices (Holm). "
        f"Columns have 2 to {MAX_VALUES} values and slices at least {MIN_IMAGES} images; there are at most "
        f"{MAX_SLICES}, the worst first. The intervals are those of the scores, not corrected."
    )
    if metric is mean_ap:
        intro += " mAP is lower where fewer images have a label, whatever the model."
    rows = [
        compared_row(f"{part.column}: {part.value}", part.count, (part.score, part.others), part.interval, part.p_value)
        for part in slices
    ]
    columns = ("slice", "images", metric.display_name, *COMPARED_COLUMNS)
    return [Section("Slices", "slices", [Table("Scores of slices", columns, rows)], intro)]


COMPARED_COLUMNS = ("95 % CI", "all others", "p, corrected")
"""The titles of the last cells of `compared_row`."""


def compared_row(name: str, count: int, values: tuple[float, float], interval: Interval, p_value: float) -> list[Cell]:
    """The cells of a table for some of the images, whose value is compared with that of all others.

    Args:
        name: what the images have in common.
        count: their number.
        values: their value, and that of all other images.
        interval: the interval of their value.
        p_value: of the difference, corrected.
    """
    return [
        Cell(name),
        Cell.of(count),
        Cell(number_text(values[0]), values[0]),
        Cell(f"{number_text(interval.low)} to {number_text(interval.high)}"),
        Cell(number_text(values[1]), values[1]),
        Cell(number_text(p_value), p_value),
    ]
