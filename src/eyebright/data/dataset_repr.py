"""The display of datasets in a notebook: number of images, images per label, and a few thumbnails.

It is created whenever a cell returns a dataset, so it is fast and raises no error: labels are counted only if they have
been read before, only a few images are opened, and for one that cannot be opened its error is shown.
"""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PIL import ImageDraw

from eyebright import _html as html
from eyebright.image.image import Image
from eyebright.tasks.base import NO_LABEL_CAPTION, TargetBlock
from eyebright.types import Points

if TYPE_CHECKING:
    from eyebright.data.datasets import Dataset

_MAX_LABELS = 200  # rows of the table
_MAX_COUNTED = 200_000  # images; counting the labels of more would take too long
_THUMBNAILS = 6
_THUMBNAIL_SIDE = 112  # pixels of the longer side
_POINT_RADIUS = 3  # pixels
_MAX_CAPTION = 60  # characters


def describe_target(block: TargetBlock | None) -> str:
    """A target block on one line; "no target" for None."""
    return "no target" if block is None else block.describe()


def counts_text(datasets: Mapping[str, "Dataset"]) -> str:
    """The number of images of each dataset, for example ``"1,525 for training, 381 for validation"``."""
    return ", ".join(f"{len(dataset):,} {name}" for name, dataset in datasets.items())


def summary_html(title: str, datasets: Mapping[str, "Dataset"], facts: Sequence[Sequence[object]] = ()) -> str:
    """The HTML that a notebook shows for one or several datasets: counts, images per label, thumbnails of the first.

    Args:
        title: the heading.
        datasets: by name, the heading of their column; all have the same target block.
        facts: additional rows of the table: a name, and a value for each dataset.
    """
    first = next(iter(datasets.values()))
    counts = [label_counts(dataset) for dataset in datasets.values()]
    labels = dict.fromkeys(label for count in counts for label in count)
    rows = [("images", *(f"{len(dataset):,}" for dataset in datasets.values())), *facts]
    rows += [(label, *(f"{count[label]:,}" for count in counts)) for label in list(labels)[:_MAX_LABELS]]
    shown = 0 if first.spec.image is None else min(_THUMBNAILS, len(first))
    return html.block(
        title,
        html.paragraph(describe_target(first.target)),
        html.table(("", *datasets), rows, n_omitted=max(len(labels) - _MAX_LABELS, 0)),
        html.images([_thumbnail(first, len(first) * i // shown) for i in range(shown)]),
    )


def label_counts(dataset: "Dataset") -> Counter[str]:
    """Number of images with each label, in the order of the vocabulary; those without any label last.

    Empty where targets have no labels, have not all been read yet, or are too many to be counted for a notebook.
    """
    block = dataset.target
    if block is None or not block.label_names or len(dataset) > _MAX_COUNTED or not dataset.targets.are_all_read:
        return Counter()
    counts = Counter(dict.fromkeys(block.label_names, 0))
    for value in dataset.targets:
        counts.update(block.labels(value) or [NO_LABEL_CAPTION])
    return counts


def _thumbnail(dataset: "Dataset", i: int) -> tuple[bytes | None, str]:
    """The i-th image as a small JPEG with its target as caption; None with the error where it cannot be shown."""
    try:
        value, block = dataset.raw_target(i), dataset.target
        caption = str(value) if block is None else block.text(value) or NO_LABEL_CAPTION
        image = Image.create(dataset.image(i))
        return _jpeg(image, None if block is None else block.points_of(value)), _shorten(caption)
    except Exception as error:  # a user's getters and blocks may raise anything
        return None, _shorten(str(error))


def _jpeg(image: Image, points: Points | None) -> bytes:
    """The image as a thumbnail, with its points drawn on it."""
    small = image.to_thumb(_THUMBNAIL_SIDE)
    if points is not None:
        pen = ImageDraw.Draw(small)
        for xy in (points.xy[points.known] * small.width / image.shape.width).tolist():
            pen.circle(xy, _POINT_RADIUS, fill="red", outline="white")
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=80)
    return file.getvalue()


def _shorten(caption: str) -> str:
    return caption if len(caption) <= _MAX_CAPTION else caption[: _MAX_CAPTION - 1] + "…"
