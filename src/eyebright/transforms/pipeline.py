"""From an image to what the network sees, with one resample.

The transforms only draw: a warp, a lighting. Where a draw is executed is decided here, not by the user. On a CPU
everything that was drawn is composed and run straight from the decoded pixels: one warp, one look-up table. With an
accelerator the item's part (which gives images of one size) runs on the CPU and the batch's part on the device,
again as one warp. Images travel as uint8 until they are on the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from eyebright._system.timer import Timer
from eyebright.errors import DataError
from eyebright.image.cache import PixelCache
from eyebright.image.image import Image
from eyebright.image.warp import Warp, warp_batch
from eyebright.transforms.draw import Draw, PixelFunction, Transform, draw_all, has_pixel_functions, output_size
from eyebright.transforms.lighting import apply_lighting_batch
from eyebright.transforms.normalize import Normalize
from eyebright.transforms.torchvision import as_transform
from eyebright.types import Size


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """An image as it leaves the CPU.

    Args:
        pixels: uint8, height x width x 3.
        warp: the warp from the user's image to what the network will see, the device's part included.
        device_draw: what the device still has to do; None: nothing.
    """

    pixels: np.ndarray[Any, np.dtype[np.uint8]]
    warp: Warp
    device_draw: Draw | None


class DrawnImage(NamedTuple):
    """What is to happen to an image.

    Args:
        image: not yet decoded; decoding knows how much of it is needed.
        cpu_draw: on the CPU.
        device_draw: on the device; None: nothing.
    """

    image: Image
    cpu_draw: Draw
    device_draw: Draw | None


@dataclass(frozen=True)
class Pipeline:
    """What happens to every image, and where.

    Args:
        host: transforms that run on the CPU, one image at a time.
        device: transforms that run on the device, a batch at a time.
        cache: keeps decoded images; they are the same without it.
    """

    host: tuple[Transform, ...] = ()
    device: tuple[Transform, ...] = ()
    cache: PixelCache | None = field(default=None, compare=False)

    @staticmethod
    def create(item_tfms: Any, batch_tfms: Any, device: torch.device, *, cache: PixelCache | None = None) -> "Pipeline":
        """The pipeline for the user's transforms (one, a list, or None) on this device.

        Raises:
            InputError: something in the lists is not a transform.
            DataError: two of them normalise.
        """
        item = tuple(map(as_transform, _as_list(item_tfms)))
        batch = tuple(map(as_transform, _as_list(batch_tfms)))
        if sum(isinstance(transform, Normalize) for transform in item + batch) > 1:
            raise DataError("there are two Normalize transforms; an image is normalised once")
        # A device takes over only where every image has one size by then, and no change of uint8 pixels follows.
        if device.type == "cpu" or has_pixel_functions(batch) or output_size(item) is None:
            return Pipeline(item + batch, cache=cache)
        return Pipeline(item, batch, cache)

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """All of them, in order."""
        return self.host + self.device

    @property
    def size(self) -> Size | None:
        """The size of every image that comes out; None when it depends on the image."""
        return output_size(self.transforms)

    @property
    def host_size(self) -> Size | None:
        """The size of every image after the CPU's part; None when it depends on the image."""
        return output_size(self.host)

    @property
    def normalize(self) -> Normalize | None:
        """The mean and standard deviation that the user declared; None leaves them to the model."""
        return next((transform for transform in self.transforms if isinstance(transform, Normalize)), None)

    def draw(self, image: Image, generator: np.random.Generator | None) -> DrawnImage:
        """What is to happen to an image; its pixels are not needed for that.

        Args:
            image: whose size decides.
            generator: draws the augmentation; None: the validation preprocessing.

        Raises:
            DataError: a transform of the device's part wants to change pixels, and never did when it was tried.
        """
        now = draw_all(self.host, image.shape, generator)
        later = draw_all(self.device, now.warp.size, generator) if self.device else None
        if later is not None and later.pixel_functions:
            raise DataError(
                "a transform in batch_tfms changes pixels on rare draws, which only the CPU can do; "
                "give it in item_tfms"
            )
        return DrawnImage(image, now, later)

    def preprocess(self, drawn: DrawnImage, timer: Timer | None = None) -> Preprocessed:
        """An image, through the CPU's part.

        Args:
            drawn: what is to happen to it, and which it is.
            timer: is told how long decoding took, and augmenting.

        Raises:
            ImageError: the image cannot be read.
        """
        timer = timer or Timer()
        image, now, later = drawn
        with timer("decoding"):
            pixels, warp = image.decode_for(now.warp, self.cache)
        with timer("augmenting"):
            pixels = warp.pixels(pixels, pad=now.pad or "reflection", interpolation=now.interpolation or "bilinear")
            if not now.lighting.is_identity:
                pixels = cv2.LUT(pixels, now.lighting.table())
            pixels = _changed(pixels, now.pixel_functions)
        warp = now.warp if later is None else now.warp.then(later.warp)
        return Preprocessed(pixels, warp, later)

    def finish(self, batch: Sequence[Preprocessed], device: torch.device) -> Float[Tensor, "b c h w"]:
        """A batch on the device: float32 in [0, 1].

        Raises:
            DataError: the images do not all have the same size.
        """
        x = _on_device([look.pixels for look in batch], device)
        later = [one.device_draw for one in batch if one.device_draw is not None]
        if not later:
            return x
        x = warp_batch(x, [draw.warp for draw in later], pad=later[0].pad or "reflection")
        return apply_lighting_batch(x, [draw.lighting for draw in later])


def to_images(x: Float[Tensor, "b c h w"]) -> UInt8[np.ndarray, "b h w c"]:
    """A finished batch as images that a person can look at."""
    return x.detach().clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def _changed(pixels: UInt8[np.ndarray, "h w c"], changes: Sequence[PixelFunction]) -> UInt8[np.ndarray, "h w c"]:
    if not changes:
        return pixels
    image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    for change in changes:
        image = change(image)
    return image.permute(1, 2, 0).numpy()


def _on_device(pixels: Sequence[np.ndarray[Any, np.dtype[np.uint8]]], device: torch.device) -> Float[Tensor, "b c h w"]:
    """One tensor in channels_last order, which is how images lie in memory anyway."""
    shapes = {one.shape for one in pixels}
    if len(shapes) > 1:
        sizes = ", ".join(f"{h}x{w}" for h, w, _ in sorted(shapes)[:3])
        raise DataError(
            f"images of different sizes ({sizes}, ...) cannot share a batch; "
            "give every image one size, for example item_tfms=Resize(224)"
        )
    shape = (len(pixels), *pixels[0].shape)
    if device.type == "cpu":
        numbers = np.empty(shape, np.float32)
        for place, one in enumerate(pixels):
            cv2.LUT(one, _NUMBERS, dst=numbers[place])
        return torch.from_numpy(numbers).permute(0, 3, 1, 2)
    # Pinned memory is copied while the host goes on.
    stacked = torch.empty(shape, dtype=torch.uint8, pin_memory=device.type == "cuda")
    np.stack(pixels, out=stacked.numpy())
    return stacked.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)


_NUMBERS = np.divide(np.arange(256), 255, dtype=np.float32)  # of the 256 grey levels


def _as_list(tfms: Any) -> list[Any]:
    if tfms is None:
        return []
    return list(tfms) if isinstance(tfms, (list, tuple)) else [tfms]
