"""`read`: the labelled images that the options of a command name."""

from pathlib import Path

from eyebright.sources.read import read_source
from eyebright.sources.source import Source
from eyebright.workflow.read_options import ReadOptions


def read(path: Path, options: ReadOptions) -> Source:
    """The labelled images of a label file or a folder.

    Args:
        path: the label file or the folder.
        options: the options of reading.

    Raises:
        InputError: as in `eyebright.sources.read.read_source`.
    """
    return read_source(
        path,
        images=options.images,
        files=options.files,
        labels=options.labels,
        not_labels=options.not_labels,
        delimiter=options.delimiter,
        pattern=options.pattern,
        kind=options.kind,
        mirror=options.mirror,
        unit=options.unit,
        format=options.format,
        blank=options.blank,
        uncertain=options.uncertain,
        none_label=options.none_label,
        group=options.group,
        split=options.split,
        valid_fold=options.valid_fold,
        valid=options.valid,
        test=options.test,
    )
