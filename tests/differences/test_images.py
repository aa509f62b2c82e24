"""Defects of fastai in images and points; row numbers refer to ``README.md`` in this folder."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import PIL.Image
import pytest
import torch

from eyebright.data.block import DataBlock
from eyebright.image import warp as geometry
from eyebright.image.image import Image
from eyebright.sources.split import IndexSplitter
from eyebright.tasks.image import ImageBlock
from eyebright.tasks.points import PointBlock
from eyebright.transforms import pipeline
from eyebright.transforms.draw import draw_all
from eyebright.transforms.lighting import Brightness
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from eyebright.types import Points, Size
from support.gold import gold
from support.learners import squares_block

CHAPTER_5 = {"item_tfms": Resize(460), "batch_tfms": aug_transforms(size=224, min_scale=0.75)}


def blob(size: Size, x: float, y: float) -> np.ndarray:
    """A black image with a Gaussian spot at (x, y)."""
    yy, xx = np.mgrid[: size.height, : size.width] + 0.5
    grey = 255 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 8)
    return np.repeat(grey[:, :, None], 3, 2).round().astype(np.uint8)


def center(grey: torch.Tensor) -> torch.Tensor:
    """The centroid (x, y) of the brightness."""
    y, x = torch.meshgrid(torch.arange(grey.shape[0]) + 0.5, torch.arange(grey.shape[1]) + 0.5, indexing="ij")
    return torch.stack([(grey * x).sum(), (grey * y).sum()]) / grey.sum()


def test_points_of_a_photograph_with_exif_orientation_are_on_its_upright_pixels(tmp_path: Path) -> None:
    """Row 17: fastai ignores EXIF orientation, so photographs are rotated and points are wrong."""
    x, y = 20.0, 12.0
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # to be displayed after a quarter turn clockwise
    for i in range(2):
        stored = PIL.Image.fromarray(np.rot90(blob(Size(60, 40), x, y)).copy())
        stored.save(tmp_path / f"{i}.png", exif=exif)
    block = DataBlock(
        (ImageBlock, PointBlock), get_y=lambda _: [x, y], splitter=IndexSplitter([1]), item_tfms=Resize((30, 20))
    )
    pixels, points = block.dataloaders(sorted(tmp_path.iterdir()), bs=1).valid.one_batch()
    assert torch.allclose((points[0, 0] + 1) * torch.tensor([20, 30]) / 2, torch.tensor([x, y]) / 2)
    assert torch.allclose(center(pixels[0, 0]), torch.tensor([x, y]) / 2, atol=0.1)


@pytest.mark.parametrize("training", [True, False])
def test_chapter_5s_transforms_resample_each_image_once(
    folder: Path, table: pd.DataFrame, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row 21: fastai resamples three times for presizing, augmentation and crop, validation images too."""
    recipe = f"aug_transforms(size=224,min_scale=.75) {'train  <- book ch.5' if training else 'valid'}"
    assert len(gold("g07_augment")["resamplings"][recipe]["grid_samples"]) == 2, "and presizing before them"
    resampled: list[Any] = []
    # Training images are warped, validation images get canonical pixels.
    module, name = (geometry, "resample") if training else (pipeline, "canonical_pixels")
    resample = getattr(module, name)

    def counting(image: Any, *arguments: Any, **options: Any) -> Any:
        resampled.append(image.shape)
        return resample(image, *arguments, **options)

    monkeypatch.setattr(module, name, counting)
    dls = squares_block(folder, **CHAPTER_5).dataloaders(table, bs=6, num_workers=0)
    batches = list(dls.train.batches() if training else dls.valid.batches())
    assert {batch.x.shape for batch in batches} == {(6, 3, 224, 224)}
    assert resampled == [(48, 64, 3)] * 6 * len(batches), "once, from the original pixels"


def test_a_validation_image_of_the_right_size_is_not_resampled(folder: Path, table: pd.DataFrame) -> None:
    """Row 21: fastai resamples validation images with the identity, which costs time and sharpness."""
    assert gold("g07_augment")["validation identity resample: max |diff|"] > 0
    dls = squares_block(folder, item_tfms=None, batch_tfms=aug_transforms()).dataloaders(table, bs=4)
    x, _ = dls.valid.one_batch()
    expected = np.stack([Image.create(folder / name).pixels() for name in table[table["is_valid"]]["fname"][:4]])
    assert np.array_equal((x * 255).round().permute(0, 2, 3, 1).numpy(), expected)


def test_each_image_has_its_own_random_crop_and_keeps_its_points(folder: Path, table: pd.DataFrame) -> None:
    """Row 19: fastai crops all images of a batch with the same box, and slices the tensor of points like an image."""
    recorded = gold("g06_geometry")["RandomResizedCropGPU on points"]
    assert (recorded["in_shape"], recorded["out_shape"]) == ([2, 3, 2], [2, 0, 0])
    assert list(gold("g06_geometry")["RandomResizedCropGPU draws ONE box per batch"]) == ["tl", "cp"]
    with_points = table.assign(x=32.0, y=24.0)
    block = squares_block(
        folder,
        blocks=(ImageBlock, PointBlock),
        get_y=lambda row: [[row["x"], row["y"]], [row["x"] + 2, row["y"]], [row["x"], row["y"] + 2]],
        item_tfms=None,
        batch_tfms=aug_transforms(size=32, min_scale=0.6, do_flip=False, max_rotate=0, max_warp=0, max_zoom=1),
    )
    batch = next(block.dataloaders(with_points, bs=8).train.batches(0))
    assert batch.y is not None
    assert batch.y.shape == (8, 3, 2)
    boxes = {tuple(warp.inverse().points(Points.of([[0, 0], [32, 32]])).xy.flatten().tolist()) for warp in batch.warps}
    assert len(boxes) == 8
    for warp, points in zip(batch.warps, batch.y, strict=True):
        expected = warp.points(Points.of([[32, 24], [34, 24], [32, 26]])).xy / 16 - 1
        assert torch.allclose(points.double(), expected, atol=1e-6)


def test_two_transforms_of_the_same_class_are_both_applied(folder: Path, table: pd.DataFrame) -> None:
    """Other defects: of two transforms of the same class fastai silently keeps only the last."""
    traps = gold("g08_datablock")["traps"]
    remaining = traps["two item_tfms of the same class: only the last survives"]
    assert [name.split(",")[0] for name in remaining] == ["Resize -- {'size': (12", "ToTensor"]
    assert sum(name.startswith("Brightness") for name in traps["two Brightness in batch_tfms"]) == 1
    block = squares_block(folder, item_tfms=[Resize((48, 20)), Resize(16)], batch_tfms=None)
    batch = next(block.dataloaders(table, bs=4).valid.batches())
    box = batch.warps[0].inverse().points(Points.of([[0, 0], [16, 16]])).xy
    # 48x64 becomes 38x51 (0.8 times as large, rounded), of which columns 17 to 33 and rows 11 to 27 are cropped.
    center_of_the_center = torch.tensor([[17 / 51 * 64, 11 / 38 * 48], [33 / 51 * 64, 27 / 38 * 48]]).double()
    assert torch.allclose(box, center_of_the_center)

    size, transforms = Size(8, 8), [Brightness(0.1, p=1), Brightness(0.5, p=1)]
    composed = draw_all(transforms, size, np.random.default_rng(0)).lighting
    generator = np.random.default_rng(0)
    separate = [transform.draw(size, generator).lighting for transform in transforms]
    assert composed.offset == pytest.approx(separate[0].offset + separate[1].offset)
