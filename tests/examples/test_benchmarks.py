"""The computations in the benchmarks: memory, timing, preprocessing errors, losses."""

import importlib
import runpy
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
SCRIPTS = sorted(path.name for path in BENCHMARKS.glob("*.py") if "parse_args()" in path.read_text(encoding="utf-8"))
ALLOCATE_AND_FORK = """
import os, time

def allocate(megabytes):
    block = bytearray(megabytes * 10**6)
    block[::4096] = b"x" * len(range(0, len(block), 4096))
    return block

shared = allocate(300)
child = os.fork()
private = None if child else allocate(30)
time.sleep(1.5)
if child:
    os.wait()
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A function that imports a module of the benchmarks folder."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))

    def import_module(name: str) -> ModuleType:
        return importlib.import_module(name)

    return import_module


@pytest.mark.parametrize("script", SCRIPTS)
def test_each_script_prints_its_help(
    script: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.setattr(sys, "argv", [script, "--help"])
    with pytest.raises(SystemExit) as exit_info:
        runpy.run_path(str(BENCHMARKS / script), run_name="__main__")
    assert exit_info.value.code == 0
    assert "--json" in capsys.readouterr().out


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's smaps_rollup")
def test_memory_shared_with_a_child_process_counts_once(module: Any) -> None:
    process = subprocess.Popen([sys.executable, "-c", ALLOCATE_AND_FORK])
    monitor = module("memory").MemoryMonitor(process.pid)
    assert process.wait() == 0
    peak = monitor.stop()
    assert peak.processes == 2
    assert 330 < peak.megabytes < 400


def test_timing_refuses_batches_that_are_not_normalised_floats(module: Any) -> None:
    batches = [torch.zeros(4, 3, 8, 8, dtype=torch.uint8)]
    with pytest.raises(SystemExit, match="not a finished batch"):
        module("peers.reading_protocol").timed_epoch(lambda: batches, (8, 8))


def test_the_start_of_an_epoch_is_its_first_two_batches(module: Any) -> None:
    batches = [torch.zeros(n, 3, 8, 8) for n in (4, 3, 2, 1)]
    epoch = module("peers.reading_protocol").timed_epoch(lambda: batches, (8, 8))
    assert (epoch["images"], epoch["start_images"]) == (10, 7)
    assert 0 < epoch["start"] < epoch["whole"]


@pytest.mark.parametrize("mosaic", [False, True])
def test_large_images_have_the_requested_size_and_content(module: Any, tmp_path: Path, mosaic: bool) -> None:
    files = [tmp_path / "black.png", tmp_path / "white.png"]
    for file, grey in zip(files, (0, 255), strict=True):
        PIL.Image.new("RGB", (50, 40), (grey,) * 3).save(file)
    (tmp_path / "large").mkdir()
    first, second = module("large_images").make_large(files, (1000, 600), tmp_path / "large", mosaic=mosaic)
    for file, grey in ((first, 0), (second, 255)):
        with PIL.Image.open(file) as image:
            assert image.size == (1000, 600)
            assert np.asarray(image).mean() == pytest.approx(127.5 if mosaic else grey, abs=1)


def test_without_resizing_preprocessing_equals_a_full_decode(module: Any, tmp_path: Path) -> None:
    file = tmp_path / "noise.png"
    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), dtype=np.uint8)
    PIL.Image.fromarray(pixels).save(file)
    transforms = (Resize(64), *aug_transforms(size=64, min_scale=0.75))
    [difference] = module("large_images").difference_to_full_decode([file], transforms)
    assert difference == pytest.approx(0, abs=0.5)


def test_log_loss_matches_scikit_learn(module: Any) -> None:
    random = np.random.default_rng(0)
    predicted = random.dirichlet(np.ones(4), size=20)
    single, multi = random.integers(0, 4, 20), random.integers(0, 2, (20, 4)).astype(bool)
    loss = module("answers").log_loss
    assert loss(predicted, single) == pytest.approx(log_loss(single, predicted, labels=range(4)))
    by_label = [log_loss(multi[:, k], predicted[:, k], labels=[False, True]) for k in range(4)]
    assert loss(predicted, multi) == pytest.approx(np.mean(by_label))


def test_time_without_a_named_activity_is_between(module: Any) -> None:
    counters = module("peers.idle_protocol").Counters
    before = counters(wall=10.0, busy=5.0, machine=50.0, thread={"forward": 1.0, "waiting": 2.0}, reading=1.0)
    after = counters(wall=14.0, busy=11.0, machine=57.0, thread={"forward": 3.5, "waiting": 2.0}, reading=2.0)
    part = before.until(after, 2)
    assert part["thread"] == {"forward": 2.5, "between": 1.5}
    assert (part["busy"], part["reading"], part["others"]) == (6.0, 1.0, 1.0)
    assert module("idle").neither(part) == pytest.approx(1 - (6.0 - 1.5) / 8)
