"""`make gpu-check`, on the CPU with tiny sizes; and that a check that fails or hangs loses nothing."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "benchmarks" / "gpu_check.py"


@pytest.fixture
def gpu_check(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import gpu_check

    return gpu_check


@pytest.fixture
def report(gpu_check: Any, tmp_path: Path) -> Any:
    return gpu_check.Report(tmp_path / "rows.json", torch.device("cpu"), gpu_check.tiny_sizes())


@pytest.fixture
def work(gpu_check: Any, tmp_path: Path) -> Any:
    return gpu_check.Work(torch.device("cpu"), gpu_check.tiny_sizes(), tmp_path)


def rows_in(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "rows.json").read_text(encoding="utf-8"))["rows"]


@pytest.mark.slow
def test_every_check_passes_on_the_cpu_with_tiny_sizes_and_no_package_of_an_extra(tmp_path: Path) -> None:
    blocked = tmp_path / "blocked"
    blocked.mkdir()
    for name in ("pytest", "matplotlib", "sklearn", "scipy", "onnx", "onnxruntime", "fastcore", "hypothesis"):
        (blocked / f"{name}.py").write_text(f"raise ImportError('{name} is no base dependency')\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--device", "cpu", "--tiny", "--json", str(tmp_path / "rows.json")],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(blocked), str(ROOT / "src")])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = rows_in(tmp_path)
    assert all(set(row) == {"name", "ok", "value", "unit", "message"} for row in rows)
    names = "\n".join(row["name"] for row in rows)
    for part in (
        "devices agree",
        "predict: batches of 1 ",
        "what is saved is what is answered",
        "executors agree",
        "a point moves with its pixels",
        "canonical pixels",
        "training in float16",
        "training in bfloat16",
        "bit for bit",
        "training step, float32, channels_last: plain loop",
        "training step, bfloat16, contiguous: eyebright",
        "training with reading, float32: times as fast",
        "evaluation with reading: eyebright, images kept",
        "prediction of files: times as fast",
    ):
        assert part in names
    record = json.loads((tmp_path / "rows.json").read_text(encoding="utf-8"))
    assert record["ok"] is True
    assert record["torch"].startswith(record["machine"]["versions"]["torch"])


def test_a_check_that_fails_does_not_stop_the_others(gpu_check: Any, report: Any, work: Any, tmp_path: Path) -> None:
    def good(work: Any) -> Iterator[Any]:
        yield gpu_check.Row("one", True, 1.0, "s", "fine")

    def breaks_off(work: Any) -> Iterator[Any]:
        yield gpu_check.Row("two", True, None, "", "fine")
        raise LookupError("the shelf is empty")

    gpu_check.run_checks(work, [breaks_off, good], report, budget=60)
    assert [(row["name"], row["ok"]) for row in rows_in(tmp_path)] == [
        ("two", True),
        ("breaks off", False),
        ("one", True),
    ]
    assert "LookupError: the shelf is empty (test_gpu_check.py:" in rows_in(tmp_path)[1]["message"]
    assert not report.ok


def test_a_check_for_which_there_is_no_time_is_a_row_that_fails(
    gpu_check: Any, report: Any, work: Any, tmp_path: Path
) -> None:
    def never(work: Any) -> Iterator[Any]:
        raise AssertionError

    gpu_check.run_checks(work, [never], report, budget=0)
    assert [(row["name"], row["ok"]) for row in rows_in(tmp_path)] == [("never", False)]
    assert "not run: the 0 seconds" in rows_in(tmp_path)[0]["message"]


@pytest.mark.slow
def test_a_check_that_hangs_ends_the_program_and_the_rows_before_it_stay(tmp_path: Path) -> None:
    program = f"""
import sys, time
sys.path.insert(0, {str(SCRIPT.parent)!r})
import gpu_check
gpu_check.CHECKS = (lambda work: [gpu_check.Row("first", True, None, "", "")], lambda work: time.sleep(60))
gpu_check.SPEEDS = ()
gpu_check.GRACE = 0.5
sys.argv = ["gpu_check", "--device", "cpu", "--tiny", "--budget", "1", "--json", {str(tmp_path / "rows.json")!r}]
gpu_check.main()
"""
    started = time.monotonic()
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 1, ended.stderr
    assert time.monotonic() - started < 40
    first, last = rows_in(tmp_path)
    assert (first["ok"], last["ok"]) == (True, False)
    assert "did not finish in time" in last["message"]


@pytest.mark.slow
def test_a_device_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, str(SCRIPT), "--device", "cuda:99"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith("gpu_check: cannot use the device 'cuda:99'")
    assert "Traceback" not in ended.stderr
