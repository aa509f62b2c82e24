"""Grids of images with titles, and points on images."""

import json
from collections.abc import Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from eyebright.errors import InputError
from eyebright.plot.images import draw_points, show_images

FASTAI = json.loads((Path(__file__).parents[1] / "gold" / "g09_learner.json").read_text())


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


def images(count: int, height: int = 4, width: int = 6) -> list[np.ndarray]:
    return [np.full((height, width, 3), 40 * i % 255, dtype=np.uint8) for i in range(count)]


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
    figure = show_images(images(count, 6, 6), [""] * count, **options)
    assert len(figure.axes) == FASTAI[case]["n_axes"]
    assert figure.get_size_inches().tolist() == FASTAI[case]["figsize"]


@pytest.mark.parametrize(("height", "width", "expected"), [(60, 80, (6, 4.5)), (80, 60, (4.5, 6)), (9, 90, (6, 3))])
def test_the_cells_of_a_grid_have_the_aspect_ratio_of_the_images(height, width, expected):
    figure = show_images(images(4, height, width), [""] * 4)
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
    figure = show_images(images(9, 8, 8), titles, figsize=figsize)
    figure.canvas.draw()
    title_boxes = [ax.title.get_window_extent() for ax in figure.axes]
    image_boxes = [ax.get_window_extent() for ax in figure.axes]
    for i, box in enumerate(title_boxes):
        other_boxes = [other for j, other in enumerate(title_boxes + image_boxes) if j % len(title_boxes) != i]
        assert not any(box.shrunk(0.98, 0.9).overlaps(other) for other in other_boxes), titles[i]


def test_a_long_title_is_wrapped_between_labels():
    figure = show_images(images(1), [LONG_TITLES[0]])
    title = figure.axes[0].get_title()
    assert title.count("\n") >= 1
    assert title.replace("\n", "") == LONG_TITLES[0]


def test_line_breaks_in_a_title_are_kept():
    figure = show_images(images(1), [f"{LONG_TITLES[0]}\ncat"])
    first, second = figure.axes[0].get_title().split("\n")
    assert first.endswith("…")
    assert LONG_TITLES[0].startswith(first[:-1])
    assert second == "cat"


def test_short_titles_have_the_default_font_size():
    figure = show_images(images(9, 6, 6), ["car;person"] * 9)
    assert {ax.title.get_fontsize() for ax in figure.axes} == {12}


def test_a_figure_of_images_becomes_the_current_figure():
    figure = show_images(images(2), ["a", "b"])
    assert plt.gcf() is figure


def test_the_number_of_rows_follows_from_the_number_of_columns():
    figure = show_images(images(5), [""] * 5, columns=2)
    assert figure.axes[0].get_gridspec().get_geometry() == (3, 2)


def test_labels_are_joined_by_semicolons_and_axis_lines_are_hidden():
    figure = show_images(images(2), [("car", "dog"), "cat"], colors=["red", "green"])
    assert [ax.get_title() for ax in figure.axes] == ["car;dog", "cat"]
    assert [ax.title.get_color() for ax in figure.axes] == ["red", "green"]
    assert not any(ax.axison for ax in figure.axes)


def test_dollar_signs_in_a_title_are_not_parsed_as_a_formula():
    figure = show_images(images(1), ["$\\nonsense$"])
    figure.canvas.draw()
    assert figure.axes[0].get_title() == "$\\nonsense$"


@pytest.mark.parametrize("options", [{"titles": ["a"]}, {"titles": ["a", "b"], "colors": ["red"]}])
def test_another_number_of_titles_or_colors_is_refused(options):
    with pytest.raises(InputError, match="expected 2 .* for 2 images, got 1"):
        show_images(images(2), **options)


def test_an_empty_list_of_images_is_refused():
    with pytest.raises(InputError, match="no images to show"):
        show_images([], [])


def test_a_point_is_drawn_at_the_centre_of_its_pixel():
    image = np.zeros((20, 30, 3), dtype=np.uint8)
    image[13, 24] = 255
    figure = show_images([image], [""])
    ax = figure.axes[0]
    figure.canvas.draw()
    screen = np.asarray(figure.canvas.buffer_rgba())
    column, row = ax.transData.transform((24.5, 13.5))
    assert screen[screen.shape[0] - round(row), round(column), :3].tolist() == [255, 255, 255]
    draw_points(ax, torch.tensor([[24.5, 13.5]]))
    assert ax.collections[0].get_offsets().tolist() == [[24.5, 13.5]]


def test_invisible_points_are_omitted_and_the_axes_limits_are_kept():
    ax = show_images(images(1), [""]).axes[0]
    before = (ax.get_xlim(), ax.get_ylim())
    draw_points(ax, torch.tensor([[1.0, 2.0], [3.0, 1.0], [90.0, 90.0]]), torch.tensor([True, False, True]))
    assert ax.collections[0].get_offsets().tolist() == [[1, 2], [90, 90]]
    assert (ax.get_xlim(), ax.get_ylim()) == before == ((0, 6), (4, 0))


def test_images_beyond_the_grid_are_omitted() -> None:
    figure = show_images(images(3), ["first", "second", "third"], rows=1, columns=2)
    assert [ax.get_title() for ax in figure.axes] == ["first", "second"]
