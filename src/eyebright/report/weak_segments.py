"""The section of the report on weak segments: groups of images on which the model is worse, found automatically."""

from collections.abc import Sequence
from typing import Any

from eyebright.errors import count_text
from eyebright.evaluation.evaluation import Evaluation
from eyebright.evaluation.weak_segments import MAX_SEGMENTS, SURE, WeakSegment
from eyebright.report.mistakes import mistake_gallery
from eyebright.report.slices import COMPARED_COLUMNS, compared_row
from eyebright.web.blocks import Collapsed, Section, Table

MAX_GALLERIES = 3
MAX_IMAGES = 4
"""The number of images that are shown of a segment."""


def weak_segments_section(evaluation: Evaluation, segments: Sequence[WeakSegment]) -> list[Section]:
    """The section; empty if no segment is worse by more than chance explains.

    Args:
        evaluation: the outputs.
        segments: the result of `find_weak_segments`.
    """
    if not segments:
        return []
    which = "out-of-fold outputs" if evaluation.part == "out_of_fold" else "outputs"
    intro = (
        "A weak segment is a group of images on which the model is worse than on all others, found by a search; unlike "
        "a slice it can combine two values, and values of the labels. The search used the "
        f"{which} for {len(evaluation):,} images: one half of them gave at most {MAX_SEGMENTS} candidates, and the "
        f"other half confirmed {len(segments)} (permutation test, corrected for the candidates, p < {SURE}). Errors "
        "and intervals are those of the second half. A group may be hard, have too few training images, or wrong "
        "labels: look at the images."
    )
    rows = [
        compared_row(segment.name, segment.count, (segment.error, segment.others), segment.interval, segment.p_value)
        for segment in segments
    ]
    columns = ("images with", "images", segments[0].error_name, *COMPARED_COLUMNS)
    galleries = [
        Collapsed(
            f"{segment.name}: {count_text(segment.count, 'image')}",
            [mistake_gallery(evaluation, segment.rows[:MAX_IMAGES])],
        )
        for segment in segments[:MAX_GALLERIES]
    ]
    return [Section("Weak segments", "segments", [Table("Worst first", columns, rows), *galleries], intro)]


def weak_segments_json(segments: Sequence[WeakSegment]) -> list[dict[str, Any]]:
    """The segments for ``report.json``."""
    return [
        {
            "values": [list(value) for value in segment.values],
            "images": segment.count,
            "error": segment.error,
            "error_name": segment.error_name,
            "interval": [segment.interval.low, segment.interval.high],
            "others": segment.others,
            "p_value": segment.p_value,
        }
        for segment in segments
    ]
