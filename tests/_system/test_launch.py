"""Several processes: what is printed and raised when one of them fails."""

import re
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from eyebright._system.launch import check_device_count, launch, run_worker
from eyebright.errors import InputError, ProcessEndedError, TrainingError


@pytest.fixture(autouse=True)
def modules_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[1]}:{Path(__file__).parents[2] / 'src'}")


def test_only_the_process_of_rank_0_prints(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    launch(2, "support.failing", "well")
    assert capfd.readouterr() == ("rank 0 prints\n", "")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ("killed", ProcessEndedError, "process 2 of 3 was killed (SIGKILL), as the system does when memory runs out"),
        ("ended", ProcessEndedError, "process 2 of 3 ended with exit code 7, so the others were stopped"),
        ("user error", TrainingError, "cannot read image 'a.jpg': it is cut off"),
        ("bug", RuntimeError, "KeyError: 'a bug'"),
    ],
)
def test_a_process_that_fails_ends_all_and_only_its_error_is_raised(
    how: str, kind: type[Exception], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(kind, match=f"^{re.escape(says)}") as raised:
        launch(3, "support.failing", how)
    printed = capfd.readouterr()
    assert printed.err == ""
    assert printed.out in ("rank 0 prints\n", "")  # it may be ended before it prints
    assert ("Traceback" in "".join(getattr(raised.value, "__notes__", []))) == (how == "bug")


@pytest.mark.parametrize(
    ("count", "says"), [(1, "there is 1 GPU; give `devices=1` or fewer"), (3, "there are 3 GPUs; ")]
)
def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch, count: int, says: str) -> None:
    gpus = SimpleNamespace(is_available=lambda: True, device_count=lambda: count)
    monkeypatch.setattr(torch, "cuda", gpus)
    with pytest.raises(InputError, match=f"4 devices were requested, but {says}"):
        check_device_count(4, None)
    check_device_count(count, "cuda")
    check_device_count(4, "cpu")


def test_a_signal_before_the_function_runs_ends_a_worker_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    class EndedError(Exception):
        pass

    def interrupt() -> None:
        raise KeyboardInterrupt

    def end(code: int) -> None:
        raise EndedError(code)

    monkeypatch.setattr("eyebright._system.launch.interrupt_on_sigterm", interrupt)
    monkeypatch.setattr("os._exit", end)
    with pytest.raises(EndedError, match="^130$"):
        run_worker(lambda: None)
