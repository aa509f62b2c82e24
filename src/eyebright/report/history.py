"""The losses and metrics after each epoch of training."""

import itertools
import math
from collections.abc import Mapping, Sequence

from eyebright.web.blocks import Cell, Charts, Section, Table
from eyebright.web.charts import WIDE, Axis, Caption, Chart, Series, Style, draw_chart
from eyebright.web.text import number_text

_LOSSES = ("train_loss", "valid_loss")
_NO_SCORES = ("epoch", "seconds", "time", "lr", "step", "steps")
_MAX_TICKS = 10
_STYLES: tuple[Style, ...] = ("first", "second", "third")


def history_section(
    history: Sequence[Mapping[str, float]], note: str = "", *, frozen: Mapping[str, float] | None = None
) -> list[Section]:
    """The section on training; empty without a history.

    Args:
        history: one row per epoch. ``train_loss`` and ``valid_loss`` are drawn in one chart, and the first three
            columns whose values are all in [0, 1] in another; the table has all columns.
        note: an introduction.
        frozen: the scores of the frozen model by the same names, shown as a row of the table and, for the first score
            of each chart, as a dashed line; None without a frozen model.
    """
    frozen = frozen or {}
    if not history:
        return []
    names = list(dict.fromkeys(name for row in history for name in row))
    losses = [name for name in _LOSSES if name in names]
    scores = [name for name in names if name not in (*_LOSSES, *_NO_SCORES) and _is_share(history, name)][:3]
    charts = [_chart(title, history, group, frozen) for title, group in (("Loss", losses), ("Scores", scores)) if group]
    rows = [[_cell(name, row.get(name, math.nan)) for name in names] for row in history]
    if frozen:
        rows.insert(
            0, [Cell("frozen") if name == "epoch" else _cell(name, frozen.get(name, math.nan)) for name in names]
        )
    table = Table("A row per epoch, after that of the frozen model" if frozen else "A row per epoch", names, rows)
    return [Section("Training", "training", [*([Charts(charts)] if charts else []), table], note)]


def _chart(
    title: str, history: Sequence[Mapping[str, float]], names: Sequence[str], frozen: Mapping[str, float]
) -> Chart:
    epochs = _epochs(history)
    columns = {name: [row.get(name, math.nan) for row in history] for name in names}
    last = ", ".join(f"{name} ends at {number_text(values[-1])}" for name, values in columns.items())
    shares = title == "Scores"
    series = [
        Series(epochs, values, style, shape)
        for style, values in zip(_STYLES, columns.values(), strict=False)
        for shape in ("line", "dots")
    ]
    guides = [frozen[name] for name in columns if name in frozen][:1]  # only the main metric: lines have no names
    ends = [epochs[0], max(epochs[-1], epochs[0] + 1)]
    series += [Series(ends, [value, value], "guide", "line") for value in guides]
    legend: list[tuple[Style, str]] = list(zip(_STYLES, names, strict=False))
    if guides:
        legend.append(("guide", f"{next(name for name in columns if name in frozen)}, frozen"))
    return draw_chart(
        Caption(
            title,
            f"{title} after each of {len(history)} epochs: {last}.",
            legend=legend,
        ),
        series,
        x=Axis("epoch", epochs[0], max(epochs[-1], epochs[0] + 1), epochs[:: math.ceil(len(epochs) / _MAX_TICKS)]),
        y=Axis("")
        if shares
        else Axis.fit("", [*guides, *(value for column in columns.values() for value in column)], zero=True),
        size=WIDE,
    )


def _epochs(history: Sequence[Mapping[str, float]]) -> list[float]:
    """The column ``epoch``; 1, 2, 3, ... if it is missing or does not increase, as after several training runs."""
    numbers = [row.get("epoch", math.nan) for row in history]
    increasing = all(a < b for a, b in itertools.pairwise(numbers))
    return numbers if increasing and not math.isnan(numbers[0]) else [i + 1 for i in range(len(history))]


def _cell(name: str, value: float) -> Cell:
    if name == "epoch" and not math.isnan(value):
        return Cell.of(int(value))
    return Cell.of(value, decimals={"seconds": 1}.get(name, 4))


def _is_share(history: Sequence[Mapping[str, float]], name: str) -> bool:
    """Whether all numbers of the column are in [0, 1], as for most metrics."""
    values = [row[name] for row in history if name in row]
    return all(0 <= value <= 1 for value in values if not math.isnan(value))
