"""`summary_lines`: the text of `DataBlock.summary`, which shows each step of making one sample and one batch.

An error in the data or in a getter is not raised: the text ends with its message, which names the item and what to do.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from eyebright.data.datasets import Datasets
from eyebright.errors import EyebrightError, count_text
from eyebright.image.canonical import CANONICAL
from eyebright.image.warp import Warp
from eyebright.sources.items import describe_item, item_at
from eyebright.transforms.draw import TransformParams
from eyebright.transforms.pipeline import Pipeline, Preprocessed


def summary_lines(
    source: Any, *, make_datasets: Callable[[], Datasets], make_pipeline: Callable[[], Pipeline] | None, bs: int
) -> Iterator[str]:
    """The lines of the summary.

    Args:
        source: where the items come from; only its name is used.
        make_datasets: makes the datasets; errors in the items are found here.
        make_pipeline: makes the pipeline; None: there are no images to batch.
        bs: batch size.
    """
    try:
        yield f"Collecting items from {_source_name(source)}"
        datasets = make_datasets()
        yield f"Found {len(datasets)} items"
        yield f"2 datasets of sizes {len(datasets.train)},{len(datasets.valid)}"
        if unused := len(datasets) - len(datasets.train) - len(datasets.valid):
            yield f"  {unused} items are in neither of them"
        yield from _target_lines(datasets)
        yield from _sample_lines(datasets)
        if make_pipeline is not None:
            yield from _batch_lines(datasets, make_pipeline(), min(bs, len(datasets.train)))
    except EyebrightError as error:
        yield ""
        yield f"Stopped here: {error}"
    except Exception as error:  # a user's getters may raise anything
        yield ""
        yield f"Stopped here: {type(error).__name__}: {error}"


def _target_lines(datasets: Datasets) -> Iterator[str]:
    block = datasets.target
    if block is None:
        return
    outputs = count_text(block.n_out, "output")
    yield f"Target: {type(block).__name__} with {outputs}: {_shorten(list(block.output_names))}"
    if block.label_names:
        unlabelled = sum(not block.labels(value) for value in datasets.train.targets)
        if unlabelled:
            yield f"  {unlabelled} training images have no label"


def _sample_lines(datasets: Datasets) -> Iterator[str]:
    spec, train = datasets.spec, datasets.train
    index = train.indices[0]
    item = item_at(datasets.items, index)
    yield ""
    yield f"Building one sample, from {describe_item(datasets.items, index)}"
    for name, getter, block in (("x", spec.get_x, spec.image), ("y", spec.get_y, spec.target)):
        yield f"  {name}: starting from {_shorten(item)}"
        raw = item
        if getter is not None:
            raw = getter(item)
            yield f"     applying {_getter_name(getter)} gives {_shorten(raw)}"
        if block is not None:
            yield f"     applying {type(block).__name__} gives {_shorten(block.read(raw))}"
    x, y = train[0]
    yield f"Final sample: ({_shorten(x)}, {_shorten(y)})"


def _batch_lines(datasets: Datasets, pipeline: Pipeline, bs: int) -> Iterator[str]:
    block, train = datasets.target, datasets.train
    yield ""
    yield "Building one batch"
    sample = train.sample(0)
    generator = np.random.default_rng(0)
    yield f"  an image of {_size_text(sample.image.shape)}"
    drawn = TransformParams(Warp.identity(sample.image.shape))
    for transform in pipeline.transforms:
        drawn = drawn.then(transform.draw(drawn.warp.output_size, generator))
        yield f"     applying {transform!r} gives {_size_text(drawn.warp.output_size)}"
    sizes = f"from {_size_text(drawn.warp.input_size)} to {_size_text(drawn.warp.output_size)}"
    yield f"  all transforms composed to one resampling, {sizes}"
    yield f"Adding the next {bs - 1} samples" if bs > 1 else "A batch of one"
    images: list[Preprocessed] = []
    targets: list[Tensor] = []
    for i in range(bs):
        sample = train.sample(i)
        preprocessed = pipeline.preprocess(pipeline.draw(sample.image, np.random.default_rng([0, i])))
        images.append(preprocessed)
        if block is not None:
            targets.append(block.encode(sample.raw_target, preprocessed.warp))
    yield "Collating them in a batch"
    x = pipeline.to_batch(images, torch.device("cpu"))
    if pipeline.normalize is not None:
        yield f"  the model will apply {pipeline.normalize!r}"
    y = torch.stack(targets) if targets else None
    yield f"One batch: x {_tensor_text(x)}" + (f", y {_tensor_text(y)}" if y is not None else "")
    yield f"Validation images: {_pixels_text(pipeline)}"


def _pixels_text(pipeline: Pipeline) -> str:
    if pipeline.pixels_version == CANONICAL:
        return f"resized with an antialiased bilinear filter, the same with every version of Pillow ({CANONICAL})"
    return (
        f"{pipeline.pixels_version} pixels, which depend on the version of Pillow, since the transforms do more with"
        f" them than resize (bilinear), crop and pad with black ({CANONICAL})"
    )


def _source_name(source: Any) -> str:
    columns = getattr(source, "columns", None)
    return _shorten(source) if columns is None else f"a table with the columns {_shorten(list(columns))}"


def _getter_name(getter: Any) -> str:
    name = getattr(getter, "__name__", None)
    return "your function" if name == "<lambda>" else name or repr(getter)


def _tensor_text(x: Tensor) -> str:
    return f"{'x'.join(map(str, x.shape))} {str(x.dtype).removeprefix('torch.')}"


def _size_text(size: tuple[int, int]) -> str:
    height, width = size
    return f"{height}x{width} (height x width)"


def _shorten(value: Any) -> str:
    """The value as text on one line of at most 200 characters."""
    if isinstance(value, Warp):
        value = value.output_size
    elif hasattr(value, "to_dict") and hasattr(value, "index"):  # a row of a table
        value = dict(list(value.to_dict().items())[:6])
    text = " ".join(str(value).split())
    return text if len(text) <= 200 else text[:197] + "..."
