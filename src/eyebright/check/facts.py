"""`FactTable`: the facts of the images of a dataset, in columns; `read_facts` reads them."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, Int, UInt8, UInt64

from eyebright._system.cpus import cpus_per_process
from eyebright.errors import ImageError
from eyebright.image.cache import ImageCache
from eyebright.image.facts import ImageFacts, cached_facts, image_facts
from eyebright.image.perceptual_hash import BOXES, Hashes
from eyebright.sources.categorical import Categorical
from eyebright.types import Size

Text = Categorical[str]

_TASK = 16  # images that a thread reads before it gives them back
_CHUNK_IMAGES = 4096  # images whose facts are kept as they are read, before they become rows of a table


@dataclass(frozen=True, eq=False)
class FactTable:
    """The facts of n images, see `eyebright.image.facts.ImageFacts`; those of an unreadable image are 0 or empty.

    About 310 bytes an image.

    Args:
        errors: by the index of each image that cannot be read, the reason.
        sizes: shape (n, 2), height and width in pixels.
        size_bytes: shape (n,), of the files.
        digests: shape (n, 16), equal where two files have the same content.
        formats: Pillow's name of the format of each image.
        modes: Pillow's mode of each image.
        cameras: maker and model of each image; empty where they are not known.
        colour: shape (n, 3), mean red, green and blue, in [0, 1].
        brightness: shape (n,), mean luma, in [0, 1].
        contrast: shape (n,), standard deviation of the luma, in [0, 0.5].
        darkest: shape (n,), the luma that 2 % of the pixels do not exceed, in [0, 1].
        lightest: shape (n,), the luma that 98 % of the pixels do not exceed, in [0, 1].
        saturation: shape (n,), mean difference between the largest and the smallest of red, green and blue, in [0, 1].
        sharpness: shape (n,), variance of the Laplacian of the luma in 128 x 128 pixels.
        border: shape (n, 3), mean red, green and blue of the border, in [0, 1].
        border_spread: shape (n,), standard deviation of the luma in the border, in [0, 0.5].
        signs: shape (n, k), perceptual hashes of k parts of each image, see `eyebright.image.perceptual_hash.Hashes`.
        magnitudes: shape (n, k), further hashes of these parts.
    """

    errors: Mapping[int, str]
    sizes: Int[np.ndarray, "n 2"]
    size_bytes: Int[np.ndarray, "n"]
    digests: UInt8[np.ndarray, "n 16"]
    formats: Text
    modes: Text
    cameras: Text
    colour: Float[np.ndarray, "n 3"]
    brightness: Float[np.ndarray, "n"]
    contrast: Float[np.ndarray, "n"]
    darkest: Float[np.ndarray, "n"]
    lightest: Float[np.ndarray, "n"]
    saturation: Float[np.ndarray, "n"]
    sharpness: Float[np.ndarray, "n"]
    border: Float[np.ndarray, "n 3"]
    border_spread: Float[np.ndarray, "n"]
    signs: UInt64[np.ndarray, "n k"]
    magnitudes: UInt64[np.ndarray, "n k"]

    def __len__(self) -> int:
        return len(self.sizes)

    @property
    def is_readable(self) -> "np.ndarray[Any, np.dtype[np.bool_]]":
        """Shape (n,): whether each image can be read."""
        readable = np.ones(len(self), dtype=np.bool_)
        readable[list(self.errors)] = False
        return readable

    @staticmethod
    def of(facts: Sequence[ImageFacts | ImageError]) -> "FactTable":
        """The table of facts, or of the reason why an image cannot be read."""
        errors = {row: fact.reason for row, fact in enumerate(facts) if isinstance(fact, ImageError)}
        rows = [_NO_FACTS if isinstance(fact, ImageError) else fact for fact in facts]
        return FactTable(
            errors=errors,
            sizes=np.array([row.size for row in rows], dtype=np.int32).reshape(-1, 2),
            size_bytes=np.array([row.size_bytes for row in rows], dtype=np.int64),
            digests=np.frombuffer(b"".join(row.digest for row in rows), dtype=np.uint8).reshape(-1, 16),
            formats=Text.of(row.format for row in rows),
            modes=Text.of(row.mode for row in rows),
            cameras=Text.of(row.camera for row in rows),
            colour=np.array([row.colour for row in rows], dtype=np.float32).reshape(-1, 3),
            brightness=np.array([row.brightness for row in rows], dtype=np.float32),
            contrast=np.array([row.contrast for row in rows], dtype=np.float32),
            darkest=np.array([row.darkest for row in rows], dtype=np.float32),
            lightest=np.array([row.lightest for row in rows], dtype=np.float32),
            saturation=np.array([row.saturation for row in rows], dtype=np.float32),
            sharpness=np.array([row.sharpness for row in rows], dtype=np.float32),
            border=np.array([row.border for row in rows], dtype=np.float32).reshape(-1, 3),
            border_spread=np.array([row.border_spread for row in rows], dtype=np.float32),
            signs=np.array([row.hashes.signs for row in rows], dtype=np.uint64).reshape(-1, len(BOXES)),
            magnitudes=np.array([row.hashes.magnitudes for row in rows], dtype=np.uint64).reshape(-1, len(BOXES)),
        )

    @staticmethod
    def joined(tables: "Sequence[FactTable]") -> "FactTable":
        """One table with the rows of several, one after the other."""
        if not tables:
            return FactTable.of([])
        starts = np.cumsum([0, *map(len, tables)]).tolist()
        errors = {
            start + row: why for start, table in zip(starts, tables, strict=False) for row, why in table.errors.items()
        }
        columns: dict[str, Any] = {}
        for name in (each.name for each in fields(FactTable) if each.name != "errors"):
            parts = [getattr(table, name) for table in tables]
            is_text = name in ("formats", "modes", "cameras")
            columns[name] = Text.of(chain.from_iterable(parts)) if is_text else np.concatenate(parts)
        return FactTable(errors=errors, **columns)


def read_facts(
    paths: Sequence[str | Path],
    *,
    cache: ImageCache | None = None,
    threads: int | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> FactTable:
    """The facts of images, each read once.

    Args:
        paths: the paths of the images.
        cache: keeps the facts by the content of the files, so that they are read once; None: nothing is kept.
        threads: number of images that are read in parallel; None: the number of CPUs.
        advance: called with the number of images that have been read since its last call.
    """
    tables: list[FactTable] = []
    pool = ThreadPoolExecutor(threads or cpus_per_process(), initializer=cv2.setNumThreads, initargs=(1,))
    try:
        for first in range(0, len(paths), _CHUNK_IMAGES):
            facts: list[ImageFacts | ImageError] = []
            last = min(first + _CHUNK_IMAGES, len(paths))
            tasks = [paths[begin : min(begin + _TASK, last)] for begin in range(first, last, _TASK)]
            for several in pool.map(partial(_facts, cache), tasks):
                facts += several
                advance(len(several))
            tables.append(FactTable.of(facts))
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the remaining images
    return FactTable.joined(tables)


_NO_HASHES = Hashes(np.zeros(len(BOXES), np.uint64), np.zeros(len(BOXES), np.uint64))
_BLACK_COLOUR = (0.0, 0.0, 0.0)
_NO_FACTS = ImageFacts(
    size=Size(0, 0),
    size_bytes=0,
    digest=bytes(16),
    format="",
    mode="",
    camera="",
    colour=_BLACK_COLOUR,
    brightness=0.0,
    contrast=0.0,
    darkest=0.0,
    lightest=0.0,
    saturation=0.0,
    sharpness=0.0,
    border=_BLACK_COLOUR,
    border_spread=0.0,
    hashes=_NO_HASHES,
)


def _facts(cache: ImageCache | None, paths: Sequence[str | Path]) -> list[ImageFacts | ImageError]:
    return [_facts_of(cache, str(path)) for path in paths]


def _facts_of(cache: ImageCache | None, path: str) -> ImageFacts | ImageError:
    try:
        return image_facts(path) if cache is None else cached_facts(path, cache)
    except ImageError as error:
        return error
