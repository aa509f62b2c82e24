"""The parts of the benchmarks that a wrong number could come from."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from sklearn.metrics import log_loss

from eyebright.transforms.presets import aug_transforms
from eyebright.transforms.spatial import Resize

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
HOLDS = """
import os, time

def touched(megabytes):
    held = bytearray(megabytes * 10**6)
    held[::4096] = b"x" * len(range(0, len(held), 4096))
    return held

shared = touched(300)
child = os.fork()
own = None if child else touched(30)
time.sleep(1.5)
if child:
    os.wait()
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Imports a script, or what scripts share."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def named(name: str) -> ModuleType:
        return importlib.import_module(name)

    return named


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="only Linux tells")
def test_memory_that_a_child_shares_counts_once(module: Any) -> None:
    process = subprocess.Popen([sys.executable, "-c", HOLDS])
    watch = module("memory").Watch(process.pid)
    assert process.wait() == 0
    peak = watch.stop()
    assert peak.processes == 2
    assert 330 < peak.megabytes < 400


def test_a_batch_that_no_network_takes_is_not_timed(module: Any) -> None:
    batches = [torch.zeros(4, 3, 8, 8, dtype=torch.uint8)]
    with pytest.raises(SystemExit, match="not finished"):
        module("peers.reading_job").timed_epoch(lambda: batches, (8, 8))


def test_the_start_of_an_epoch_is_its_first_two_batches(module: Any) -> None:
    epoch = module("peers.reading_job").timed_epoch(lambda: [torch.zeros(n, 3, 8, 8) for n in (4, 3, 2, 1)], (8, 8))
    assert (epoch["images"], epoch["in_start"]) == (10, 7)
    assert 0 < epoch["start"] < epoch["whole"]


@pytest.mark.parametrize("mosaic", [False, True])
def test_made_images_have_the_size_and_hold_the_photographs(module: Any, tmp_path: Path, mosaic: bool) -> None:
    files = [tmp_path / "black.png", tmp_path / "white.png"]
    for file, grey in zip(files, (0, 255), strict=True):
        PIL.Image.new("RGB", (50, 40), (grey,) * 3).save(file)
    (tmp_path / "made").mkdir()
    first, second = module("views").make_large(files, (1000, 600), tmp_path / "made", mosaic=mosaic)
    for file, grey in ((first, 0), (second, 255)):
        with PIL.Image.open(file) as image:
            assert image.size == (1000, 600)
            assert np.asarray(image).mean() == pytest.approx(127.5 if mosaic else grey, abs=1)


def test_a_view_without_resizing_is_what_a_full_decode_gives(module: Any, tmp_path: Path) -> None:
    file = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(file)
    transforms = (Resize(64), *aug_transforms(size=64, min_scale=0.75))
    [difference] = module("views").difference_to_full_decode([file], transforms)
    assert difference == pytest.approx(0, abs=0.5)


def test_the_loss_of_predictions_is_that_of_scikit_learn(module: Any) -> None:
    chance = np.random.default_rng(0)
    predicted = chance.dirichlet(np.ones(4), size=20)
    single, multi = chance.integers(0, 4, 20), chance.integers(0, 2, (20, 4)).astype(bool)
    loss = module("answers").loss
    assert loss(predicted, single) == pytest.approx(log_loss(single, predicted, labels=range(4)))
    each = [log_loss(multi[:, k], predicted[:, k], labels=[False, True]) for k in range(4)]
    assert loss(predicted, multi) == pytest.approx(np.mean(each))


def test_what_nothing_accounts_for_is_between(module: Any) -> None:
    moment = module("peers.idle_job").Moment
    before = moment(wall=10.0, worked=5.0, machine=50.0, thread={"forward": 1.0, "waiting": 2.0}, reading=1.0)
    after = moment(wall=14.0, worked=11.0, machine=57.0, thread={"forward": 3.5, "waiting": 2.0}, reading=2.0)
    part = before.until(after, 2)
    assert part["thread"] == {"forward": 2.5, "between": 1.5}
    assert (part["worked"], part["reading"], part["others"]) == (6.0, 1.0, 1.0)
    assert module("idle").neither(part) == pytest.approx(1 - (6.0 - 1.5) / 8)
