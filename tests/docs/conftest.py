"""Small image sets with the names and layouts that the pages use, and a model that was trained on one of them."""

import csv
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import matplotlib as mpl
import numpy as np
import PIL.Image
import pytest
from matplotlib import pyplot as plt

from eyebright import TrainOptions, read_source, train_model
from support.pages import use_tiny_network

FOODS = {"banana": (200, 190, 30), "bread": (150, 90, 40), "carrot": (230, 120, 20), "cheese": (220, 200, 120)}
CLASSES = ("can", "carton", "milk_bottle", "water_bottle")


@pytest.fixture(scope="module")
def small_sets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that a page finds in its working folder."""
    root = tmp_path_factory.mktemp("sets")
    random = np.random.default_rng(0)
    _shelf(root, random)
    for i in range(40):
        _image(root / "fridgeObjects" / CLASSES[i % 4] / f"{i}.jpg", random, list(FOODS.values())[i % 4 : i % 4 + 1])
    _heads(root, random)
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_network(patch)
        source = read_source(root / "shelf" / "labels.csv", images=root / "shelf" / "photos")
        train_model(source, root / "model", options=TrainOptions(size=32, epochs=1))
    return root


@pytest.fixture
def working_folder(small_sets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the small sets, as the working folder, with small networks and without windows."""
    folder = tmp_path / "work"
    shutil.copytree(small_sets, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("EYEBRIGHT_DATA", str(folder))
    use_tiny_network(monkeypatch)
    mpl.use("Agg")
    yield folder
    plt.close("all")


def _shelf(root: Path, random: np.random.Generator) -> None:
    """The layout of ``demo/make_shelf.py``, and the README's ``labels.csv`` and ``photos/`` of the same images."""
    rows = []
    for i in range(48):
        foods = [name for name in FOODS if random.random() < 0.45] if i % 8 else []
        _image(root / "shelf" / "photos" / f"{i:05}.jpg", random, [FOODS[name] for name in foods])
        rows.append((f"{i:05}.jpg", " ".join(foods), i % 4 == 3))
    header = ("fname", "labels", "is_valid")
    _table(root / "shelf" / "labels.csv", header, rows)
    _table(root / "labels.csv", header, rows)
    shutil.copytree(root / "shelf" / "photos", root / "photos")
    (root / "shelf" / "new").mkdir()
    for i in range(8):
        shutil.copy(root / "photos" / f"{i:05}.jpg", root / "shelf" / "new" / f"new_{i}.jpg")
    for name in ("a.jpg", "b.jpg", "photo.jpg"):
        shutil.copy(root / "photos" / "00001.jpg", root / name)


def _heads(root: Path, random: np.random.Generator) -> None:
    """Photographs with a head at a point, of several persons."""
    rows = []
    for i in range(60):
        x, y = int(random.integers(14, 50)), int(random.integers(14, 34))
        _image(root / "heads" / f"{i:02}.jpg", random, [(220, 180, 150)], at=(x, y))
        rows.append((f"heads/{i:02}.jpg", x, y, i % 4 == 3))
    _table(root / "heads.csv", ("file", "head_x", "head_y", "is_valid"), rows)


def _image(
    path: Path, random: np.random.Generator, colours: Iterable[tuple[int, int, int]], at: tuple[int, int] | None = None
) -> None:
    """Saves a grey noise image with a square of each colour, at random places or at the point ``at``."""
    pixels = random.integers(90, 140, (48, 64, 3), dtype=np.uint8)
    for colour in colours:
        x, y = at or (int(random.integers(8, 56)), int(random.integers(8, 40)))
        pixels[max(y - 8, 0) : y + 8, max(x - 8, 0) : x + 8] = colour
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels).save(path, quality=95)


def _table(path: Path, header: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([header, *rows])
