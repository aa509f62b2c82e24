"""The settings of fine-tuning: the options, with the defaults of the head that is trained.

Importing this module loads no torch, so that ``--help`` is fast.
"""

from typing import NamedTuple, TypeVar

from eyebright import _defaults
from eyebright.workflow.options import TrainOptions

T = TypeVar("T")


class FineTuning(NamedTuple):
    """The settings of fine-tuning, with the defaults of the head.

    Args:
        head: the initial head, ``"linear"`` or ``"book"``, see `TrainOptions`.
        lr: peak learning rate of the head.
        lr_mult: learning rate of the head divided by that of the first layers.
        freeze_epochs: epochs with a frozen backbone; None for a linear head, which is fitted.
        dropout: dropout of the head; None for a linear head.
        wise_ft: share of the fine-tuned weights in the final ones; None to choose the share, and for the head of the
            book.
    """

    head: str
    lr: float
    lr_mult: float
    freeze_epochs: int | None = None
    dropout: float | None = None
    wise_ft: float | None = None


def fine_tuning_of(options: TrainOptions) -> FineTuning:
    """The settings of the options, with the defaults of the head in place of None."""
    if not options.has_book_head:
        return FineTuning(
            "linear",
            _value_or(options.lr, _defaults.LP_FT_LR),
            _value_or(options.lr_mult, _defaults.LP_FT_LR_MULT),
            wise_ft=options.wise_ft,
        )
    return FineTuning(
        "book",
        _value_or(options.lr, _defaults.BASE_LR),
        _value_or(options.lr_mult, _defaults.LR_MULT),
        _value_or(options.freeze_epochs, _defaults.FREEZE_EPOCHS),
        _value_or(options.dropout, _defaults.DROPOUT),
    )


def _value_or(given: T | None, default: T) -> T:
    return default if given is None else given
