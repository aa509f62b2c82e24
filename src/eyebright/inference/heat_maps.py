"""Heat maps: the regions of an image that raise the output of a label, in the pixels of the user's own image.

Grad-CAM (Selvaraju et al., 2017, arXiv:1610.02391, equations 1 and 2) weights each channel of the last feature map by
the mean gradient of the label's logit; LayerCAM (Jiang et al., 2021, IEEE Transactions on Image Processing 30:5875,
equations 4 and 5) weights each position by its own positive gradient. Regions that lower the output are 0 in both. A
cell of a convolutional network's last map is a seventh of the image wide, so peaks miss small objects: finer maps are
those of Grad-CAM for the image enlarged by half, for which the outputs of the network are nearly the same.

The map is resampled once, from the cells of the feature map to the user's pixels, through the inverse of the warp that
led to the network's input: crops, padding and rotated photographs are handled. Regions that the network did not see are
0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import cv2
import numpy as np
import PIL.Image
import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from eyebright.errors import InputError, check_choice, did_you_mean, listing
from eyebright.image.warp import Warp
from eyebright.inference.feature_maps import record_features
from eyebright.models.build import ImageModel
from eyebright.models.timm_backbone import TimmBackbone
from eyebright.tasks.base import TargetBlock
from eyebright.types import Size

HeatMapMethod = Literal["gradcam", "layercam", "gradcam-finer"]

_ENLARGEMENT = 1.5  # enlargement of the images for finer maps: 11 instead of 7 cells per side
_EQUALITY_TOLERANCE = 1e-6  # rounding error of the values of a heat map
OPACITY = 0.6
"""The opacity of the maximum of a drawn map; the opacity of other values is proportional."""


@dataclass(frozen=True, eq=False)
class HeatMap:
    """The regions of an image that raise the output for a label.

    Args:
        label: the label, class or number.
        values: for each pixel of the image (with its EXIF orientation applied), from 0 to 1 at the maximum; 0
            everywhere if no region raises the output.
        cells: the cells of the network's feature map, not scaled.
    """

    label: str
    values: Float[np.ndarray, "h w"]
    cells: Float[np.ndarray, "r c"]

    @property
    def peak(self) -> tuple[float, float]:
        """(x, y) of the centre of the pixel with the maximum; among equal ones the nearest to the middle of the image.

        The values are constant from the centre of an outermost cell to the edge of the image: there the centre of the
        cell is the peak.
        """
        height, width = self.values.shape
        rows, columns = np.nonzero(self.values >= self.values.max() - _EQUALITY_TOLERANCE)
        nearest = np.hypot(columns + 0.5 - width / 2, rows + 0.5 - height / 2).argmin()
        return float(columns[nearest]) + 0.5, float(rows[nearest]) + 0.5

    def drawn_on(self, image: PIL.Image.Image) -> PIL.Image.Image:
        """The image with the map drawn over it: high values are red, low ones are transparent.

        Args:
            image: the image with its EXIF orientation applied, of any size.
        """
        size = image.width, image.height
        values = cv2.resize(self.values, size, interpolation=cv2.INTER_AREA).clip(0, 1)
        colors = heat_colours()[(values * 255).astype(np.uint8)]
        opacity = OPACITY * values[:, :, None]
        below = np.asarray(image.convert("RGB"), dtype=np.float32)
        mixed: UInt8[np.ndarray, "h w 3"] = (below * (1 - opacity) + colors * opacity).round().astype(np.uint8)
        return PIL.Image.fromarray(mixed)


def heat_colours() -> UInt8[np.ndarray, "256 3"]:
    """The colours of values from 0 to 1 in a drawn map, RGB."""
    return cv2.applyColorMap(np.arange(256, dtype=np.uint8)[:, None], cv2.COLORMAP_TURBO)[:, 0, ::-1]


def heat_maps_of_input(
    model: ImageModel,
    target: TargetBlock,
    pixels: np.ndarray[Any, np.dtype[Any]],
    warp: Warp,
    labels: Sequence[str],
    *,
    method: HeatMapMethod = "gradcam",
) -> list[HeatMap]:
    """The heat map of each label, for one preprocessed image.

    Args:
        model: the model, in evaluation mode.
        target: the target block of the model.
        pixels: the preprocessed image, shape (height, width, channels), uint8 or float32 in [0, 1].
        warp: the warp from the user's image to ``pixels``.
        labels: labels, classes or names of numbers.
        method: ``"gradcam"``, ``"layercam"``, or ``"gradcam-finer"``, which is ``"gradcam"`` for backbones that take
            only images of one size.

    Raises:
        InputError: the model predicts points, or has no such label or no spatial feature map; or the method is unknown.
    """
    check_heat_maps(target, labels, method)
    device = next(model.parameters()).device
    images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(2, 0, 1)[None].to(device)
    images = images.float() / 255 if images.dtype == torch.uint8 else images
    features = record_features(model, _enlarged(model, images) if method == "gradcam-finer" else images)
    heat_maps: list[HeatMap] = []
    for label in labels:
        with torch.enable_grad():
            score = _score(target, features.outputs, label)
        values, gradients = features.with_gradient(score)
        cells = _cells(values, gradients, method)[0].cpu().numpy()
        heat_maps.append(HeatMap(label, in_user_pixels(cells, warp), cells))
    return heat_maps


def _enlarged(model: ImageModel, images: Float[Tensor, "b c h w"]) -> Float[Tensor, "b c h2 w2"]:
    """The images enlarged by half; unchanged if the backbone has a fixed input size."""
    if isinstance(model.body, TimmBackbone) and model.body.fixed_size is not None:
        return images
    return functional.interpolate(images, scale_factor=_ENLARGEMENT, mode="bilinear", align_corners=False)


def check_heat_maps(target: TargetBlock, labels: Sequence[str], method: str = "gradcam") -> None:
    """Raises `InputError` unless there are heat maps of these labels.

    Raises:
        InputError: the model predicts points, has no such label, or the method is unknown.
    """
    if target.is_geometric:
        raise InputError(
            "heat maps show which regions raise the output for a label; this model predicts points, which are "
            "places already"
        )
    check_choice("`method`", method, get_args(HeatMapMethod))
    names = target.value_names
    for label in labels:
        if label not in names:
            raise InputError(
                f"the model has no label '{label}'.{did_you_mean(str(label), names)} It has: {listing(names)}"
            )


def in_user_pixels(cells: Float[np.ndarray, "r c"], warp: Warp) -> Float[np.ndarray, "h w"]:
    """The map in the pixels of the user's image, from 0 to 1; 0 in regions that the network did not see.

    Args:
        cells: the cells of the feature map, not negative, which cover the network's input evenly.
        warp: the warp from the user's image to the network's input.
    """
    highest = float(cells.max())
    if not highest > 0:
        return np.zeros(warp.input_size, dtype=np.float32)
    scaled = (cells / highest).astype(np.float32)[:, :, None]
    to_user = Warp.resize(Size(*cells.shape), warp.output_size).then(warp.inverse())
    values = np.asarray(to_user.pixels(scaled, pad_mode="border"), dtype=np.float32)[:, :, 0]
    values = np.where(_seen(warp), values.clip(0, 1), np.float32(0))
    hottest = float(values.max())
    return values / np.float32(hottest) if hottest > 0 else values


def _seen(warp: Warp) -> Bool[np.ndarray, "h w"]:
    """Which pixels of the user's image have their centre inside the network's input."""
    height, width = warp.input_size
    x, y = (np.arange(width) + 0.5)[None, :], (np.arange(height) + 0.5)[:, None]
    across, down, depth = (row[0] * x + row[1] * y + row[2] for row in warp.matrix)
    inside = (across >= 0) & (across <= warp.output_size.width * depth)
    return inside & (down >= 0) & (down <= warp.output_size.height * depth)


def _score(target: TargetBlock, outputs: Float[Tensor, "b ..."], label: str) -> Float[Tensor, " b"]:
    """The logit or number of a label; the log-probability of an ordered class, which has no logit of its own."""
    outputs = outputs.flatten(1)
    if label in target.output_names:
        return outputs[:, target.output_names.index(label)]
    return target.activate(outputs)[:, target.value_names.index(label)].clamp_min(1e-12).log()


def _cells(
    values: Float[Tensor, "b c h w"], gradients: Float[Tensor, "b c h w"], method: HeatMapMethod
) -> Float[Tensor, "b h w"]:
    weights = gradients.relu() if method == "layercam" else gradients.mean(dim=(2, 3), keepdim=True)
    return (weights * values).sum(dim=1).relu()
