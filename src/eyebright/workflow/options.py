"""`TrainOptions`: how a model is trained; each option is declared once, in `eyebright.workflow.train_option_fields`.

Importing this module loads no torch, so that ``--help`` is fast.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

from eyebright import _defaults
from eyebright.workflow.option import check_options, option_fields, with_options_in_docstring
from eyebright.workflow.option_conflicts import check_conflicts
from eyebright.workflow.train_option_fields import TrainOptionFields


@with_options_in_docstring
@final
@dataclass(frozen=True)
class TrainOptions(TrainOptionFields):
    """The training options; the defaults suit a few thousand photographs."""

    def __post_init__(self) -> None:
        check_options(self)
        check_conflicts(self)

    @property
    def backbone(self) -> str:
        """The name of the architecture; the default if none is given."""
        return self.arch or _defaults.ARCH

    def with_defaults(self) -> "TrainOptions":
        """The options with default backbone, size and epochs in place of None; with ``minutes`` epochs stay None."""
        epochs = _defaults.EPOCHS if self.epochs is None and self.minutes is None else self.epochs
        return replace(self, arch=self.backbone, epochs=epochs, size=self.size or _defaults.IMAGE_SIZE)

    def override(self, given: Mapping[str, Any]) -> "TrainOptions":
        """The options with other values; settings without effect under these values are left out.

        These are settings for another head, and those of epochs if no epoch is trained: saved options also have the
        values that were chosen by default.

        Args:
            given: the values by name.

        Raises:
            InputError: a value is invalid, or two contradict each other.
        """
        fields = option_fields(TrainOptions)
        heads = [given.get("head"), *(field.option.head for field in fields if field.name in given)]
        head = next(filter(None, heads), "linear" if given.get("epochs") == 0 else None)
        own = "book" if self.has_book_head else "linear"
        left_out = {}
        if head not in (None, own):
            left_out = {field.name: None for field in fields if field.option.head == own}
            left_out |= {"head": None, "lr": None, "lr_mult": None}
        if given.get("start_from") is not None:
            left_out |= {"arch": None, "size": None, "whole": None, "folds": None, "dropout": None}
        if given.get("minutes") is not None:
            left_out |= {"epochs": None, "steps_per_epoch": None}
        elif given.get("epochs") is not None:
            left_out |= {"minutes": None}
        if given.get("epochs", self.epochs) == 0:
            left_out |= {field.name: field.default for field in fields if field.option.needs_epochs}
        return replace(self, **{**left_out, **given})

    @staticmethod
    def load(path: str | Path) -> "TrainOptions":
        """The options of an ``options.json`` file, with the batch size and precision that the training run used.

        Args:
            path: the file, or the model folder that contains it.

        Raises:
            InputError: the file is missing or invalid, or an option in it is unknown.
        """
        from eyebright.workflow.saved_options import SavedOptions

        return SavedOptions.load(path).training
