"""Features of a frozen backbone: how near to decoding plus the bare runtime, on the same processors.

Each round measures, one after the other and on the same images:

- decode: the loader alone, with its workers, until every batch is in memory;
- runtime: the bare ONNX Runtime session alone, on batches that are in memory, with the same number of threads;
- both: a loop over the loader that calls the session and keeps what it returns, and nothing else;
- ours: `FrozenModel.features`, from the first image to the last row, with its measurement and its export.

The bound is decode + runtime: no core waits in either, so the two together cannot take less on the same cores, unless
one leaves a core idle when it is alone. Rounds alternate, so that what else the machine does meets all of them.

    python benchmarks/features.py IMAGES [--n 1906] [--arch tf_efficientnet_lite0] [--size 224] [--rounds 3]
"""

import argparse
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from statistics import median

import measure
import numpy as np
import torch

from eyebright.data.batch import Batch
from eyebright.data.block import DataBlock
from eyebright.data.dataloaders import DataLoaders
from eyebright.data.loader import Loader
from eyebright.inference.runtimes.features import feature_graph
from eyebright.inference.runtimes.onnx_runtime import IMAGES, create_session
from eyebright.io.files import get_image_files
from eyebright.learner.learner import Learner
from eyebright.learner.vision_learner import vision_learner
from eyebright.models.batchnorm.fuse import fuse_conv_bn
from eyebright.models.linear_head import pooled_features
from eyebright.tasks.category import CategoryBlock
from eyebright.tasks.image import ImageBlock
from eyebright.transforms.spatial import Resize

_ROW = "{:<8}{:>10}{:>10}{:>10}{:>10}{:>16}{:>16}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images", type=Path)
    parser.add_argument("--n", type=int, default=1906)
    parser.add_argument("--arch", default="tf_efficientnet_lite0")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for the seconds of each round")
    args = parser.parse_args()
    dls = loaders(args.images, args.n, args.size)
    learner = vision_learner(dls, args.arch, progress="quiet")
    print(f"{args.n} images of {args.size} px, {args.arch}, {torch.get_num_threads()} threads")
    print(_ROW.format("round", "decode", "runtime", "both", "ours", "bound/ours", "both/ours"))
    rows: list[tuple[float, ...]] = []
    tasks = measured_tasks(learner)
    for i in range(args.rounds):
        times = [seconds(task) for task in tasks]
        rows.append((*times, (times[0] + times[1]) / times[3], times[2] / times[3]))
        print_row(str(i + 1), rows[-1])
    print_row("median", tuple(map(median, zip(*rows, strict=True))))
    columns = ("decode", "runtime", "both", "ours", "bound/ours", "both/ours")
    measure.save(args.json, {"rounds": [dict(zip(columns, row, strict=True)) for row in rows]})


def measured_tasks(learner: Learner) -> list[Callable[[], object]]:
    """What a round measures, in the order of the columns."""
    dls, frozen = learner.dls, learner.trainer.frozen
    fused = fuse_conv_bn(learner.model, learner.model.description.input.size)
    extractor = pooled_features(fused)  # type: ignore[arg-type]  # a copy of an image model is one
    images = [as_images(batch) for batch in fresh(dls).batches()]
    session = create_session(feature_graph(extractor, torch.from_numpy(images[0]).permute(0, 3, 1, 2)))
    n_batches = len(dls.evaluation_loader(0)) + len(dls.valid)

    def decode() -> None:
        for loader in (dls.evaluation_loader(0), fresh(dls)):
            deque(loader.batches(), maxlen=0)

    def runtime() -> None:
        for i in range(n_batches):
            session.run(None, {IMAGES: images[i % (len(images) - 1)]})  # the last one is shorter

    def both() -> list[object]:
        loaders = (dls.evaluation_loader(0), fresh(dls))
        return [session.run(None, {IMAGES: as_images(batch)}) for loader in loaders for batch in loader.batches()]

    def ours() -> None:
        frozen.forget_features()
        dls.valid = fresh(dls)  # the first loader has kept its batches
        frozen.features(dls, lambda _: None)

    return [decode, runtime, both, ours]


def loaders(folder: Path, n: int, size: int) -> DataLoaders:
    """Data loaders of the first images of a folder; a fifth of them validates."""
    block = DataBlock(
        blocks=(ImageBlock, CategoryBlock),
        get_y=lambda path: ["a", "b"][len(path.name) % 2],
        splitter=lambda items: (
            [i for i in range(len(items)) if i % 5],
            [i for i in range(len(items)) if not i % 5],
        ),
        item_tfms=Resize(size),
    )
    return block.dataloaders(get_image_files(folder)[:n], bs=32)


def as_images(batch: Batch) -> np.ndarray:
    """A batch as the session takes it, without a copy."""
    return batch.x.permute(0, 2, 3, 1).numpy()


def fresh(dls: DataLoaders) -> Loader:
    """The validation loader without cached batches."""
    return dls.valid.variant(dls.valid.dataset, dls.valid.pipeline, bs=dls.bs)


def seconds(task: Callable[[], object]) -> float:
    started = time.perf_counter()
    task()
    return time.perf_counter() - started


def print_row(name: str, row: tuple[float, ...]) -> None:
    print(_ROW.format(name, *(f"{value:.2f}" for value in row)), flush=True)


if __name__ == "__main__":
    main()
