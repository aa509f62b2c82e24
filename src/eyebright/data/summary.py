"""What is in data sets, for people: how many images, which labels how often, and a few of the images.

It is made while a person looks at a value in a notebook, so it is quick and never fails: labels are counted where they
have been read anyway, a handful of images is opened, and one that cannot be read is a line of text.
"""

import io
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from PIL import ImageDraw

from eyebright import _html as html
from eyebright.image.image import Image
from eyebright.tasks.base import NO_LABEL, TargetBlock
from eyebright.types import Points

if TYPE_CHECKING:
    from eyebright.data.datasets import Dataset

_MOST_LABELS = 200  # rows of the table
_MOST_COUNTED = 200_000  # images; counting more takes too long for a look
_IMAGES = 6
_SIDE = 112  # pixels of their longer side
_DOT = 3  # pixels, a point's radius
_LONGEST = 60  # letters of the words under an image


def describe_target(target: TargetBlock | None) -> str:
    """A target block on one line, also where there is none."""
    return "no target" if target is None else target.describe()


def sides_text(sides: Mapping[str, "Dataset"]) -> str:
    """How many images each side has, for example ``"1,525 to train, 381 to validate"``."""
    return ", ".join(f"{len(side):,} {name}" for name, side in sides.items())


def sides_html(title: str, sides: Mapping[str, "Dataset"], facts: Sequence[Sequence[object]] = ()) -> str:
    """What a notebook shows of data sets.

    Args:
        title: what they are.
        sides: by name; they have the same fields.
        facts: more rows of the table: a name, and a value for each side.
    """
    first = next(iter(sides.values()))
    counts = [label_counts(side) for side in sides.values()]
    names = dict.fromkeys(name for count in counts for name in count)
    rows = [("images", *(f"{len(side):,}" for side in sides.values())), *facts]
    rows += [(name, *(f"{count[name]:,}" for count in counts)) for name in list(names)[:_MOST_LABELS]]
    shown = 0 if first.fields.image is None else min(_IMAGES, len(first))
    return html.block(
        title,
        html.paragraph(describe_target(first.fields.target)),
        html.table(("", *sides), rows, left_out=max(len(names) - _MOST_LABELS, 0)),
        html.images([_small(first, len(first) * i // shown) for i in range(shown)]),
    )


def label_counts(side: "Dataset") -> Counter[str]:
    """Images with each label, in the order of the vocabulary; those without any label last.

    Empty where targets have no labels, have not all been read yet, or are too many to be counted for a notebook.
    """
    target = side.fields.target
    if target is None or not target.label_names or len(side) > _MOST_COUNTED or not side.targets.known():
        return Counter()
    counts = Counter(dict.fromkeys(target.label_names, 0))
    for value in side.targets:
        counts.update(target.labels(value) or [NO_LABEL])
    return counts


def _small(side: "Dataset", i: int) -> tuple[bytes | None, str]:
    """The i-th image as a small JPEG, and its target in words, or why it cannot be shown."""
    try:
        value, target = side.value(i), side.fields.target
        words = str(value) if target is None else target.words(value) or NO_LABEL
        image = Image.create(side.fields.x(side.source, side.indices[i]))
        return _jpeg(image, None if target is None else target.marks(value)), _cut(words)
    except Exception as error:  # getters and blocks of the user's own may raise anything
        return None, _cut(str(error))


def _jpeg(image: Image, marks: Points | None) -> bytes:
    """The image made small, with its points."""
    small = image.to_thumb(_SIDE)
    if marks is not None:
        pen = ImageDraw.Draw(small)
        for xy in (marks.xy[marks.visible] * small.width / image.shape.width).tolist():
            pen.circle(xy, _DOT, fill="red", outline="white")
    file = io.BytesIO()
    small.save(file, format="JPEG", quality=80)
    return file.getvalue()


def _cut(words: str) -> str:
    return words if len(words) <= _LONGEST else words[: _LONGEST - 1] + "…"
