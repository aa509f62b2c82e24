"""Options of training that contradict each other.

Importing this module loads no torch, so that ``--help`` is quick.
"""

from eyebright.errors import InputError
from eyebright.workflow.train_option_fields import TrainOptionFields


def check_conflicts(options: TrainOptionFields) -> None:
    """Raises `InputError` if two options contradict each other.

    Raises:
        InputError: an option is for another head than the one that is trained, is planned by another option, or has no
            effect because of another one.
    """
    _check_head(options)
    _check_minutes(options)
    _check_start(options)
    if options.augment_views is not None and not (options.freeze_epochs != 0 and options.keep_statistics):
        raise InputError(
            "`augment_views` caches the features of a frozen backbone: it needs `freeze_epochs` greater than the "
            "number of views, and `keep_statistics=True`"
        )
    if options.flip and not options.augment:
        raise InputError(
            "`flip=True` mirrors images at random, but `augment=False` does not augment them: leave one out"
        )


def _check_minutes(options: TrainOptionFields) -> None:
    """Raises `InputError` if `minutes` is given together with an option that it plans."""
    if options.minutes is None:
        return
    for name in ("epochs", "steps_per_epoch"):
        if getattr(options, name) is not None:
            raise InputError(f"`minutes` plans `{name}` itself: leave one of them out")


def _check_start(options: TrainOptionFields) -> None:
    """Raises `InputError` if an option would change the head of the model that training starts from."""
    if options.start_from is not None and options.dropout is not None:
        raise InputError(
            "`dropout` is for a new head, but `start_from` continues with the head of its model: leave one of them out"
        )


def _check_head(options: TrainOptionFields) -> None:
    """Raises `InputError` if an option is not for the head that is trained."""
    head = "book" if options.has_book_head else "linear"
    other = "linear" if head == "book" else "book"
    if wrong := options.given_for_head(other):
        given = (
            f"`head='{head}'`"
            if options.head
            else f"`{options.given_for_head(head)[0]}`, which is for `head='{head}'`,"
        )
        raise InputError(f"`{wrong[0]}` is for `head='{other}'`, and {given} was given: leave one of them out")
    if options.head == "book" and not options.trains_epochs:
        raise InputError("`epochs=0` fits a linear head, but `head='book'` needs an epoch: leave one of them out")
    if options.wise_ft not in (None, 1) and not options.keep_statistics:
        raise InputError(
            f"`wise_ft={options.wise_ft:g}` averages weights, but an average of batch-norm statistics matches neither "
            f"model: leave it out, or keep the statistics"
        )
