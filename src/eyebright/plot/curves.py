"""Curves: losses, learning rates, metrics of an epoch or a threshold, and functions."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from eyebright.plot.figure import pyplot

if TYPE_CHECKING:
    import matplotlib.axes
    import matplotlib.figure


def plot_loss(
    losses: Sequence[float],
    valid: Sequence[tuple[int, float]] = (),
    *,
    skip_start: int = 5,
    log: bool = False,
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.axes.Axes":
    """The axes of a learning curve: the training loss as a line, the validation loss as points.

    Args:
        losses: the (smoothed) training loss after each step.
        valid: (number of steps, validation loss) of each validation.
        skip_start: number of first steps to omit, because the large loss of a new head would hide later changes.
        log: True for a logarithmic loss axis.
        ax: axes to draw on; by default those of a new figure.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    ax = _axes_or_new(ax)
    ax.plot(range(skip_start, len(losses)), losses[skip_start:], label="train")
    points = [(step, loss) for step, loss in valid if step >= skip_start]
    if points:
        ax.plot([step for step, _ in points], [loss for _, loss in points], "o-", label="valid")
    ax.set(title="learning curve", xlabel="steps", ylabel="loss", yscale="log" if log else "linear")
    ax.legend()
    return ax


def plot_lr_find(
    lrs: Sequence[float],
    losses: Sequence[float],
    suggestions: Mapping[str, float],
    *,
    ax: "matplotlib.axes.Axes | None" = None,
) -> "matplotlib.axes.Axes":
    """The axes of a learning rate search: the loss over the learning rate, with the suggestions as points.

    Args:
        lrs: learning rates, increasing.
        losses: the (smoothed) loss at each learning rate.
        suggestions: name and learning rate of each suggestion, for example ``{"valley": 1e-3}``.
        ax: axes to draw on; by default those of a new figure.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    ax = _axes_or_new(ax)
    ax.plot(lrs, losses)
    for name, rate in suggestions.items():
        loss = float(np.interp(math.log(rate), np.log(lrs), losses))
        ax.plot([rate], [loss], "o", label=f"{name} {rate:.2g}")
    ax.set(xlabel="learning rate", ylabel="loss", xscale="log")
    # The diverging loss at the end would compress the interesting part of the curve.
    until_minimum = losses[: int(np.argmin(losses)) + 1]
    top = min(losses) + 2 * (max(until_minimum) - min(losses))
    if min(losses) < top < max(losses):
        ax.set_ylim(min(losses) - 0.05 * (top - min(losses)), top)
    if suggestions:
        ax.legend()
    return ax


def plot_rates(
    lrs: Sequence[float],
    *,
    ax: "matplotlib.axes.Axes | None" = None,
    figsize: tuple[float, float] | None = None,
) -> "matplotlib.axes.Axes":
    """The axes of the learning rate at each step.

    Args:
        lrs: the learning rates of each step.
        ax: axes to draw on; by default those of a new figure.
        figsize: width and height of the new figure in inches.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    ax = _axes_or_new(ax, figsize)
    ax.plot(lrs)
    ax.set(xlabel="steps", ylabel="learning rate")
    return ax


def plot_threshold_curve(
    thresholds: Sequence[float],
    curves: Mapping[str, Sequence[float]],
    *,
    chosen: float | None = None,
    ax: "matplotlib.axes.Axes | None" = None,
    figsize: tuple[float, float] | None = None,
) -> "matplotlib.axes.Axes":
    """The axes of scores over the decision threshold.

    Args:
        thresholds: the thresholds, in [0, 1], increasing.
        curves: for each score its name and its values at the thresholds.
        chosen: the threshold in use, drawn as a vertical line.
        ax: axes to draw on; by default those of a new figure.
        figsize: width and height of the new figure in inches; by default that of Matplotlib.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    ax = _axes_or_new(ax, figsize)
    for name, scores in curves.items():
        ax.plot(thresholds, scores, label=name)
    if chosen is not None:
        ax.axvline(chosen, color="grey", linestyle="--", label=f"in use: {chosen:.2f}")
    ax.set(xlabel="threshold", ylabel="score", xlim=(0, 1), ylim=(0, 1.02))
    ax.legend()
    return ax


def plot_metric_histories(
    train: Mapping[str, Sequence[float]], valid: Mapping[str, Sequence[float]]
) -> "matplotlib.figure.Figure":
    """A figure with one axes per metric: its values on the training and the validation set over the epochs.

    Args:
        train: the name of each metric, and its value on the training set in each epoch.
        valid: the same for the validation set.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    figure, axes = pyplot().subplots(1, len(train), figsize=(5 * len(train), 4), squeeze=False)
    for ax, name in zip(axes.flat, train, strict=True):
        ax.plot(train[name], "o-", label="train")
        ax.plot(valid[name], "o-", label="valid")
        ax.set(title=name, xlabel="epoch")
        ax.legend()
    return figure


def plot_function(
    f: Callable[[Tensor], Tensor],
    tx: str | None = None,
    ty: str | None = None,
    title: str | None = None,
    min: float = -2,  # noqa: A002  # fastai's names
    max: float = 2,  # noqa: A002
    figsize: tuple[float, float] = (6, 4),
) -> None:
    """Plot a function of one variable.

    Args:
        f: an element-wise function of a tensor.
        tx: label of the x axis.
        ty: label of the y axis.
        title: title of the figure.
        min: minimum of x.
        max: maximum of x.
        figsize: width and height of the figure in inches.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    x = torch.linspace(min, max, 100)
    ax = pyplot().subplots(figsize=figsize)[1]
    ax.plot(x.tolist(), f(x).tolist())
    ax.set(xlabel=tx or "", ylabel=ty or "", title=title or "")


def _axes_or_new(
    ax: "matplotlib.axes.Axes | None", figsize: tuple[float, float] | None = None
) -> "matplotlib.axes.Axes":
    return pyplot().subplots(figsize=figsize)[1] if ax is None else ax
