"""The demo is a folder of scripts beside the package: its tests run it, and import what it is made of."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "demo"


@pytest.fixture(scope="session")
def demo() -> Path:
    """The folder of the demo."""
    return DEMO


@pytest.fixture(scope="session")
def run_make_shelf() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs ``make_shelf.py`` with these arguments and gives what it printed."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(DEMO / "make_shelf.py"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def shelf(
    tmp_path_factory: pytest.TempPathFactory, run_make_shelf: Callable[..., subprocess.CompletedProcess[str]]
) -> tuple[Path, str]:
    """A set of 60 images, and what the script said about it."""
    out = tmp_path_factory.mktemp("shelf") / "set"
    done = run_make_shelf(out, "--images", 60)
    assert done.returncode == 0, done.stderr
    return out, done.stdout


@pytest.fixture
def demo_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the demo's scripts importable, as they are for each other."""
    monkeypatch.syspath_prepend(str(DEMO))
