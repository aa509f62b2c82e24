"""Several processes: what a person hears of them when one goes wrong."""

import re
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from eyebright._system.launch import ProcessEndedError, check_device_count, launch
from eyebright.errors import InputError, TrainingError


@pytest.fixture(autouse=True)
def modules_of_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[1]}:{Path(__file__).parents[2] / 'src'}")


def test_the_first_of_the_processes_talks(capfd: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    launch(2, "support.failing", "well")
    assert capfd.readouterr() == ("the first prints\n", "")
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("how", "kind", "says"),
    [
        ("killed", ProcessEndedError, "process 2 of 3 was killed (SIGKILL), as the system does when memory runs out"),
        ("ended", ProcessEndedError, "process 2 of 3 ended with exit code 7, so the others were stopped"),
        ("told", TrainingError, "cannot read image 'a.jpg': it is cut off"),
        ("fault", RuntimeError, "KeyError: 'of ours'"),
    ],
)
def test_one_that_fails_ends_all_and_its_error_alone_is_told(
    how: str, kind: type[Exception], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(kind, match=f"^{re.escape(says)}") as told:
        launch(3, "support.failing", how)
    said = capfd.readouterr()
    assert said.err == ""
    assert said.out in ("the first prints\n", "")  # it may be ended before it has begun
    assert ("Traceback" in "".join(getattr(told.value, "__notes__", []))) == (how == "fault")


@pytest.mark.parametrize(("there", "says"), [(1, "there is 1 GPU; give devices=1 or fewer"), (3, "there are 3 GPUs; ")])
def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch, there: int, says: str) -> None:
    gpus = SimpleNamespace(is_available=lambda: True, device_count=lambda: there)
    monkeypatch.setattr(torch, "cuda", gpus)
    with pytest.raises(InputError, match=f"4 devices are asked for, and {says}"):
        check_device_count(4, None)
    check_device_count(there, "cuda")
    check_device_count(4, "cpu")
