"""An image on disk or in memory: its header is read at once, its pixels when they are asked for.

An `Image` is a small value that pickles, can be read from many threads and holds no open file. Its pixels always come
upright and as 8-bit RGB (`eyebright.image.decode` says how other kinds become that). Big images are decoded at the
smallest scale that still has more detail than asked for. That saves most of the work where a JPEG can be shrunk by 2, 4
or 8 while its cosine blocks are turned into pixels; other formats are decoded whole and shrunk, so that a cache of
decoded images need not hold what is never looked at.
"""

import io
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import final

import numpy as np
import PIL.Image
from jaxtyping import Shaped, UInt8
from PIL import ImageOps
from torch import Tensor

from eyebright.errors import ImageError, InputError
from eyebright.image.cache import PixelCache
from eyebright.image.decode import Header, Source, decode, describe_source, read_header, rgb_of_array, to_rgb
from eyebright.image.warp import Interpolation, PadMode, Warp
from eyebright.types import Size

Pixels = UInt8[np.ndarray, "h w 3"]
ImageSource = str | Path | bytes | Shaped[np.ndarray, "..."] | Tensor | PIL.Image.Image

# Decoded pixels for each output pixel. The mean difference to a full decode is then below 1 of 255 on most photographs
# and on average (1.0: 2.6 of 255); more would leave the cheap scales to thumbnails.
_OVERSAMPLING = 1.5
_CHANGED = "it has changed since it was first looked at"
_NOTEBOOK_SIDE = 1024  # pixels; what a notebook shows of a larger image


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Image:
    """An image, upright and RGB, whose pixels are decoded on demand.

    Args:
        path: where it lies; None for an image in memory.
        shape: its upright (height, width).
    """

    path: str | None
    shape: Size
    _source: Source | Pixels
    _header: Header | None  # None when the source is pixels

    @staticmethod
    def create(source: "ImageSource | Image") -> "Image":
        """An image from wherever it is.

        Args:
            source: a path, the bytes of an image file, an array (h w, h w 1, h w 3 or h w 4; uint8 or floats in
                [0, 1]), a tensor (h w or c h w, of the same kinds) or a Pillow image.

        Raises:
            ImageError: it cannot be read, or is no image; the message carries the path.
        """
        match source:
            case Image():
                return source
            case str() | Path():
                return _from_file(str(source), path=str(source))
            case bytes():
                return _from_file(source, path=None)
            case Tensor():
                return _from_tensor(source)
            case np.ndarray():
                return _from_pixels(source, "<array>")
            case PIL.Image.Image():
                return _from_pillow(source)
            case _:
                raise InputError(f"an image is a path, bytes, array, tensor or Pillow image, not {type(source)}")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height): Pillow's order, as in the book. `shape` is (height, width)."""
        return self.shape.width, self.shape.height

    @property
    def mode(self) -> str:
        """Always ``"RGB"``: what the pixels come as."""
        return "RGB"

    def pixels(self, reduce: int = 1) -> Pixels:
        """The pixels, upright, as a new array of shape (height, width, 3).

        Args:
            reduce: 1, 2, 4 or 8. A file is decoded with exactly ``reduce`` source pixels for each pixel; its size is
                rounded up, and what is left over lies at the right and bottom *of the stored image* (before it is
                turned upright). Images in memory come whole, and none smaller than one pixel: the array says its
                size.

        Raises:
            ImageError: the image cannot be read, is cut off or damaged.
            InputError: another ``reduce``.
        """
        if reduce not in (1, 2, 4, 8):
            raise InputError(f"an image is decoded at 1/1, 1/2, 1/4 or 1/8, not at 1/{reduce}")
        return np.array(self._decoded(self._possible(reduce)), order="C")

    def warped(
        self, warp: Warp, *, pad: PadMode = "reflection", interpolation: Interpolation = "bilinear"
    ) -> UInt8[np.ndarray, "h2 w2 3"]:
        """The image seen through a warp, resampled once, decoded no larger than that needs.

        Args:
            warp: from this image's `shape` to the size that is wanted.
            pad: what lies outside the image: zeros, its border, or its reflection.
            interpolation: bilinear or bicubic.

        Raises:
            ImageError: the image cannot be read, is cut off or damaged.
            InputError: the warp is for images of another size.
        """
        image, warp = self.decode_for(warp)
        return warp.pixels(image, pad=pad, interpolation=interpolation)

    def decode_for(self, warp: Warp, cache: PixelCache | None = None) -> tuple[UInt8[np.ndarray, "h w 3"], Warp]:
        """The pixels, no more of them than the warp needs, and the same warp from these pixels.

        Args:
            warp: from this image's `shape` to the size that is wanted.
            cache: keeps what was decoded; the pixels are the same with it, and not to be written to.

        Raises:
            ImageError: the image cannot be read, is cut off or damaged.
            InputError: the warp is for images of another size.
        """
        if warp.source != self.shape:
            raise InputError(f"a warp for {warp.source} images got {self}, which is {self.shape}")
        reduce = self._possible(_reduction(warp))
        image = self._decoded(reduce) if cache is None else self._kept(reduce, cache)
        if self._header is not None and reduce > 1:
            warp = _from_reduced(warp, self._header, reduce)
        return image, warp

    def to_thumb(self, h: int, w: int | None = None) -> PIL.Image.Image:
        """A Pillow image of at most ``h`` x ``w`` pixels (a square by default) in the same proportions."""
        scale = min(h / self.shape.height, (w or h) / self.shape.width, 1.0)
        size = Size(*(max(int(scale * side + 0.5), 1) for side in self.shape))
        return PIL.Image.fromarray(self.warped(Warp.resize(self.shape, size), interpolation="bicubic"))

    def __repr__(self) -> str:
        return f"PILImage mode={self.mode} size={self.shape.width}x{self.shape.height}"

    def _repr_png_(self) -> bytes:
        """What a notebook shows."""
        file = io.BytesIO()
        self.to_thumb(_NOTEBOOK_SIDE).save(file, format="PNG")
        return file.getvalue()

    def _possible(self, reduce: int) -> int:
        """The largest reduction up to ``reduce`` that the size of this image allows."""
        if self._header is None:
            return 1
        while reduce > min(self.shape):
            reduce //= 2
        return reduce

    def _kept(self, reduce: int, cache: PixelCache) -> Pixels:
        """The pixels upright, at a possible reduction, from the cache where it has them."""
        if self._header is None or isinstance(self._source, np.ndarray):
            return self._source  # pyright: ignore[reportReturnType]  # only pixels have no header
        path = describe_source(self._source)

        def upright(data: bytes) -> Pixels:
            try:
                now = _from_file(data, path=None)
                if now._header == self._header:
                    return np.ascontiguousarray(now._decoded(reduce))
            except ImageError as error:
                raise ImageError(path, error.reason) from error.__cause__
            raise ImageError(path, _CHANGED)  # what would be kept for these bytes depends on their own header alone

        pixels = cache.pixels(self._source, reduce, upright)
        if pixels.shape[:2] != _upright_size(self._header, reduce):
            raise ImageError(path, _CHANGED)
        return pixels

    def _decoded(self, reduce: int) -> Pixels:
        """The pixels upright, at a possible reduction."""
        if isinstance(self._source, np.ndarray):
            return self._source
        assert self._header is not None  # only pixels have none
        stored = decode(self._source, reduce=reduce, plain_jpeg=self._header.plain_jpeg)
        if stored.shape[:2] != _reduced(self._header.stored, reduce):
            raise ImageError(describe_source(self._source), _CHANGED)
        return _UPRIGHT[self._header.orientation][0](stored)


def verify(paths: Iterable[str | Path], threads: int | None = None) -> list[ImageError]:
    """What is wrong with each image that cannot be read, in the order of ``paths``; all others are fine.

    Every image is decoded to its end, so that a file that is cut off is found.

    Args:
        paths: the images.
        threads: how many to decode at the same time; by default as many as there are processors.
    """
    pool = ThreadPoolExecutor(threads or os.cpu_count())
    try:
        return [error for error in pool.map(_problem, paths) if error is not None]
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C need not wait for the rest


def _problem(path: str | Path) -> ImageError | None:
    try:
        Image.create(path).pixels(reduce=8)
    except ImageError as error:
        return error
    return None


def _from_file(source: Source, *, path: str | None) -> Image:
    header = read_header(source)
    return Image(path, _upright_size(header, 1), source, header)


def _from_pixels(array: Shaped[np.ndarray, "..."], name: str) -> Image:
    pixels = rgb_of_array(array, name)
    return Image(None, Size(*pixels.shape[:2]), pixels, None)


def _from_tensor(tensor: Tensor) -> Image:
    values = tensor.detach().cpu()
    values = values.float() if values.is_floating_point() else values  # numpy has no bfloat16
    return _from_pixels((values.permute(1, 2, 0) if values.ndim == 3 else values).numpy(), "<tensor>")


def _from_pillow(image: PIL.Image.Image) -> Image:
    try:
        pixels = np.array(to_rgb(ImageOps.exif_transpose(image)))
    except Exception as error:  # it may be a lazy one, of a file that is damaged
        raise ImageError("<Pillow image>", str(error)) from error
    return Image(None, Size(*pixels.shape[:2]), pixels, None)


# EXIF's orientation: how the stored pixels turn upright, and the same as a number of `Warp.dihedral`.
_UPRIGHT: dict[int, tuple[Callable[[Pixels], Pixels], int]] = {
    1: (lambda pixels: pixels, 0),
    2: (lambda pixels: pixels[:, ::-1], 1),
    3: (lambda pixels: pixels[::-1, ::-1], 4),
    4: (lambda pixels: pixels[::-1], 2),
    5: (lambda pixels: pixels.swapaxes(0, 1), 6),
    6: (lambda pixels: pixels.swapaxes(0, 1)[:, ::-1], 5),
    7: (lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1], 7),
    8: (lambda pixels: pixels.swapaxes(0, 1)[::-1], 3),
}


def _reduced(stored: Size, reduce: int) -> Size:
    """The size that a file is decoded to: rounded up, as libjpeg does."""
    return Size(-(-stored.height // reduce), -(-stored.width // reduce))


def _upright_size(header: Header, reduce: int) -> Size:
    height, width = _reduced(header.stored, reduce)
    return Size(width, height) if header.orientation >= 5 else Size(height, width)


def _reduction(warp: Warp) -> int:
    """The largest reduction that leaves 1.5 decoded pixels for each output pixel along both axes."""
    scale = max(warp.scale())
    return next((reduce for reduce in (8, 4, 2) if reduce * scale * _OVERSAMPLING <= 1), 1)


def _from_reduced(warp: Warp, header: Header, reduce: int) -> Warp:
    """The same warp for the image decoded at ``reduce`` and turned upright.

    Sizes are rounded up before the image is turned, so that the way leads back through the stored pixels.
    """
    symmetry = _UPRIGHT[header.orientation][1]
    decoded = Warp.dihedral(_reduced(header.stored, reduce), symmetry)
    enlarge = np.diag([reduce, reduce, 1.0])
    upright = Warp.dihedral(header.stored, symmetry)
    matrix = warp.matrix @ upright.matrix @ enlarge @ decoded.inverse().matrix
    return Warp(matrix, decoded.size, warp.size)
