"""Datasets like those on which fastai's values were recorded, with other pixels."""

from pathlib import Path

import numpy as np
import pandas as pd
import PIL.Image
import pytest

LABELS = ("car", "person", "dog", "chair")


@pytest.fixture(scope="session")
def pets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty images of three breeds in several sizes, named after the breed (chapter 5 of the fastai book)."""
    folder = tmp_path_factory.mktemp("pets")
    random = np.random.default_rng(0)
    for i in range(60):
        pixels = random.integers(0, 255, (40 + i % 7, 60 + i % 5, 3), dtype=np.uint8)
        PIL.Image.fromarray(pixels).save(folder / f"{('Bombay', 'pug', 'beagle')[i % 3]}_{i}.jpg")
    return folder


@pytest.fixture(scope="session")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images of one size for `voc_table` (chapter 6 of the fastai book)."""
    folder = tmp_path_factory.mktemp("voc")
    for i in range(40):
        PIL.Image.new("RGB", (500, 333), (6 * i, 255 - 6 * i, 128)).save(folder / f"{i:06}.jpg")
    return folder


@pytest.fixture(scope="session")
def voc_table() -> pd.DataFrame:
    """The labels of `voc`; every fifth image is in the validation set."""
    labels = [" ".join(sorted({LABELS[i % 4], LABELS[i * i % 4]})) for i in range(40)]
    names = [f"{i:06}.jpg" for i in range(40)]
    return pd.DataFrame({"fname": names, "labels": labels, "is_valid": [i % 5 == 0 for i in range(40)]})
