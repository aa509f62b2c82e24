"""Figures: grids of images with titles, points, and curves."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt
from sklearn.metrics import average_precision_score, precision_recall_curve

from eyebright import plot
from eyebright.errors import InputError, MissingExtraError

FASTAI = json.loads((Path(__file__).parent / "gold" / "g09_learner.json").read_text())


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


def images(count: int, height: int = 4, width: int = 6) -> list[np.ndarray]:
    return [np.full((height, width, 3), 40 * i % 255, dtype=np.uint8) for i in range(count)]


# ------------------------------------------------------------------------------- images


@pytest.mark.parametrize(
    ("case", "count", "options"),
    [
        ("show_batch(nrows=1,ncols=5)", 8, {"rows": 1, "columns": 5}),
        ("show_batch() (bs=8)", 8, {}),
        ("show_batch() (bs=16, max_n=9)", 9, {}),
        ("show_batch(max_n=6,figsize=(8,6))", 6, {"figsize": (8, 6)}),
        ("show_batch(unique)", 3, {}),
        ("show_batch(nrows=5,ncols=5): max_n caps at 9", 8, {"rows": 5, "columns": 5}),
        ("point show_results(ds_idx=1,nrows=3,figsize=(6,8))", 6, {"rows": 3, "figsize": (6, 8)}),
    ],
)
def test_the_grid_has_the_shape_and_size_of_fastais(case, count, options):
    figure = plot.show_images(images(count, 6, 6), [""] * count, **options)
    assert len(figure.axes) == FASTAI[case]["n_axes"]
    assert figure.get_size_inches().tolist() == FASTAI[case]["figsize"]


@pytest.mark.parametrize(("height", "width", "expected"), [(60, 80, (6, 4.5)), (80, 60, (4.5, 6)), (9, 90, (6, 3))])
def test_the_cells_of_a_grid_have_the_aspect_ratio_of_the_images(height, width, expected):
    figure = plot.show_images(images(4, height, width), [""] * 4)
    assert figure.get_size_inches().tolist() == pytest.approx(expected)


LONG_TITLES = [
    "agriculture;blooming;blow_down;clear;cloudy;conventional_mine;cultivation;habitation;haze;primary",
    "american_pit_bull_terrier_with_a_name_that_nothing_breaks_and_that_does_not_end",
    "cat",
]


@pytest.mark.parametrize("figsize", [None, (6, 6), (9, 3), (4, 8)])
@pytest.mark.parametrize("second_line", ["", "\nagriculture;blooming;blow_down;clear;cloudy;conventional_mine"])
def test_titles_do_not_overlap_each_other_or_an_image(figsize, second_line):
    titles = [title + second_line for title in LONG_TITLES * 3]
    figure = plot.show_images(images(9, 8, 8), titles, figsize=figsize)
    figure.canvas.draw()
    title_boxes = [ax.title.get_window_extent() for ax in figure.axes]
    image_boxes = [ax.get_window_extent() for ax in figure.axes]
    for i, box in enumerate(title_boxes):
        other_boxes = [other for j, other in enumerate(title_boxes + image_boxes) if j % len(title_boxes) != i]
        assert not any(box.shrunk(0.98, 0.9).overlaps(other) for other in other_boxes), titles[i]


def test_a_long_title_is_wrapped_between_labels():
    figure = plot.show_images(images(1), [LONG_TITLES[0]])
    title = figure.axes[0].get_title()
    assert title.count("\n") >= 1
    assert title.replace("\n", "") == LONG_TITLES[0]


def test_line_breaks_in_a_title_are_kept():
    figure = plot.show_images(images(1), [f"{LONG_TITLES[0]}\ncat"])
    first, second = figure.axes[0].get_title().split("\n")
    assert first.endswith("…")
    assert LONG_TITLES[0].startswith(first[:-1])
    assert second == "cat"


def test_short_titles_have_the_default_font_size():
    figure = plot.show_images(images(9, 6, 6), ["car;person"] * 9)
    assert {ax.title.get_fontsize() for ax in figure.axes} == {12}


def test_a_figure_of_images_becomes_the_current_figure():
    figure = plot.show_images(images(2), ["a", "b"])
    assert plt.gcf() is figure


def test_the_number_of_rows_follows_from_the_number_of_columns():
    figure = plot.show_images(images(5), [""] * 5, columns=2)
    assert figure.axes[0].get_gridspec().get_geometry() == (3, 2)


def test_labels_are_joined_by_semicolons_and_axis_lines_are_hidden():
    figure = plot.show_images(images(2), [("car", "dog"), "cat"], colors=["red", "green"])
    assert [ax.get_title() for ax in figure.axes] == ["car;dog", "cat"]
    assert [ax.title.get_color() for ax in figure.axes] == ["red", "green"]
    assert not any(ax.axison for ax in figure.axes)


def test_dollar_signs_in_a_title_are_not_parsed_as_a_formula():
    figure = plot.show_images(images(1), ["$\\nonsense$"])
    figure.canvas.draw()
    assert figure.axes[0].get_title() == "$\\nonsense$"


@pytest.mark.parametrize("options", [{"titles": ["a"]}, {"titles": ["a", "b"], "colors": ["red"]}])
def test_another_number_of_titles_or_colors_is_refused(options):
    with pytest.raises(InputError, match="expected 2 .* for 2 images, got 1"):
        plot.show_images(images(2), **options)


def test_an_empty_list_of_images_is_refused():
    with pytest.raises(InputError, match="no images to show"):
        plot.show_images([], [])


def test_a_point_is_drawn_at_the_centre_of_its_pixel():
    image = np.zeros((20, 30, 3), dtype=np.uint8)
    image[13, 24] = 255
    figure = plot.show_images([image], [""])
    ax = figure.axes[0]
    figure.canvas.draw()
    screen = np.asarray(figure.canvas.buffer_rgba())
    column, row = ax.transData.transform((24.5, 13.5))
    assert screen[screen.shape[0] - round(row), round(column), :3].tolist() == [255, 255, 255]
    plot.draw_points(ax, torch.tensor([[24.5, 13.5]]))
    assert ax.collections[0].get_offsets().tolist() == [[24.5, 13.5]]


def test_invisible_points_are_omitted_and_the_axes_limits_are_kept():
    ax = plot.show_images(images(1), [""]).axes[0]
    before = (ax.get_xlim(), ax.get_ylim())
    plot.draw_points(ax, torch.tensor([[1.0, 2.0], [3.0, 1.0], [90.0, 90.0]]), torch.tensor([True, False, True]))
    assert ax.collections[0].get_offsets().tolist() == [[1, 2], [90, 90]]
    assert (ax.get_xlim(), ax.get_ylim()) == before == ((0, 6), (4, 0))


# ------------------------------------------------------------------------------- curves


def test_the_learning_curve_omits_the_first_steps():
    ax = plot.plot_loss([9.0, 8.0, 2.0, 1.5, 1.0], [(1, 8.5), (5, 1.2)], skip_start=2)
    train, valid = ax.lines
    assert train.get_xydata().tolist() == [[2, 2.0], [3, 1.5], [4, 1.0]]
    assert valid.get_xydata().tolist() == [[5, 1.2]]
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("learning curve", "steps", "loss")


def test_a_curve_is_drawn_on_given_axes():
    ax = plt.subplots()[1]
    assert plot.plot_loss([1.0] * 9, ax=ax, log=True) is ax
    assert ax.get_yscale() == "log"
    assert plt.get_fignums() == [ax.figure.number]


def test_suggested_learning_rates_are_marked_on_the_curve():
    lrs = [1e-4, 1e-3, 1e-2, 1e-1]
    ax = plot.plot_lr_find(lrs, [4.0, 3.0, 1.0, 5.0], {"valley": 1e-3, "steep": 10**-2.5})
    assert ax.get_xscale() == "log"
    marks = [line.get_xydata()[0].tolist() for line in ax.lines[1:]]
    assert marks == [[1e-3, pytest.approx(3.0)], [10**-2.5, pytest.approx(2.0)]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["valley 0.001", "steep 0.0032"]


def test_a_diverging_loss_does_not_stretch_the_loss_axis():
    losses = [1.0, 0.9, 0.7, 0.6, 0.8, 2.4]
    ax = plot.plot_lr_find([10.0**i for i in range(-6, 0)], losses, {})
    low, high = ax.get_ylim()
    assert low < 0.6
    assert 1.0 < high < 2.4
    converging = plot.plot_lr_find([1e-3, 1e-2, 1e-1], [1.0, 0.9, 0.8], {}).get_ylim()
    assert converging[0] < 0.8
    assert converging[1] > 1.0


def test_a_learning_rate_search_without_suggestions_has_no_legend():
    assert plot.plot_lr_find([1e-3, 1e-2], [1.0, 2.0], {}).get_legend() is None


def test_the_threshold_in_use_is_a_vertical_line():
    ax = plot.plot_threshold_curve([0, 0.5, 1], {"F1": [0.1, 0.9, 0], "recall": [1, 0.8, 0]}, chosen=0.25)
    assert [line.get_label() for line in ax.lines] == ["F1", "recall", "in use: 0.25"]
    assert list(ax.lines[2].get_xdata()) == [0.25, 0.25]


def test_the_area_under_the_precision_recall_curve_is_the_average_precision():
    generator = np.random.default_rng(0)
    target, scores = generator.integers(0, 2, 40), generator.random(40).round(1)
    precision, recall, _ = precision_recall_curve(target, scores)
    ax = plot.plot_precision_recall(recall[::-1].tolist(), precision[::-1].tolist(), label="cat")
    line = ax.lines[0]
    assert line.get_drawstyle() == "steps-pre"
    x, y = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert np.sum(np.diff(x) * y[1:]) == pytest.approx(average_precision_score(target, scores))


def test_a_function_is_plotted_over_its_range():
    plot.plot_function(torch.sigmoid, "x", "y", "sigmoid", min=-4, max=4)
    figure = plt.gcf()
    ax = figure.axes[0]
    x, y = ax.lines[0].get_xydata().T
    assert (x[0], x[-1], len(x)) == (-4, 4, 100)
    np.testing.assert_allclose(y, 1 / (1 + np.exp(-x)), rtol=1e-6)
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_title()) == ("x", "y", "sigmoid")
    assert figure.get_size_inches().tolist() == [6, 4]


def test_without_matplotlib_the_error_gives_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(MissingExtraError, match=r"drawing a figure needs .*pip install 'eyebright\[plot\]'"):
        plot.plot_loss([1.0])


def test_images_beyond_the_grid_are_omitted() -> None:
    figure = plot.show_images(images(3), ["first", "second", "third"], rows=1, columns=2)
    assert [ax.get_title() for ax in figure.axes] == ["first", "second"]


def test_metric_histories_have_one_axes_per_metric() -> None:
    figure = plot.plot_metric_histories({"a": [1, 2], "b": [3, 4]}, {"a": [5, 6], "b": [7, 8]})
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    assert [list(line.get_ydata()) for line in figure.axes[1].lines] == [[3, 4], [7, 8]]
