"""`split_source`: a stratified random validation set for a `Source` that has none; units stay whole."""

from dataclasses import replace
from typing import Any, cast

from eyebright._defaults import VALID_PCT
from eyebright.sources.categorical import Categorical, Codes
from eyebright.sources.source import Source
from eyebright.sources.split import check_share
from eyebright.sources.split_plan import plan_split
from eyebright.sources.split_summary import summarize_split
from eyebright.sources.task_types import TARGET_FUNCTIONS


def split_source(source: Source, valid_pct: float = VALID_PCT, *, seed: int = 0, same: Codes | None = None) -> Source:
    """The source with a part for every image, and a message about the split.

    The split is stratified by labels, classes or quantiles of numbers, and groups stay whole. A source in which
    some images are for validation already keeps its parts, and a message tells if they divide groups; images for
    promise and test keep their part. The split depends on the names of the files and the seed, not on the order of the
    rows.

    Args:
        source: the labelled images.
        valid_pct: the share of the images outside of promise and test that is for validation, in [0, 1).
        seed: the seed of the split.
        same: shape (n,), the same code for images that stay together besides groups, such as near-duplicates of one
            another; None: not known. See `plan_split`.

    Raises:
        InputError: ``valid_pct`` is out of range.
        DataError: all images are of one group.
    """
    check_share("valid_pct", valid_pct)
    if source.split is not None:
        leaks = summarize_split(source, same=same).leaks()
        return source.with_messages(*leaks) if leaks else source
    plan = plan_split(source, {"train": 1 - valid_pct, "valid": valid_pct}, seed=seed, same=same)
    is_valid = plan.part.isin(["valid"])
    message = (
        f"split at random with seed {seed}: {int(is_valid.sum())} of {int(plan.is_drawn.sum())} images for validation"
    )
    notes = [note] if (note := TARGET_FUNCTIONS[source.block().task_type].split_note) else []
    source = replace(source, part=cast("Categorical[Any]", plan.part))
    summary = summarize_split(source, same=same)  # images that the data keep for testing may be of the same groups
    for kept_together, one, several in (
        (summary.groups, "group", "groups"),
        (summary.duplicates, "set of near-duplicates", "sets of near-duplicates"),
    ):
        if kept_together is not None and kept_together.total and not kept_together.divided:
            which = f"the {one}" if kept_together.total == 1 else f"each of the {kept_together.total} {several}"
            notes.append(f"{which} is in one part as a whole")
    return source.with_messages("; ".join([message, *notes]), *summary.leaks())
