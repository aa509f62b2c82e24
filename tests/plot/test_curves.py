"""Curves of losses, learning rates, metrics and functions."""

import sys
from collections.abc import Iterator

import matplotlib as mpl
import numpy as np
import pytest
import torch
from matplotlib import pyplot as plt

from eyebright.errors import MissingExtraError
from eyebright.plot.curves import (
    plot_function,
    plot_loss,
    plot_lr_find,
    plot_metric_histories,
    plot_threshold_curve,
)


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


def test_the_learning_curve_omits_the_first_steps():
    ax = plot_loss([9.0, 8.0, 2.0, 1.5, 1.0], [(1, 8.5), (5, 1.2)], skip_start=2)
    train, valid = ax.lines
    assert train.get_xydata().tolist() == [[2, 2.0], [3, 1.5], [4, 1.0]]
    assert valid.get_xydata().tolist() == [[5, 1.2]]
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("learning curve", "steps", "loss")


def test_a_curve_is_drawn_on_given_axes():
    ax = plt.subplots()[1]
    assert plot_loss([1.0] * 9, ax=ax, log=True) is ax
    assert ax.get_yscale() == "log"
    assert plt.get_fignums() == [ax.figure.number]


def test_suggested_learning_rates_are_marked_on_the_curve():
    lrs = [1e-4, 1e-3, 1e-2, 1e-1]
    ax = plot_lr_find(lrs, [4.0, 3.0, 1.0, 5.0], {"valley": 1e-3, "steep": 10**-2.5})
    assert ax.get_xscale() == "log"
    marks = [line.get_xydata()[0].tolist() for line in ax.lines[1:]]
    assert marks == [[1e-3, pytest.approx(3.0)], [10**-2.5, pytest.approx(2.0)]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["valley 0.001", "steep 0.0032"]


def test_a_diverging_loss_does_not_stretch_the_loss_axis():
    losses = [1.0, 0.9, 0.7, 0.6, 0.8, 2.4]
    ax = plot_lr_find([10.0**i for i in range(-6, 0)], losses, {})
    low, high = ax.get_ylim()
    assert low < 0.6
    assert 1.0 < high < 2.4
    converging = plot_lr_find([1e-3, 1e-2, 1e-1], [1.0, 0.9, 0.8], {}).get_ylim()
    assert converging[0] < 0.8
    assert converging[1] > 1.0


def test_a_learning_rate_search_without_suggestions_has_no_legend():
    assert plot_lr_find([1e-3, 1e-2], [1.0, 2.0], {}).get_legend() is None


def test_the_threshold_in_use_is_a_vertical_line():
    ax = plot_threshold_curve([0, 0.5, 1], {"F1": [0.1, 0.9, 0], "recall": [1, 0.8, 0]}, chosen=0.25)
    assert [line.get_label() for line in ax.lines] == ["F1", "recall", "in use: 0.25"]
    assert list(ax.lines[2].get_xdata()) == [0.25, 0.25]


def test_a_function_is_plotted_over_its_range():
    plot_function(torch.sigmoid, "x", "y", "sigmoid", min=-4, max=4)
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
        plot_loss([1.0])


def test_metric_histories_have_one_axes_per_metric() -> None:
    figure = plot_metric_histories({"a": [1, 2], "b": [3, 4]}, {"a": [5, 6], "b": [7, 8]})
    assert [ax.get_title() for ax in figure.axes] == ["a", "b"]
    assert [list(line.get_ydata()) for line in figure.axes[1].lines] == [[3, 4], [7, 8]]
