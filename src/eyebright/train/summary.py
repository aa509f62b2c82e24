"""The summary that the book prints: the model's layers, and how it is trained."""

from dataclasses import dataclass

from eyebright import _html as html
from eyebright.models.summary import ModelSummary


@dataclass(frozen=True, repr=False)
class TrainingSummary:
    """The table that the book prints: the model's layers, the optimizer, the loss, and what is frozen.

    Args:
        model: its layers.
        optimizer: its name.
        loss: its name.
        frozen_to: the groups before this one are frozen.
    """

    model: ModelSummary
    optimizer: str
    loss: str
    frozen_to: int

    def __str__(self) -> str:
        optimizer, loss, frozen = self._lines()
        return f"{self.model}\n\n{optimizer}\n{loss}\n\n{frozen}\n"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return html.block("", self.model.to_html(), *map(html.paragraph, self._lines()))

    def _lines(self) -> tuple[str, str, str]:
        frozen = f"Model frozen up to parameter group #{self.frozen_to}" if self.frozen_to else "Model unfrozen"
        return f"Optimizer used: {self.optimizer}", f"Loss function: {self.loss}", frozen
