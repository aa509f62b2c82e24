"""Charts as SVG coordinates: lines, steps, bars, ticks and axes."""

import math
import re

import numpy as np
import pytest

from eyebright.web.charts import Axis, Caption, Chart, Series, draw_chart, subsample_indices


def chart_of(series: Series, x: Axis | None = None, y: Axis | None = None) -> Chart:
    return draw_chart(Caption("title", "alternative text"), [series], x=x or Axis("x"), y=y or Axis("y"))


def to_axes(chart: Chart, position: tuple[float, float]) -> tuple[float, float]:
    """A position in the drawing as a position on axes from 0 to 1."""
    return (
        (position[0] - chart.left) / (chart.right - chart.left),
        (chart.bottom - position[1]) / (chart.bottom - chart.top),
    )


def numbers(path: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?[\d.]+", path)]


def test_a_line_passes_through_its_points():
    points = [(0.0, 0.25), (0.5, 1.0), (1.0, 0.0)]
    chart = chart_of(Series([x for x, _ in points], [y for _, y in points]))
    flat = numbers(chart.paths[0].data)
    positions = [to_axes(chart, position) for position in zip(flat[::2], flat[1::2], strict=True)]
    np.testing.assert_allclose(positions, points, atol=0.001)


def test_steps_hold_each_value_from_the_point_before_it():
    chart = chart_of(Series([0, 0.5, 1], [1, 0.8, 0.2], shape="steps"))
    assert re.sub(r"[\d.]+", "n", chart.paths[0].data) == "Mn nVnHnVnHn"
    _, top, first, middle, second, right = numbers(chart.paths[0].data)
    assert to_axes(chart, (middle, first)) == pytest.approx((0.5, 0.8), abs=0.001)
    assert to_axes(chart, (right, second)) == pytest.approx((1, 0.2), abs=0.001)
    assert top == chart.top


def test_bars_start_at_the_axis_and_have_the_height_of_their_value():
    chart = chart_of(Series([0, 1, 2], [3, 6], shape="bars"), Axis("x", 0, 2, (0, 2)), Axis("y", 0, 6, (0, 6)))
    bars = chart.paths[0].data.split("Z")[:-1]
    heights = [chart.bottom - numbers(bar)[2] for bar in bars]
    assert heights == pytest.approx([(chart.bottom - chart.top) / 2, chart.bottom - chart.top], abs=0.1)


def test_values_outside_the_axes_are_clipped():
    chart = chart_of(Series([-1, 2], [5, -5]))
    assert numbers(chart.paths[0].data) == [chart.left, chart.top, chart.right, chart.bottom]


def test_values_that_are_not_finite_are_omitted():
    chart = chart_of(Series([0, 0.5, 1], [0.1, math.nan, 0.3], shape="dots"))
    assert chart.paths[0].data.count("M") == 2
    assert chart_of(Series([0.0], [math.nan])).paths[0].data == ""


def test_ticks_are_at_the_positions_of_their_values():
    chart = chart_of(Series([0], [0]), Axis("x", 10, 30, (10, 20, 30)))
    assert [tick.text for tick in chart.x_ticks] == ["10", "20", "30"]
    assert [tick.position for tick in chart.x_ticks] == pytest.approx(
        [chart.left, (chart.left + chart.right) / 2, chart.right], abs=0.1
    )


@pytest.mark.parametrize("values", [[0.1, 0.66], [3, 9714], [1e-5, 3e-5], [-4, 4], [5, 5], [0, 0], [], [math.nan, 2]])
def test_a_fitted_axis_contains_all_values_and_has_a_few_round_ticks(values):
    axis = Axis.fit("x", values)
    finite = [value for value in values if math.isfinite(value)]
    assert all(axis.low <= value <= axis.high for value in finite)
    assert 2 <= len(axis.ticks) <= 9
    assert all(axis.low - 1e-9 <= tick <= axis.high + 1e-9 for tick in axis.ticks)
    steps = np.diff(axis.ticks)
    np.testing.assert_allclose(steps, steps[0])
    assert f"{steps[0]:.0e}"[0] in "125"


def test_a_fitted_axis_can_start_at_zero_and_have_integer_ticks():
    axis = Axis.fit("images", [1, 2, 3], zero=True, whole=True)
    assert axis.low == 0
    assert list(axis.ticks) == [0, 1, 2, 3]


def test_a_long_line_is_subsampled_evenly_and_keeps_its_ends():
    x = np.sort(np.random.default_rng(0).random(10_000))
    for along in (x, x[::-1]):
        keep = subsample_indices(along.tolist(), limit=100)
        assert len(keep) <= 102
        assert (keep[0], keep[-1]) == (0, 9_999)
        assert np.abs(np.diff(along[keep])).max() < 0.02
    assert subsample_indices([1.0, 2.0]) == [0, 1]
