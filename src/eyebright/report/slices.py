"""The section of the report on slices: scores by the columns of the data, and by sizes and types of the images."""

from collections.abc import Sequence

from eyebright._defaults import SIGNIFICANCE
from eyebright.evaluation.evaluation import Evaluation
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
        [
            Cell(f"{data_slice.column}: {data_slice.value}"),
            Cell.of(data_slice.count),
            Cell(number_text(data_slice.score), data_slice.score),
            Cell(f"{number_text(data_slice.interval.low)} to {number_text(data_slice.interval.high)}"),
            Cell(number_text(data_slice.others), data_slice.others),
            Cell(number_text(data_slice.p_value), data_slice.p_value),
        ]
        for data_slice in slices
    ]
    columns = ("slice", "images", metric.display_name, "95 % CI", "all others", "p, corrected")
    return [Section("Slices", "slices", [Table("Scores of slices", columns, rows)], intro)]
