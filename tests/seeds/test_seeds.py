"""The seed documents: all code cells run in order, with only the import changed.

The documents are from chapters 5 and 6 of the fastai book and from the computer-vision recipes.

The cells run on small images in the layouts of the real datasets, with a small timm network instead of the ResNets,
which would need weights and minutes; those of chapter 6 also run on the real images if they are available.
"""

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import PIL.Image
import pytest
from matplotlib import pyplot as plt

from eyebright.learner.learner import Learner
from support.learners import TINY_ARCH

CELLS = sorted((Path(__file__).parent / "cells").glob("seed_*.py"))
SIZE = (24, 32)
SMALLER_SIZES = {"128": "32", "224": "32", "240": "24", "300": "32", "320": "32", "460": "48"}
"""Image sizes in the cells, and their replacements for images of 24 x 32."""


@pytest.fixture(autouse=True)
def no_window() -> Iterator[None]:
    mpl.use("Agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def small_datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small datasets with the layouts and names of the real ones."""
    root = tmp_path_factory.mktemp("sets")
    random = np.random.default_rng(0)
    _pascal(root / "pascal_2007", random)
    _fridge(root / "multilabelFridgeObjects", random)
    _pets(root / "oxford-iiit-pet" / "images", random)
    _biwi(root / "biwi_head_pose", random)
    return root


@pytest.mark.slow
@pytest.mark.parametrize("cells", CELLS, ids=lambda path: path.stem)
def test_all_cells_of_the_document_run_and_show_its_results(
    cells: Path, small_datasets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EYEBRIGHT_DATA", str(small_datasets))
    smaller = re.sub(r"\b(\d{3})\b", lambda size: SMALLER_SIZES.get(size[1], size[1]), cells.read_text())
    run(smaller)


@pytest.mark.slow  # the other documents take longer, or use datasets that are not available
def test_the_cells_of_chapter_6_run_on_real_images(
    shared_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link_subset(shared_data, tmp_path)
    monkeypatch.setenv("EYEBRIGHT_DATA", str(tmp_path))
    cells = (Path(__file__).parent / "cells" / "seed_000.py").read_text()
    run(re.sub(r"\b(128|240|320)\b", lambda size: str(int(size[1]) // 2), cells))  # what the network takes


def link_subset(sets: Path, folder: Path) -> None:
    """Links a part of the chapter 6 datasets: a seventh of the photographs and every third person, to save time."""
    for photographs in ("pascal_2007/train", *(f"biwi_head_pose/{number:02}" for number in range(1, 25, 3))):
        (folder / photographs).parent.mkdir(exist_ok=True)
        (folder / photographs).symlink_to(sets / photographs)
    lines = (sets / "pascal_2007" / "train.csv").read_text().splitlines(keepends=True)
    (folder / "pascal_2007" / "train.csv").write_text("".join(lines[: len(lines) // 7]))


def run(cells: str) -> None:
    """Runs the cells in order in one namespace, like a notebook; errors get a note with the cell."""
    names: dict[str, Any] = {"pytest_approx": pytest.approx}
    fewer_steps = cells.replace("learn.lr_find()", "learn.lr_find(num_it=20)")
    for number, cell in enumerate(re.split(r"(?m)^# %%\n", fewer_steps)[1:], 1):
        try:
            exec(compile(cell, f"cell {number}", "exec"), names)
        except Exception as error:
            error.add_note(f"in cell {number}:\n{cell}")
            raise
        for learner in ("cnn_learner", "vision_learner"):
            if learner in names and not hasattr(names[learner], "uses_tiny_network"):
                names[learner] = with_tiny_network(names[learner])
        if number % 10 == 0:
            plt.close("all")


def with_tiny_network(make: Callable[..., Learner]) -> Callable[..., Learner]:
    """A function that creates the learner with the small network, frozen up to the head like a pretrained one."""

    def made(data: Any, arch: Any, **options: Any) -> Learner:
        assert callable(arch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # the deprecation of cnn_learner is tested elsewhere
            learner = make(data, TINY_ARCH, pretrained=False, precision="float32", progress="quiet", **options)
        learner.freeze()
        return learner

    made.uses_tiny_network = True  # type: ignore[attr-defined]
    return made


def _image(path: Path, random: np.random.Generator, marks: Sequence[tuple[int, int, int]] = ()) -> None:
    """Saves an image of noise with a bright spot for each (x, y, channel)."""
    pixels = random.integers(60, 120, (*SIZE, 3), dtype=np.uint8)
    for x, y, channel in marks:
        pixels[max(y - 3, 0) : y + 3, max(x - 3, 0) : x + 3, channel] = 250
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(pixels).save(path)


def _labelled(folder: Path, random: np.random.Generator, names: list[str], count: int) -> list[tuple[str, str]]:
    rows = []
    for i in range(count):
        chosen = [name for name in names if random.random() < 0.4] or [names[i % len(names)]]
        _image(folder / f"{i:06}.jpg", random, [(5 + 8 * names.index(name), 12, names.index(name)) for name in chosen])
        rows.append((f"{i:06}.jpg", " ".join(chosen)))
    return rows


def _pascal(root: Path, random: np.random.Generator) -> None:
    rows = _labelled(root / "train", random, ["bird", "car", "person"], 260)
    lines = [f"{name},{labels},{i % 4 == 3}" for i, (name, labels) in enumerate(rows)]
    (root / "train.csv").write_text("\n".join(["fname,labels,is_valid", *lines]))


def _fridge(root: Path, random: np.random.Generator) -> None:
    rows = _labelled(root / "images", random, ["can", "carton", "milk_bottle"], 60)
    (root / "labels.csv").write_text("\n".join(["filename,labels", *(f"{name},{labels}" for name, labels in rows)]))


def _pets(folder: Path, random: np.random.Generator) -> None:
    for i in range(90):
        breed = ("Bombay", "beagle", "saint_bernard")[i % 3]
        _image(folder / f"{breed}_{i}.jpg", random, [(16, 12, i % 3)])


def _biwi(root: Path, random: np.random.Generator) -> None:
    """Images with a head at a point, and pose files in millimetres for a camera with focal length 1000 pixels."""
    for person in ("01", "07", "13"):
        for i in range(36):
            x, y = (int(random.integers(4, side - 4)) for side in reversed(SIZE))
            _image(root / person / f"frame_{i:05}_rgb.jpg", random, [(x, y, 0)])
            pose = f"1 0 0 \n0 1 0 \n0 0 1 \n\n{x - 16} {y - 12} 1000 \n"
            (root / person / f"frame_{i:05}_pose.txt").write_text(pose)
        calibration = "1000 0 16\n0 1000 12\n0 0 1\n\n0 0 0 0 \n\n1 0 0\n0 1 0\n0 0 1\n\n0 0 0\n\n640 480\n"
        (root / person / "rgb.cal").write_text(calibration)
