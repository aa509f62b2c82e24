"""The section of the report on the split: overlap between parts, and the shares of labels in each part."""

from eyebright.errors import count_text
from eyebright.sources.split_summary import SplitSummary, part_word
from eyebright.web.blocks import Cell, Pairs, Section, Sentences, Table

_INTRO = (
    "Images that belong together (a group, near-duplicates) should be in one part: a model recognises its training "
    "images, so their score is not that of new images."
)


def split_section(summary: SplitSummary) -> Section:
    """The counts of the split: sizes, divided groups and near-duplicates, and the shares of labels."""
    blocks: list[Sentences | Pairs | Table] = [Pairs([*summary.sizes(), *summary.facts()])]
    if leaks := summary.leaks():
        blocks.insert(0, Sentences(leaks))
    if summary.shares:
        parts = list(summary.images)
        rows = [
            [
                Cell(share.label),
                Cell.of(share.images),
                *(_percent(share.shares[part]) for part in parts),
                Cell(f"{share.deviation:.2f}", share.deviation),
            ]
            for share in summary.shares
        ]
        shown = count_text(len(rows), "label")
        caption = f"Shares of labels: {shown}, the greatest deviation from the whole set first"
        columns = ("label", "images", *(f"{part_word(part)}, %" for part in parts), "deviation, percentage points")
        blocks.append(Table(caption, columns, rows))
    return Section("Split", "split", blocks, _INTRO)


def _percent(share: float) -> Cell:
    return Cell(f"{100 * share:.2f}", share)
