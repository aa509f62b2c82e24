"""A walk through a data block: one sample, one batch, every step with what it gives.

It never raises for what is wrong with the data: where a step fails, the walk ends there and says which file, which
step and what to do.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eyebright.data.datasets import Datasets
from eyebright.errors import EyebrightError
from eyebright.image.warp import Warp
from eyebright.sources.items import item_at, where
from eyebright.transforms.draw import draw_all
from eyebright.transforms.pipeline import Pipeline, Preprocessed


def describe(
    source: Any, *, datasets: Callable[[], Datasets], pipeline: Callable[[], Pipeline] | None, bs: int
) -> Iterator[str]:
    """The lines of the walk.

    Args:
        source: where the items come from, only to name it.
        datasets: makes the data sets; what is wrong with the items is found out there.
        pipeline: makes the pipeline; None: there are no images to batch.
        bs: images in the batch that is tried.
    """
    try:
        yield f"Collecting items from {_source(source)}"
        both = datasets()
        yield f"Found {len(both)} items"
        yield f"2 datasets of sizes {len(both.train)},{len(both.valid)}"
        if left := len(both) - len(both.train) - len(both.valid):
            yield f"  {left} items are on neither side"
        yield from _fitted(both)
        yield from _one_sample(both)
        if pipeline is not None:
            yield from _one_batch(both, pipeline(), min(bs, len(both.train)))
    except EyebrightError as error:
        yield ""
        yield f"Stopped here: {error}"
    except Exception as error:  # the user's own getters may raise anything
        yield ""
        yield f"Stopped here: {type(error).__name__}: {error}"


def _fitted(datasets: Datasets) -> Iterator[str]:
    target = datasets.fields.target
    if target is None:
        return
    yield f"Target: {type(target).__name__} with {target.width} outputs: {_short(list(target.output_names))}"
    if target.label_names:
        bare = sum(not target.labels(value) for value in datasets.train.targets)
        if bare:
            yield f"  {bare} training images have no label"


def _one_sample(datasets: Datasets) -> Iterator[str]:
    fields, train = datasets.fields, datasets.train
    index = train.indices[0]
    item = item_at(datasets.items, index)
    yield ""
    yield f"Building one sample, from {where(datasets.items, index)}"
    for name, getter, block in (("x", fields.get_x, fields.image), ("y", fields.get_y, fields.target)):
        yield f"  {name}: starting from {_short(item)}"
        raw = item
        if getter is not None:
            raw = getter(item)
            yield f"     applying {_name(getter)} gives {_short(raw)}"
        if block is not None:
            yield f"     applying {type(block).__name__} gives {_short(block.read(raw))}"
    x, y = train[0]
    yield f"Final sample: ({_short(x)}, {_short(y)})"


def _one_batch(datasets: Datasets, pipeline: Pipeline, bs: int) -> Iterator[str]:
    fields, train = datasets.fields, datasets.train
    yield ""
    yield "Building one batch"
    sample = train.sample(0)
    generator = np.random.default_rng(0)
    yield f"  an image of {_size(sample.image.shape)}"
    whole = draw_all([], sample.image.shape, None)
    for transform in pipeline.transforms:
        whole = whole.then(transform.draw(whole.warp.size, generator))
        yield f"     applying {transform!r} gives {_size(whole.warp.size)}"
    yield f"  all of it as one resample, from {_size(whole.warp.source)} to {_size(whole.warp.size)}"
    yield f"Adding the next {bs - 1} samples" if bs > 1 else "A batch of one"
    batch: list[Preprocessed] = []
    targets: list[Tensor] = []
    for i in range(bs):
        sample = train.sample(i)
        preprocessed = pipeline.preprocess(pipeline.draw(sample.image, np.random.default_rng([0, i])))
        batch.append(preprocessed)
        if fields.target is not None:
            targets.append(fields.target.encode(sample.value, preprocessed.warp))
    yield "Collating them in a batch"
    x = pipeline.finish(batch, torch.device("cpu"))
    if pipeline.normalize is not None:
        yield f"  the model will apply {pipeline.normalize!r}"
    y = torch.stack(targets) if targets else None
    yield f"One batch: x {_tensor(x)}" + (f", y {_tensor(y)}" if y is not None else "")


def _source(source: Any) -> str:
    columns = getattr(source, "columns", None)
    return _short(source) if columns is None else f"a table with the columns {_short(list(columns))}"


def _name(getter: Any) -> str:
    name = getattr(getter, "__name__", None)
    return "your function" if name == "<lambda>" else name or repr(getter)


def _tensor(x: Tensor) -> str:
    return f"{'x'.join(map(str, x.shape))} {str(x.dtype).removeprefix('torch.')}"


def _size(size: tuple[int, int]) -> str:
    height, width = size
    return f"{height}x{width} (height x width)"


def _short(value: Any) -> str:
    """The value on one line of bearable length."""
    if isinstance(value, Warp):
        value = value.size
    elif hasattr(value, "to_dict") and hasattr(value, "index"):
        value = dict(list(value.to_dict().items())[:6])
    text = " ".join(str(value).split())
    return text if len(text) <= 200 else text[:197] + "..."
