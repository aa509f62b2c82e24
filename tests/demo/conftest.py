"""Fixtures for the demo, a folder of scripts outside the package: run them, or import their modules."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

DEMO = Path(__file__).resolve().parents[2] / "demo"


@pytest.fixture(scope="session")
def demo() -> Path:
    """The demo folder."""
    return DEMO


@pytest.fixture(scope="session")
def run_make_shelf() -> Callable[..., subprocess.CompletedProcess[str]]:
    """A function that runs ``make_shelf.py`` with arguments and returns the completed process."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(DEMO / "make_shelf.py"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def shelf(
    tmp_path_factory: pytest.TempPathFactory, run_make_shelf: Callable[..., subprocess.CompletedProcess[str]]
) -> tuple[Path, str]:
    """A dataset of 60 images, and the output of the script."""
    out = tmp_path_factory.mktemp("shelf") / "dataset"
    result = run_make_shelf(out, "--count", 60)
    assert result.returncode == 0, result.stderr
    return out, result.stdout


@pytest.fixture
def demo_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the demo's modules importable."""
    monkeypatch.syspath_prepend(str(DEMO))
