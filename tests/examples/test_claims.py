"""The script that tests the claims of the fastai book: its output, variants and scores."""

import json
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from eyebright.image.image import Image
from eyebright.transforms.draw import draw_all
from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize
from support.learners import TINY_ARCH

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
QUICK = ["--per-breed", "20", "--size", "32", "--arch", TINY_ARCH, "--no-pretrained", "--seeds", "0", "1"]
ONE_EPOCH = ["--epochs", "1", "--freeze-epochs", "1"]


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The functions and classes of the script by name."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return runpy.run_path(str(BENCHMARKS / "claims.py"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("claim", "folder", "rows"),
    [
        ("presizing", "oxford-iiit-pet/images", ["presized, one resampling", "small, one resampling per step"]),
        ("rates", "oxford-iiit-pet/images", ["1e-05 to 0.001", "0.001 for all layers", "0.001, frozen backbone"]),
        ("thresholds", "pascal_2007", ["accuracy_multi at 0.1", "accuracy_multi at 0.99", "baseline: no labels"]),
    ],
)
def test_the_script_prints_a_row_for_each_variant_and_writes_the_results(
    claim: str,
    folder: str,
    rows: list[str],
    small_datasets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    out = tmp_path / "measured.json"
    monkeypatch.setattr(
        sys,
        "argv",
        ["claims.py", claim, "--data", str(small_datasets / folder), "--json", str(out), *QUICK, *ONE_EPOCH],
    )
    runpy.run_path(str(BENCHMARKS / "claims.py"), run_name="__main__")
    printed, saved = capsys.readouterr().out, json.loads(out.read_text())["results"]
    for row in rows:
        assert f"| {row} " in printed
        assert row in saved


@pytest.mark.parametrize(("options", "keep_statistics"), [([], True), (["--fastai-recipe"], False)])
def test_batch_norms_train_only_with_the_fastai_recipe(
    options: list[str],
    keep_statistics: bool,
    claims: dict[str, Any],
    small_datasets: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        sys, "argv", ["claims.py", "thresholds", "--data", str(small_datasets / "pascal_2007"), *options]
    )
    arguments = claims["parse"]()
    arguments.arch, arguments.no_pretrained, arguments.freeze_epochs, arguments.size = TINY_ARCH, True, 1, 32
    learn = claims["train_pascal"](arguments, 0)
    assert (learn.trainer.keep_statistics, learn.trainer.train_bn) == (keep_statistics, not keep_statistics)


def test_stepwise_augmentation_approximates_the_composed_augmentation(claims: dict[str, Any]) -> None:
    y, x = np.mgrid[:96, :96]
    smooth = np.stack([x * 2 + 20, y * 2 + 20, x + y + 20], axis=2).astype(np.uint8)  # resampling changes it little
    original = Image.create(smooth)
    augment = aug_transforms(size=96, min_scale=0.75)
    for seed in range(5):
        draw = draw_all([Resize(96), *augment], original.shape, np.random.default_rng(seed))
        composed = draw.lighting.table()[original.warped(draw.warp)]
        steps = draw_all([Resize(96), claims["Stepwise"](tuple(augment))], original.shape, np.random.default_rng(seed))
        image = torch.from_numpy(original.warped(steps.warp).transpose(2, 0, 1).copy())
        for step in steps.pixel_functions:
            image = step(image)
        inside = (slice(16, -16), slice(16, -16))  # at the edge reflections are reflected again
        difference = np.abs(composed[inside].astype(float) - image.permute(1, 2, 0).numpy()[inside])
        assert difference.mean() < 1.5
        assert np.abs(composed[inside].astype(float) - smooth[inside]).mean() > 3  # the augmentation has an effect


def test_stepwise_augmentation_does_not_change_validation_images(claims: dict[str, Any]) -> None:
    draw = claims["Stepwise"](tuple(aug_transforms(size=32, min_scale=0.75))).draw((32, 32), None)
    assert draw.pixel_functions == ()
    assert np.array_equal(draw.warp.matrix, np.eye(3))


def test_first_of_each_breed_takes_the_first_images_of_every_breed(claims: dict[str, Any]) -> None:
    files = [Path(f"{breed}_{i}.jpg") for breed in ("Bombay", "pug") for i in range(4)]
    assert [file.name for file in claims["first_of_each_breed"](files, 2)] == [
        "Bombay_0.jpg", "Bombay_1.jpg", "pug_0.jpg", "pug_1.jpg",
    ]  # fmt: skip


def test_training_images_have_no_scores(claims: dict[str, Any]) -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    scores = claims["image_scores"](probabilities, torch.tensor([0, 0]), indices=[3, 1], images=4)
    assert scores.correct.isnan().tolist() == [True, False, True, False]
    assert float(scores.correct.nanmean()) == 0.5
    assert scores.loss[[3, 1]].tolist() == pytest.approx([-np.log(0.9), -np.log(0.2)], abs=1e-6)
