"""Shows images with their targets and predictions: `Learner.show_results`."""

from contextlib import closing

from eyebright.data.loader import Loader
from eyebright.data.show import show_predictions
from eyebright.tasks.decision import Decision
from eyebright.train.trainer import Trainer


def show_first_batch(
    trainer: Trainer,
    loader: Loader,
    decision: Decision,
    max_n: int,
    *,
    grid: tuple[int | None, int | None],
    figsize: tuple[float, float] | None,
) -> None:
    """Shows the images of the first batch of a loader with their targets and predictions.

    Args:
        trainer: computes the outputs.
        loader: the loader, without augmentation.
        decision: converts outputs to predictions.
        max_n: maximum number of images.
        grid: number of rows and of columns.
        figsize: width and height of the figure in inches; None for 3 inches per image.

    Raises:
        InputError: no image can be read.
        MissingExtraError: Matplotlib is not installed.
    """
    with closing(loader.batches()) as batches:
        batch = next(batches)
    outputs = trainer.dls.target.to_user_units(trainer.outputs.of_batch(batch), batch.warps)
    decoded = decision.decode_batch(decision.activate(outputs)[:max_n])
    show_predictions(loader.dataset, batch, decoded, grid=grid, figsize=figsize)
