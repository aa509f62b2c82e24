"""The section on confused labels: predicted instead of a missed label, or wrongly together with a correct one."""

from collections.abc import Sequence

from eyebright._defaults import SIGNIFICANCE
from eyebright.evaluation.confusions import LabelConfusion, Relation, label_confusions
from eyebright.evaluation.evaluation import Evaluation
from eyebright.report.collapsing import MAX_EXPANDED
from eyebright.web.blocks import Cell, Collapsed, Section, Sentences, Table
from eyebright.web.text import number_text

_MAX_ROWS = 200
_TITLES: tuple[tuple[Relation, str, str], ...] = (
    ("instead", "Predicted instead of a missed label", "missed label"),
    ("beside", "Wrongly predicted together with a correctly predicted label", "found label"),
)


def confusions_section(evaluation: Evaluation) -> list[Section]:
    """The section; empty if no label is predicted wrongly instead of or together with another.

    Args:
        evaluation: the evaluation of a multi-label model.
    """
    blocks: list[Table | Collapsed | Sentences] = []
    sure = 0
    for relation, title, heading in _TITLES:
        # The first have the lowest p-values; of a thousand labels there are a million pairs.
        first = label_confusions(evaluation, relation, limit=_MAX_ROWS)
        frequent = [confusion for confusion in first if confusion.count > confusion.expected]
        sure += sum(confusion.p_value < SIGNIFICANCE for confusion in frequent)
        blocks += _tables(title, heading, frequent)
    if not blocks:
        return []
    intro = (
        "Counted are images that are known not to have the other label, so labels that occur together are not mixed "
        "up. Expected: on how many of these images the other label would be predicted if both were independent. "
        "P-values are corrected "
        f"for the number of pairs (Holm): of those shown {sure or 'none'} {'is' if sure == 1 else 'are'} significantly "
        f"more frequent than expected (p < {SIGNIFICANCE})."
    )
    return [Section("Mixed up with", "mixed-up", blocks, intro)]


def _tables(title: str, heading: str, confusions: Sequence[LabelConfusion]) -> list[Table | Collapsed]:
    if not confusions:
        return []
    columns = (heading, "predicted", "images", "of", "share", "95 % CI", "expected", "p, corrected")
    shown = [Table(title, columns, [_row(confusion) for confusion in confusions[:MAX_EXPANDED]])]
    rest = confusions[MAX_EXPANDED:]
    if not rest:
        return list(shown)
    more = Table(f"{title}: the next {len(rest)}", columns, [_row(confusion) for confusion in rest])
    return [*shown, Collapsed(f"The next {len(rest)} pairs", [more])]


def _row(confusion: LabelConfusion) -> list[Cell]:
    return [
        Cell(confusion.label),
        Cell(confusion.other),
        Cell.of(confusion.count),
        Cell.of(confusion.images),
        Cell.of(confusion.share, bar=True),
        Cell(f"{confusion.low:.2f}-{confusion.high:.2f}", confusion.high - confusion.low),
        Cell(number_text(confusion.expected), confusion.expected),
        Cell(number_text(confusion.p_value), confusion.p_value),
    ]
