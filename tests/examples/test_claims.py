"""The measurements behind what the notebooks say of the book's claims."""

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
from support.learners import SMALL

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
QUICK = ["--each", "20", "--size", "32", "--arch", SMALL, "--no-pretrained", "--seeds", "0", "1"]
ONE_EPOCH = ["--epochs", "1", "--freeze-epochs", "1"]


@pytest.fixture
def claims(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of the script."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return runpy.run_path(str(BENCHMARKS / "claims.py"))


@pytest.mark.parametrize(
    ("claim", "folder", "rows"),
    [
        ("presizing", "oxford-iiit-pet/images", ["presized, one resample", "small first, resampled one by one"]),
        ("rates", "oxford-iiit-pet/images", ["1e-05 to 0.001", "0.001 for all", "0.001, the body frozen"]),
        ("thresholds", "pascal_2007", ["accuracy_multi at 0.1", "accuracy_multi at 0.99", "no label at all"]),
    ],
)
def test_the_script_prints_a_row_for_each_side_and_keeps_what_it_measured(
    claim: str,
    folder: str,
    rows: list[str],
    small_sets: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    out = tmp_path / "measured.json"
    monkeypatch.setattr(
        sys, "argv", ["claims.py", claim, "--data", str(small_sets / folder), "--json", str(out), *QUICK, *ONE_EPOCH]
    )
    runpy.run_path(str(BENCHMARKS / "claims.py"), run_name="__main__")
    printed, kept = capsys.readouterr().out, json.loads(out.read_text())["results"]
    for row in rows:
        assert f"| {row} " in printed
        assert row in kept


@pytest.mark.parametrize(("more", "kept"), [([], True), (["--book"], False)])
def test_norm_layers_learn_only_where_the_book_is_asked_for(
    more: list[str], kept: bool, claims: dict[str, Any], small_sets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["claims.py", "thresholds", "--data", str(small_sets / "pascal_2007"), *more])
    told = claims["parse"]()
    told.arch, told.no_pretrained, told.freeze_epochs, told.size = SMALL, True, 1, 32
    learn = claims["train_pascal"](told, 0)
    assert (learn.training.keep_statistics, learn.training.train_bn) == (kept, not kept)


def test_changes_one_by_one_show_the_same_view_as_all_in_one(claims: dict[str, Any]) -> None:
    y, x = np.mgrid[:96, :96]
    smooth = np.stack([x * 2 + 20, y * 2 + 20, x + y + 20], axis=2).astype(np.uint8)  # resampling changes it little
    whole = Image.create(smooth)
    changes = aug_transforms(size=96, min_scale=0.75)
    for seed in range(5):
        together = draw_all([Resize(96), *changes], whole.shape, np.random.default_rng(seed))
        one = together.lighting.table()[whole.warped(together.warp)]
        split = draw_all([Resize(96), claims["OneByOne"](tuple(changes))], whole.shape, np.random.default_rng(seed))
        image = torch.from_numpy(whole.warped(split.warp).transpose(2, 0, 1).copy())
        for change in split.pixel_functions:
            image = change(image)
        inside = (slice(16, -16), slice(16, -16))  # at the edge reflections are reflected again
        difference = np.abs(one[inside].astype(float) - image.permute(1, 2, 0).numpy()[inside])
        assert difference.mean() < 1.5
        assert np.abs(one[inside].astype(float) - smooth[inside]).mean() > 3  # something was changed at all


def test_validation_images_are_the_same_in_both_orders(claims: dict[str, Any]) -> None:
    drawn = claims["OneByOne"](tuple(aug_transforms(size=32, min_scale=0.75))).draw((32, 32), None)
    assert drawn.pixel_functions == ()
    assert np.array_equal(drawn.warp.matrix, np.eye(3))


def test_some_of_each_takes_the_first_images_of_every_breed(claims: dict[str, Any]) -> None:
    files = [Path(f"{breed}_{i}.jpg") for breed in ("Bombay", "pug") for i in range(4)]
    assert [file.name for file in claims["some_of_each"](files, 2)] == [
        "Bombay_0.jpg", "Bombay_1.jpg", "pug_0.jpg", "pug_1.jpg",
    ]  # fmt: skip


def test_images_that_did_not_validate_do_not_count(claims: dict[str, Any]) -> None:
    probabilities = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    outcome = claims["outcome"](probabilities, torch.tensor([0, 0]), indices=[3, 1], images=4)
    assert outcome.right.isnan().tolist() == [True, False, True, False]
    assert float(outcome.right.nanmean()) == 0.5
    assert outcome.loss[[3, 1]].tolist() == pytest.approx([-np.log(0.9), -np.log(0.2)], abs=1e-6)
