"""The section on exported graphs: their differences from Python, and the cost of a lower precision."""

from collections.abc import Sequence

from eyebright.evaluation.exported_graphs import ExportedGraph
from eyebright.web.blocks import Cell, Section, Table
from eyebright.web.text import NO_VALUE

_INTRO = (
    "The graphs that eyebright export wrote into this folder, compared with Python on the same images at that time. A "
    "decision is near if it is within 0.0001 of its threshold, and an image if its out-of-distribution score is: "
    "float32 sums in another order differ in their last digits, so near decisions may change. In float32 no other "
    "decision changed: otherwise the export would have failed."
)

_OOD_COLUMNS = ("out-of-distribution score: largest difference", "images changed", "images changed, not near")


def exports_section(graphs: Sequence[ExportedGraph]) -> list[Section]:
    """The section; empty without an export.

    Args:
        graphs: the graphs of the export in the model folder, if it matches the current model.
    """
    if not graphs:
        return []
    narrow = [_costs(graph) for graph in graphs if graph.metric]
    tables = [_compared(graphs)]
    if narrow:
        columns = (
            "graph", "metric", "value", "value in float32", "ms per image", "ms per image in float32",
            "calibration images",
        )  # fmt: skip
        tables.append(Table("The cost of a lower precision", columns, narrow, sortable=False))
    return [Section("Exports", "exports", tables, _INTRO)]


def _compared(graphs: Sequence[ExportedGraph]) -> Table:
    """A row for each graph; the columns of decisions are left out for points and numbers."""
    decides = any(graph.decisions for graph in graphs)
    has_ood = any(graph.ood_largest_difference is not None for graph in graphs)
    columns = ["graph", "precision", "MB", "images", "largest difference"]
    columns += ["decisions", "near a threshold", "changed", "changed, not near"] if decides else []
    columns += list(_OOD_COLUMNS) if has_ood else []
    rows = [
        [
            Cell(graph.file),
            Cell(graph.precision),
            Cell(f"{graph.bytes / 1e6:.3g}", graph.bytes / 1e6),
            Cell.of(graph.images),
            _difference(graph),
            *(map(Cell.of, _decisions(graph)) if decides else ()),
            *(_ood(graph) if has_ood else ()),
        ]
        for graph in graphs
    ]
    return Table("Compared with Python", columns, rows, sortable=False)


def _decisions(graph: ExportedGraph) -> tuple[int, int, int, int]:
    return graph.decisions, graph.near, graph.changed, graph.changed_not_near


def _ood(graph: ExportedGraph) -> list[Cell]:
    """The differences of the out-of-distribution scores, and the images on the other side of the threshold."""
    if graph.ood_largest_difference is None:
        return [Cell(NO_VALUE)] * len(_OOD_COLUMNS)
    difference = Cell(f"{graph.ood_largest_difference:.2g}", graph.ood_largest_difference)
    return [difference, *map(Cell.of, (graph.ood_changed, graph.ood_changed_not_near))]


def _difference(graph: ExportedGraph) -> Cell:
    if graph.largest_difference is None:
        return Cell(NO_VALUE)
    return Cell(f"{graph.largest_difference:.2g} {graph.measured_in}", graph.largest_difference)


def _costs(graph: ExportedGraph) -> list[Cell]:
    return [
        Cell(graph.file),
        Cell(graph.metric),
        *(_number(value, 4) for value in (graph.score, graph.float32_score)),
        *(_number(value, 1) for value in (graph.milliseconds, graph.float32_milliseconds)),
        Cell.of(graph.calibrated_on) if graph.calibrated_on else Cell(NO_VALUE),
    ]


def _number(value: float | None, decimals: int) -> Cell:
    return Cell(NO_VALUE) if value is None else Cell(f"{value:.{decimals}f}", value)
