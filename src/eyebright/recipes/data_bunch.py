"""Batches of both sides under the names of the recipes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxtyping import Float
from torch import Tensor

from eyebright.data.block import DataBlock
from eyebright.data.loader import Loader
from eyebright.transforms.normalize import Normalize


class ImageDataBunch:
    """What ``.databunch()`` gives; `dls` are the same batches under the names of the rest of Eyebright.

    Args:
        block: how items become samples.
        items: the source of the block.
        path: where a learner keeps its files.
        options: ``bs``, ``val_bs``, ``num_workers`` and ``device``, as in `DataBlock.dataloaders`.
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
        """The same data, for a model that normalises with these means and standard deviations.

        Args:
            stats: (means, standard deviations); None leaves them to the model's weights, which know what they want.
        """
        given = self._block.batch_tfms or []
        kept = [one for one in given if not isinstance(one, Normalize)]
        more = [] if stats is None else [Normalize.from_stats(*stats)]
        return ImageDataBunch(self._block.new(batch_tfms=[*kept, *more]), self._items, self.path, self._options)

    @property
    def c(self) -> int:
        """How many outputs a model needs."""
        return self.dls.c

    @property
    def classes(self) -> list[str]:
        """The names of the classes."""
        return list(self.dls.vocab)

    @property
    def train_dl(self) -> Loader:
        """Batches of the training side."""
        return self.dls.train

    @property
    def valid_dl(self) -> Loader:
        """Batches of the validation side."""
        return self.dls.valid

    def one_batch(self) -> tuple[Tensor, Tensor | None]:
        """(x, y) of a first training batch."""
        return self.dls.one_batch()

    def batch_stats(self) -> tuple[Float[Tensor, " c"], Float[Tensor, " c"]]:
        """The mean and the standard deviation of each channel over one validation batch."""
        channels = self.valid_dl.one_batch()[0].transpose(0, 1).flatten(1)
        return channels.mean(1), channels.std(1)

    def show_batch(self, rows: int = 5, figsize: tuple[float, float] | None = None) -> None:
        """Draw ``rows`` times ``rows`` images of a training batch with their labels."""
        self.dls.show_batch(max_n=rows * rows, nrows=rows, ncols=rows, figsize=figsize)

    def __repr__(self) -> str:
        sides = f"Train: {len(self.dls.train_ds)} items; Valid: {len(self.dls.valid_ds)} items"
        return f"ImageDataBunch; {sides}; {self.c} outputs; Path: {self.path}"

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return self.dls.to_html("ImageDataBunch")
