"""`Image`: an image on disk or in memory, whose header is read at once and whose pixels are decoded on demand.

An `Image` is a small immutable value: it can be pickled, used from many threads, and holds no open file. Its pixels are
always upright 8-bit RGB (`eyebright.image.decode` describes the conversion from other formats). Large images are
decoded at the smallest scale that still has more detail than needed. The JPEG decoder can reduce by 2, 4 or 8 as it
decodes, which saves most of the work. Other formats are decoded at full size and then reduced, so that a cache of
decoded images stays small.
"""

import io
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

from eyebright._system.cpus import cpus_per_process
from eyebright.errors import ImageError, InputError
from eyebright.image.cache import ImageCache
from eyebright.image.decode import Header, PathOrBytes, decode, read_header, source_name, value_range
from eyebright.image.decode_memory import decode_memory
from eyebright.image.pillow_warnings import without_pillow_warnings
from eyebright.image.rgb import Pixels, array_to_rgb, pillow_notes, to_rgb
from eyebright.image.value_range import range_notes
from eyebright.image.warp import Interpolation, PadMode, Warp
from eyebright.types import Size

ImageSource = str | Path | bytes | Shaped[np.ndarray, "..."] | Tensor | PIL.Image.Image

# Minimum number of decoded pixels per output pixel along each axis. The mean difference from decoding at full size is
# then below 1 of 255 on most photographs and on average (with 1.0: 2.6 of 255). A larger value would rarely allow a
# reduction, except for thumbnails.
_OVERSAMPLING = 1.5
_CHANGED_MESSAGE = "the file has changed since its header was read"
_NOTEBOOK_SIDE = 1024  # pixels; the largest height and width of an image that is shown in a notebook


@final
@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Image:
    """An upright RGB image whose pixels are decoded on demand; `Image.create` makes it.

    Attributes:
        path: the path of its file; None for an image in memory.
        shape: (height, width) in pixels, after the EXIF orientation is applied.

    >>> image = Image.create(np.zeros((300, 400, 3), np.uint8))
    >>> image.shape, image.size
    (Size(height=300, width=400), (400, 300))
    >>> image.warped(Warp.resize(image.shape, Size(150, 200))).shape
    (150, 200, 3)
    """

    path: str | None
    shape: Size
    _source: PathOrBytes | Pixels
    _header: Header | None  # None if the source is an array
    _notes: tuple[str, ...] = ()

    @staticmethod
    def create(source: "ImageSource | Image") -> "Image":
        """An image from a file, from the content of a file, or from pixels in memory.

        Args:
            source: a path; bytes of an image file; an array of shape (h, w), (h, w, 1), (h, w, 3) or (h, w, 4) with
                uint8, bool or floats in [0, 1]; a tensor of shape (h, w) or (c, h, w) with the same dtypes; or a Pillow
                image.

        Raises:
            ImageError: the file cannot be read or is not an image, or the array has another shape or dtype.
            InputError: ``source`` has another type.
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
                kind = type(source).__name__
                raise InputError(f"an image must be a path, bytes, an array, a tensor or a Pillow image, got {kind}")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) in pixels, in the order of Pillow and fastai; `shape` is (height, width)."""
        return self.shape.width, self.shape.height

    @property
    def header(self) -> Header | None:
        """The header of its file; None for pixels in memory."""
        return self._header

    @property
    def mode(self) -> str:
        """The mode of the pixels as in Pillow: always ``"RGB"``."""
        return "RGB"

    @property
    def notes(self) -> tuple[str, ...]:
        """A remark for the user on how the image is read, such as damaged EXIF data; usually empty."""
        return self._notes

    def notes_with_range(self) -> tuple[str, ...]:
        """The `notes`, and one if 16-bit values hardly use their range, for which a file with 16 bits is decoded.

        Raises:
            ImageError: the image cannot be read, is truncated or damaged.
        """
        if self._header is None or not self._header.has_16_bits or isinstance(self._source, np.ndarray):
            return self._notes
        return (*self._notes, *range_notes(value_range(self._source)))

    def pixels(self, reduce: int = 1) -> Pixels:
        """The upright pixels, as a new uint8 array of shape (height, width, 3).

        Args:
            reduce: 1, 2, 4 or 8: the factor by which a file's height and width are divided. Sizes are rounded up; the
                partial pixels are at the right and bottom of the stored image, before its orientation is applied. The
                factor is lowered for an image that is smaller than it, and an image in memory is never reduced.

        Raises:
            ImageError: the image cannot be read, is truncated or damaged, or its file has changed.
            InputError: ``reduce`` has another value.
        """
        if reduce not in (1, 2, 4, 8):
            raise InputError(f"reduce must be 1, 2, 4 or 8, got {reduce}")
        pixels = self._decode(self._allowed_reduction(reduce))
        # The decoder's own array can be given away; a view, a mapped file or the source of this image cannot.
        is_new = pixels.flags.writeable and pixels.flags.c_contiguous and pixels.base is None
        return pixels if is_new and pixels is not self._source else np.array(pixels, order="C")

    def warped(
        self, warp: Warp, *, pad_mode: PadMode = "reflection", interpolation: Interpolation = "bilinear"
    ) -> UInt8[np.ndarray, "h2 w2 3"]:
        """The warped image, decoded no larger than needed and resampled once.

        Args:
            warp: a warp from this image's `shape` to the output size.
            pad_mode: how to fill pixels outside of the image: ``"zeros"``, ``"border"`` or ``"reflection"``.
            interpolation: ``"bilinear"`` or ``"bicubic"``.

        Raises:
            ImageError: the image cannot be read, is truncated or damaged, or its file has changed.
            InputError: the warp is for images of another size.
        """
        with decode_memory(self.shape):
            pixels, warp = self.decode_for(warp)
            return warp.pixels(pixels, pad_mode=pad_mode, interpolation=interpolation)

    def decoded(self, cache: ImageCache | None = None) -> Pixels:
        """The upright pixels at full size; the array must not be modified.

        Args:
            cache: a cache of decoded pixels. It does not change the result.

        Raises:
            ImageError: the image cannot be read, is truncated or damaged, or its file has changed.
        """
        return self._decode(1) if cache is None else self._decode_cached(1, cache)

    def decode_for(self, warp: Warp, cache: ImageCache | None = None) -> tuple[Pixels, Warp]:
        """(pixels, warp): the pixels, decoded no larger than the warp needs, and the warp adapted to their size.

        Args:
            warp: a warp from this image's `shape` to the output size.
            cache: a cache of decoded pixels. It does not change the result. The returned array must not be modified.

        Raises:
            ImageError: the image cannot be read, is truncated or damaged, or its file has changed.
            InputError: the warp is for images of another size.
        """
        if warp.input_size != self.shape:
            raise InputError(
                f"the warp is for an image of {warp.input_size} (height x width), but this image is {self.shape}"
            )
        reduce = self._allowed_reduction(_reduction(warp))
        pixels = self._decode(reduce) if cache is None else self._decode_cached(reduce, cache)
        if self._header is not None and reduce > 1:
            warp = _warp_from_reduced(warp, self._header, reduce)
        return pixels, warp

    def digest(self, cache: ImageCache) -> str:
        """A hash of all that decides the pixels; `ImageCache.digest` computes it once for an unchanged file.

        Args:
            cache: a cache, which knows the files that were hashed before.

        Raises:
            ImageError: the file cannot be read.
        """
        return cache.digest(self._source)

    def to_thumb(self, h: int, w: int | None = None) -> PIL.Image.Image:
        """A Pillow image of at most ``h`` x ``w`` pixels (``w`` defaults to ``h``) with the same aspect ratio."""
        scale = min(h / self.shape.height, (w or h) / self.shape.width, 1.0)
        size = Size(*(max(int(scale * side + 0.5), 1) for side in self.shape))
        return PIL.Image.fromarray(self.warped(Warp.resize(self.shape, size), interpolation="bicubic"))

    def __repr__(self) -> str:  # fastai's text: notebooks of the fastai book show it
        return f"PILImage mode={self.mode} size={self.shape.width}x{self.shape.height}"

    def _repr_png_(self) -> bytes:
        """The PNG file that Jupyter displays."""
        file = io.BytesIO()
        self.to_thumb(_NOTEBOOK_SIDE).save(file, format="PNG")
        return file.getvalue()

    def _allowed_reduction(self, reduce: int) -> int:
        """``reduce``, lowered if the image is smaller than it."""
        if self._header is None:
            return 1
        while reduce > min(self.shape):
            reduce //= 2
        return reduce

    def _decode_cached(self, reduce: int, cache: ImageCache) -> Pixels:
        """The upright pixels at an allowed reduction, from the cache if it has them."""
        if self._header is None or isinstance(self._source, np.ndarray):
            return self._source  # pyright: ignore[reportReturnType]  # only an array has no header
        path = source_name(self._source)

        def decode_upright(data: bytes) -> Pixels:
            try:
                image = _from_file(data, path=None)
                if image._header == self._header:
                    return np.ascontiguousarray(image._decode(reduce))
            except ImageError as error:
                raise ImageError(path, error.reason) from error.__cause__
            raise ImageError(path, _CHANGED_MESSAGE)  # a cache entry must depend only on the content of the file

        pixels = cache.pixels(self._source, reduce, decode_upright)
        if pixels.shape[:2] != _upright_size(self._header, reduce):
            raise ImageError(path, _CHANGED_MESSAGE)
        return pixels

    def _decode(self, reduce: int) -> Pixels:
        """The upright pixels at an allowed reduction."""
        if isinstance(self._source, np.ndarray):
            return self._source
        assert self._header is not None  # only an array has none
        with decode_memory(self._header.stored_size):
            stored = decode(self._source, reduce=reduce, plain_jpeg=self._header.plain_jpeg)
        if stored.shape[:2] != _divided_size(self._header.stored_size, reduce):
            raise ImageError(source_name(self._source), _CHANGED_MESSAGE)
        return _ORIENTATIONS[self._header.orientation][0](stored)


def verify(paths: Iterable[str | Path], threads: int | None = None) -> list[ImageError]:
    """The errors of all images that cannot be read, in the order of ``paths``; readable images give none.

    Every file is read to its end, so that truncated files are found too.

    Args:
        paths: paths of images.
        threads: number of images to decode in parallel; the number of CPUs by default.
    """
    pool = ThreadPoolExecutor(threads or cpus_per_process())
    try:
        return [error for error in pool.map(_read_error, paths) if error is not None]
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C does not wait for the remaining images


def _read_error(path: str | Path) -> ImageError | None:
    try:
        Image.create(path).pixels(reduce=8)  # reduced decoding still reads the whole file, and is faster
    except ImageError as error:
        return error
    return None


def _from_file(source: PathOrBytes, *, path: str | None) -> Image:
    header = read_header(source)
    return Image(path, _upright_size(header, 1), source, header, header.notes)


def _from_pixels(array: Shaped[np.ndarray, "..."], name: str) -> Image:
    pixels = array_to_rgb(array, name)
    return Image(None, Size(*pixels.shape[:2]), pixels, None)


def _from_tensor(tensor: Tensor) -> Image:
    values = tensor.detach().cpu()
    values = values.float() if values.is_floating_point() else values  # numpy has no bfloat16
    return _from_pixels((values.permute(1, 2, 0) if values.ndim == 3 else values).numpy(), "<tensor>")


def _from_pillow(image: PIL.Image.Image) -> Image:
    try:
        with without_pillow_warnings():
            pixels = np.array(to_rgb(ImageOps.exif_transpose(image)))
            notes = pillow_notes(image)
    except Exception as error:  # a lazy Pillow image of a damaged file
        raise ImageError("<Pillow image>", str(error)) from error
    return Image(None, Size(*pixels.shape[:2]), pixels, None, notes)


# For each EXIF orientation: how to turn the stored pixels upright, and the same change as a number of `Warp.dihedral`.
_ORIENTATIONS: dict[int, tuple[Callable[[Pixels], Pixels], int]] = {
    1: (lambda pixels: pixels, 0),
    2: (lambda pixels: pixels[:, ::-1], 1),
    3: (lambda pixels: pixels[::-1, ::-1], 4),
    4: (lambda pixels: pixels[::-1], 2),
    5: (lambda pixels: pixels.swapaxes(0, 1), 6),
    6: (lambda pixels: pixels.swapaxes(0, 1)[:, ::-1], 5),
    7: (lambda pixels: pixels.swapaxes(0, 1)[::-1, ::-1], 7),
    8: (lambda pixels: pixels.swapaxes(0, 1)[::-1], 3),
}


def _divided_size(size: Size, divisor: int) -> Size:
    """The size divided by ``divisor`` and rounded up, as libjpeg does."""
    return Size(-(-size.height // divisor), -(-size.width // divisor))


def _upright_size(header: Header, reduce: int) -> Size:
    height, width = _divided_size(header.stored_size, reduce)
    return Size(width, height) if header.orientation >= 5 else Size(height, width)


def _reduction(warp: Warp) -> int:
    """The largest reduction that leaves at least `_OVERSAMPLING` decoded pixels per output pixel along both axes."""
    scale = max(warp.scale())
    return next((reduce for reduce in (8, 4, 2) if reduce * scale * _OVERSAMPLING <= 1), 1)


def _warp_from_reduced(warp: Warp, header: Header, reduce: int) -> Warp:
    """The warp for the image decoded at ``reduce`` and turned upright.

    Sizes are rounded up before the orientation is applied. So the matrix undoes the orientation, enlarges the stored
    pixels, and applies the orientation again.
    """
    k = _ORIENTATIONS[header.orientation][1]
    upright_reduced = Warp.dihedral(_divided_size(header.stored_size, reduce), k)
    upright = Warp.dihedral(header.stored_size, k)
    enlarge = np.diag([reduce, reduce, 1.0])
    matrix = warp.matrix @ upright.matrix @ enlarge @ upright_reduced.inverse().matrix
    return Warp(matrix, upright_reduced.output_size, warp.output_size)


Picture = Image
"""An alias of `Image`, its former name."""
