"""Fixtures that more than one room of tests uses."""

import gc
import hashlib
import math
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pandas as pd
import pytest
from jaxtyping import config as shape_checks

from support import shapes

# A busy machine is no fault. A change is judged by the same examples as the one before it; new ones are drawn by
# `pytest --hypothesis-profile random`.
for name, repeats in (("random", False), ("repeatable", True)):
    hypothesis.settings.register_profile(
        name, derandomize=repeats, deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
    )
hypothesis.settings.load_profile("repeatable")
shapes.install()  # before the first import of eyebright

from support.images import coloured_squares  # noqa: E402

SLOW_AT_LEAST = 120  # seconds for slow tests where the quick ones have taken all of the time
SLOW_UNTIL = pytest.StashKey[float]()
SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session", autouse=True)
def _a_home_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """Tests leave nothing in the home of whoever runs them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EYEBRIGHT_HOME", str(tmp_path_factory.mktemp("home")))
        yield


@pytest.fixture(autouse=True)
def _wrong_shapes(request: pytest.FixtureRequest) -> Iterator[None]:  # pyright: ignore[reportUnusedFunction]
    """Shapes are not checked in tests that give wrong ones to read the library's own error."""
    with pytest.MonkeyPatch.context() as patch:
        if request.node.get_closest_marker("wrong_shapes"):
            patch.setattr(shape_checks, "jaxtyping_disable", True)
        yield


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the repository, where there is one."""
    if not SHARED.is_dir():
        pytest.skip(f"the real images of {SHARED} are not here")
    return SHARED


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the images of `table`."""
    return tmp_path_factory.mktemp("squares")


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    """Coloured squares; a room that wants more of them, fewer or others has a `table` of its own."""
    return coloured_squares(folder, 40)


def pytest_collection_finish(session: pytest.Session) -> None:
    """What was imported stays: the garbage collector need not look at it after each 700 objects."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 20, 30)
    until = session.config.getoption("--slow-until")
    if until is not None:
        session.config.stash[SLOW_UNTIL] = max(until, time.time() + SLOW_AT_LEAST)


def pytest_sessionfinish() -> None:
    """Libraries that are written in C++ complain about objects that nothing has collected at the end."""
    gc.unfreeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    text = (
        f"start no test marked `slow` after this Unix time, or after {SLOW_AT_LEAST} seconds of them if that is later; "
        "the files come in an order that depends on the commit"
    )
    parser.addoption("--slow-until", type=float, metavar="TIME", help=text)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared)
    if config.getoption("--slow-until") is not None:
        # Where the time is not enough for all, each commit leaves out others, and a second run of it the same.
        commit = _commit()
        items.sort(key=lambda item: hashlib.sha256(commit + item.location[0].encode()).digest())


def _commit() -> bytes:
    try:
        command = ["git", "rev-parse", "HEAD"]
        return subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, check=False).stdout
    except OSError:  # there is no git
        return b""


def pytest_runtest_setup(item: pytest.Item) -> None:
    until = item.config.stash.get(SLOW_UNTIL, math.inf)
    if time.time() > until and item.get_closest_marker("slow"):
        pytest.skip("no time was left for it (--slow-until)")
