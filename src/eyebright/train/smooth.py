"""An exponentially weighted mean of the noisy loss, for the progress bar, plots and the learning-rate finder.

The ``train_loss`` of the history is something else: the exact mean over the epoch's images.
"""

from collections.abc import Iterable


class SmoothLoss:
    """Exponentially weighted mean of the losses, with Adam's bias correction (arXiv:1412.6980, section 3).

    Args:
        beta: the weight of the past; 0.98 as in the book.
    """

    def __init__(self, beta: float = 0.98) -> None:
        self._beta = beta
        self._sum = 0.0
        self._count = 0

    def add(self, loss: float) -> float:
        """Adds a loss; returns the mean."""
        self._sum = self._beta * self._sum + (1 - self._beta) * loss
        self._count += 1
        return self._sum / (1 - self._beta**self._count)


def smoothed(losses: Iterable[float], *, beta: float = 0.98) -> list[float]:
    """The smoothed losses, for plotting."""
    smooth = SmoothLoss(beta)
    return [smooth.add(loss) for loss in losses]
