"""`Pipeline`: runs the transforms of images on the CPU and on an accelerator.

Transforms only sample parameters (`eyebright.transforms.draw`); this module applies them. Without an accelerator all
transforms are composed and applied to the decoded pixels as one warp and one look-up table. With an accelerator the
item transforms, which give all images the same size, are applied on the CPU, and the batch transforms on the device,
each part as one warp. Images stay uint8 until they are on the device.

Images that are evaluated get canonical pixels (`eyebright.image.canonical`) on the CPU, if the transforms only resize,
crop and pad them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from eyebright._system.timer import Timer
from eyebright.errors import DataError
from eyebright.image.cache import ImageCache
from eyebright.image.canonical import CANONICAL, PixelsVersion, Placement, canonical_pixels
from eyebright.image.decode_memory import decode_memory
from eyebright.image.image import Image
from eyebright.image.warp import Warp, warp_batch
from eyebright.transforms.draw import (
    PixelFunction,
    Transform,
    TransformParams,
    canonical_placement_of,
    draw_all,
    evaluation_pixels_version,
    has_pixel_functions,
    output_size,
)
from eyebright.transforms.lighting import apply_lighting_batch
from eyebright.transforms.normalize import Normalize
from eyebright.transforms.torchvision import as_transform
from eyebright.types import Size

_FLOAT_LEVELS = np.divide(np.arange(256), 255, dtype=np.float32)  # the 256 levels of uint8 in [0, 1]


@dataclass(frozen=True, eq=False)
class Preprocessed:
    """An image after the transforms on the CPU.

    Args:
        pixels: shape (height, width, 3); uint8, or canonical pixels: float32 in [0, 1].
        warp: the warp from the original image to the input of the model, with the part on the device included.
        device_params: the parameters of the transforms to apply on the device; None if there is none.
    """

    pixels: np.ndarray[Any, np.dtype[np.uint8]] | np.ndarray[Any, np.dtype[np.float32]]
    warp: Warp
    device_params: TransformParams | None


class DrawnImage(NamedTuple):
    """An image and its sampled transform parameters.

    Args:
        image: the image, not yet decoded, so that it can be decoded no larger than needed.
        cpu_params: the parameters of the transforms to apply on the CPU.
        device_params: the parameters of the transforms to apply on the device; None if there is none.
        placement: resize, crop and pad for canonical pixels; None if the image does not get canonical pixels.
    """

    image: Image
    cpu_params: TransformParams
    device_params: TransformParams | None
    placement: Placement | None = None

    @property
    def warp(self) -> Warp:
        """The warp from the original image to the input of the model, with the part on the device included."""
        warp = self.cpu_params.warp
        return warp if self.device_params is None else warp.then(self.device_params.warp)


@dataclass(frozen=True)
class Pipeline:
    """The transforms of all images of a dataset.

    Args:
        host: transforms that are applied on the CPU, one image at a time.
        device: transforms that are applied on the device, one batch at a time.
        cache: a cache of decoded images; it does not change the result.
        saved_version: the version of the pixels that a saved model was evaluated with; None: canonical pixels, if the
            transforms only resize, crop and pad images that are evaluated, else
            `eyebright.image.canonical.LIBRARY_PIXELS`.
        fast_decode: canonical pixels are approximated, from images that their decoder reduces: faster, but not exact.
    """

    host: tuple[Transform, ...] = ()
    device: tuple[Transform, ...] = ()
    cache: ImageCache | None = field(default=None, compare=False)
    saved_version: PixelsVersion | None = None
    fast_decode: bool = False

    @staticmethod
    def create(item_tfms: Any, batch_tfms: Any, device: torch.device, *, cache: ImageCache | None = None) -> "Pipeline":
        """A pipeline for a device.

        Args:
            item_tfms: transforms that give all images the same size: one, a list or None.
            batch_tfms: more transforms: one, a list or None.
            device: the device of the model.
            cache: a cache of decoded images.

        Raises:
            InputError: a value in the lists is not a transform.
            DataError: the lists contain more than one `Normalize`.
        """
        item = tuple(map(as_transform, _as_list(item_tfms)))
        batch = tuple(map(as_transform, _as_list(batch_tfms)))
        if sum(isinstance(transform, Normalize) for transform in item + batch) > 1:
            raise DataError("there is more than one Normalize transform; an image is normalised once")
        # The device needs images of one size, and cannot run functions of uint8 pixels.
        if device.type == "cpu" or has_pixel_functions(batch) or output_size(item) is None:
            return Pipeline(item + batch, cache=cache)
        return Pipeline(item, batch, cache)

    @cached_property
    def pixels_version(self) -> PixelsVersion:
        """The version of the pixels of images that are evaluated."""
        return self.saved_version or evaluation_pixels_version(self.transforms)

    @property
    def transforms(self) -> tuple[Transform, ...]:
        """All transforms in order."""
        return self.host + self.device

    @property
    def size(self) -> Size | None:
        """The output size of all images; None if it differs between images."""
        return output_size(self.transforms)

    @property
    def host_size(self) -> Size | None:
        """The size of all images after the transforms on the CPU; None if it differs between images."""
        return output_size(self.host)

    @property
    def normalize(self) -> Normalize | None:
        """The declared mean and standard deviation; None for those of the pretrained weights."""
        return next((transform for transform in self.transforms if isinstance(transform, Normalize)), None)

    def draw(self, image: Image, generator: np.random.Generator | None) -> DrawnImage:
        """The image with sampled transform parameters; its pixels are not decoded.

        Args:
            image: the image; its size is needed to sample the parameters.
            generator: the random generator of the augmentation; None for the preprocessing of validation images.

        Raises:
            DataError: a transform for the device has a pixel function in some draws; the transforms do more than
                resize, crop and pad this validation image, although they did not for the sizes that were checked.
        """
        if generator is None and self.pixels_version == CANONICAL:
            placement = canonical_placement_of(self.transforms, image.shape)
            if placement is None:
                raise DataError(
                    f"the transforms do more than resize, crop and pad {image}, and they did no more with images of"
                    " other sizes; change all of them in the same way"
                )
            return DrawnImage(image, TransformParams(placement.warp, pad_mode="zeros"), None, placement)
        cpu_params = draw_all(self.host, image.shape, generator)
        device_params = draw_all(self.device, cpu_params.warp.output_size, generator) if self.device else None
        if device_params is not None and device_params.pixel_functions:
            raise DataError(
                "a transform in batch_tfms applies a pixel function in rare draws, which is possible on the CPU only; "
                "move it to item_tfms"
            )
        return DrawnImage(image, cpu_params, device_params)

    def preprocess(self, drawn: DrawnImage, timer: Timer | None = None) -> Preprocessed:
        """The image after the transforms on the CPU.

        Args:
            drawn: the image and its sampled transform parameters.
            timer: records the time for decoding and for augmenting.

        Raises:
            ImageError: the image cannot be read.
            InputError: a pixel function changes the shape or the dtype of an image.
        """
        with decode_memory(drawn.image.shape):
            return self._preprocess(drawn, timer or Timer())

    def _preprocess(self, drawn: DrawnImage, timer: Timer) -> Preprocessed:
        image, params, device_params, placement = drawn
        if placement is not None and not self.fast_decode:
            with timer("decoding"):
                pixels = image.decoded(self.cache)
            with timer("resizing"):
                return Preprocessed(canonical_pixels(pixels, placement), params.warp, None)
        with timer("decoding"):
            pixels, warp = image.decode_for(params.warp, self.cache)
        with timer("augmenting"):
            pixels = warp.pixels(
                pixels, pad_mode=params.pad_mode or "reflection", interpolation=params.interpolation or "bilinear"
            )
            if not params.lighting.is_identity:
                pixels = cv2.LUT(pixels, params.lighting.table())
            pixels = _apply_functions(pixels, params.pixel_functions)
            if placement is not None:
                pixels = _FLOAT_LEVELS[pixels]
        return Preprocessed(pixels, drawn.warp, device_params)

    def to_batch(self, images: Sequence[Preprocessed], device: torch.device) -> Float[Tensor, "b c h w"]:
        """The images as one float32 batch in [0, 1] on the device, after all transforms.

        Args:
            images: the result of `preprocess`.
            device: the device of the batch.

        Raises:
            DataError: the images have different sizes.
        """
        x = _to_device([image.pixels for image in images], device)
        all_params = [image.device_params for image in images if image.device_params is not None]
        if not all_params:
            return x
        x = warp_batch(x, [params.warp for params in all_params], pad_mode=all_params[0].pad_mode or "reflection")
        return apply_lighting_batch(x, [params.lighting for params in all_params])


def to_images(x: Float[Tensor, "b c h w"]) -> UInt8[np.ndarray, "b h w c"]:
    """A float batch in [0, 1] as uint8 images; values outside of [0, 1] are clipped."""
    return x.detach().clamp(0, 1).mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()


def _apply_functions(
    pixels: UInt8[np.ndarray, "h w c"], functions: Sequence[PixelFunction]
) -> UInt8[np.ndarray, "h w c"]:
    if not functions:
        return pixels
    image = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    for function in functions:
        image = function(image)
    return image.permute(1, 2, 0).numpy()


def _to_device(pixels: Sequence[np.ndarray[Any, np.dtype[Any]]], device: torch.device) -> Float[Tensor, "b c h w"]:
    """The images as one float32 tensor in [0, 1] with channels_last memory format, in which they are stored already."""
    shapes = {image.shape for image in pixels}
    if len(shapes) > 1:
        sizes = ", ".join(f"{h}x{w}" for h, w, _ in sorted(shapes)[:3])
        raise DataError(
            f"images of different sizes ({sizes}, ...) cannot form a batch; resize all images to one size, for example "
            "with item_tfms=Resize(224)"
        )
    shape = (len(pixels), *pixels[0].shape)
    is_float = pixels[0].dtype == np.float32
    if device.type == "cpu" and is_float:
        return torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
    if device.type == "cpu":
        values = np.empty(shape, np.float32)
        for i, image in enumerate(pixels):
            cv2.LUT(image, _FLOAT_LEVELS, dst=values[i])
        return torch.from_numpy(values).permute(0, 3, 1, 2)
    # Copying from pinned memory does not block the CPU.
    dtype = torch.float32 if is_float else torch.uint8
    stacked = torch.empty(shape, dtype=dtype, pin_memory=device.type == "cuda")
    np.stack(pixels, out=stacked.numpy())
    x = stacked.to(device, non_blocking=True).permute(0, 3, 1, 2)
    return x if is_float else x.float().div_(255)


def _as_list(tfms: Any) -> list[Any]:
    if tfms is None:
        return []
    return list(tfms) if isinstance(tfms, (list, tuple)) else [tfms]
