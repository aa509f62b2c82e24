"""Images with the statistics of photographs, and the copies that people make of them."""

import io
from pathlib import Path

import numpy as np
import PIL.Image
from PIL.Image import Transpose

SIZE = (200, 260)


def photograph(seed: int, size: tuple[int, int] = SIZE) -> PIL.Image.Image:
    """A random image with the spectrum of photographs: amplitude 1 / frequency (Field, 1987), in colour."""
    rng = np.random.default_rng(seed)
    height, width = size
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None])
    frequency[0, 0] = 1
    planes = [np.fft.ifft2(np.fft.fft2(rng.normal(size=size)) / frequency).real for _ in range(3)]
    grey = planes[0][..., None] + 0.3 * np.stack(planes, axis=-1)
    low, high = np.percentile(grey, [0.5, 99.5])
    return PIL.Image.fromarray((255 * np.clip((grey - low) / (high - low), 0, 1)).astype(np.uint8))


def copy_of(image: PIL.Image.Image, seed: int) -> PIL.Image.Image:
    """A copy in orientation ``seed % 8``, and by its random numbers cropped, resized and compressed."""
    rng = np.random.default_rng(seed)
    width, height = image.size
    if rng.random() < 0.6:
        left, right = rng.uniform(0, 0.05, 2) * width
        top, bottom = rng.uniform(0, 0.05, 2) * height
        image = image.crop((round(left), round(top), round(width - right), round(height - bottom)))
    if rng.random() < 0.6:
        scale = rng.uniform(0.5, 1.4)
        image = image.resize((round(image.width * scale), round(image.height * scale)), PIL.Image.Resampling.BICUBIC)
    image = [image, *[image.transpose(turn) for turn in Transpose]][seed % 8]
    return reencoded(image, int(rng.integers(35, 96)))


def reencoded(image: PIL.Image.Image, quality: int) -> PIL.Image.Image:
    """The image after it was compressed as a JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return PIL.Image.open(file).convert("RGB")


def saved(folder: Path, images: dict[str, PIL.Image.Image]) -> list[Path]:
    """The paths of the images, written to a folder; a name ends with the format."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, image in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / name, quality=92)
    return [folder / name for name in images]
