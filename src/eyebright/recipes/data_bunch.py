"""`ImageDataBunch`: training and validation batches as in Microsoft's computer-vision recipes (fastai 1)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from eyebright.data.block import DataBlock
from eyebright.data.loader import Loader
from eyebright.errors import count_text
from eyebright.transforms.normalize import Normalize


class ImageDataBunch:
    """Training and validation batches; the attribute `dls` has them as `DataLoaders`.

    Args:
        block: the data block.
        items: the source of the items, see `DataBlock.dataloaders`.
        path: the folder for the files of a learner.
        options: ``bs``, ``val_bs``, ``num_workers`` and ``device``, as in `DataBlock.dataloaders`.

    Raises:
        DataError: the batches cannot be created, see `DataBlock.dataloaders`.
    """

    def __init__(self, block: DataBlock, items: Any, path: Path, options: Mapping[str, Any]) -> None:
        self._block = block
        self._items = items
        self._options = dict(options)
        self.path = path
        self.dls = block.dataloaders(
            items,
            path,
            bs=options["bs"],
            val_bs=options["val_bs"],
            num_workers=options["num_workers"],
            device=options["device"],
        )

    def normalize(self, stats: tuple[Sequence[float], Sequence[float]] | None = None) -> "ImageDataBunch":
        """The same data with the statistics for normalisation.

        Args:
            stats: (means, standard deviations), one value per channel; None for those of the pretrained weights.
        """
        transforms = [transform for transform in self._block.batch_tfms or [] if not isinstance(transform, Normalize)]
        if stats is not None:
            transforms.append(Normalize.from_stats(*stats))
        return ImageDataBunch(self._block.new(batch_tfms=transforms), self._items, self.path, self._options)

    @property
    def c(self) -> int:
        """The number of outputs of a model for this data."""
        return self.dls.c

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        return list(self.dls.vocab)

    @property
    def train_dl(self) -> Loader:
        """The training batches."""
        return self.dls.train

    @property
    def valid_dl(self) -> Loader:
        """The validation batches."""
        return self.dls.valid

    def one_batch(self) -> tuple[Tensor, Tensor | None]:
        """(x, y) of the first training batch: images of shape (b, c, h, w) and their targets."""
        return self.dls.one_batch()

    def batch_stats(self) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
        """(mean, standard deviation) of each channel over one validation batch."""
        channels = self.valid_dl.one_batch()[0].transpose(0, 1).flatten(1)
        return channels.mean(1), channels.std(1)

    def show_batch(self, rows: int = 5, figsize: tuple[float, float] | None = None) -> None:
        """Show a grid of ``rows`` times ``rows`` training images with their labels."""
        self.dls.show_batch(max_n=rows * rows, nrows=rows, ncols=rows, figsize=figsize)

    def __repr__(self) -> str:
        sizes = f"Train: {len(self.dls.train_ds)} items; Valid: {len(self.dls.valid_ds)} items"
        return f"ImageDataBunch; {sizes}; {count_text(self.c, 'output')}; Path: {self.path}"

    def _repr_html_(self) -> str:
        """The HTML that Jupyter displays."""
        return self.dls.to_html("ImageDataBunch")
