"""Large images that are decoded at once take a part of the available memory, in threads and in processes."""

import io
import itertools
import multiprocessing
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any

import numpy as np
import PIL.Image
import pytest

from eyebright.errors import ImageError
from eyebright.image import decode_memory as module
from eyebright.image.decode import value_range
from eyebright.image.decode_memory import MemoryBudget, decode_memory, use_budget
from eyebright.image.image import Image
from eyebright.image.warp import Warp
from eyebright.types import Size

LARGE = Size(2000, 4000)  # 72 MB while it is decoded
needs_fork = pytest.mark.skipif(sys.platform != "linux", reason="worker processes are forks")


@pytest.fixture(autouse=True)
def budget() -> Iterator[MemoryBudget]:
    """A budget of this test alone."""
    used = MemoryBudget()
    use_budget(used)
    yield used
    use_budget(MemoryBudget())


def available(monkeypatch: pytest.MonkeyPatch, megabytes: int) -> None:
    monkeypatch.setattr(module, "available_memory", lambda: megabytes * 1_000_000)


class Peak:
    """How many are inside at once, at most."""

    def __init__(self) -> None:
        self.lock, self.inside, self.most = threading.Lock(), 0, 0

    def enter(self, size: Size, seconds: float = 0.02) -> None:
        with decode_memory(size):
            with self.lock:
                self.inside += 1
                self.most = max(self.most, self.inside)
            time.sleep(seconds)
            with self.lock:
                self.inside -= 1


@pytest.mark.parametrize(("megabytes", "at_once"), [(0, 1), (100, 1), (300, 2), (450, 3), (10_000, 6)])
def test_threads_decode_as_many_large_images_at_once_as_fit_into_half_of_the_memory(
    megabytes: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    available(monkeypatch, megabytes)
    peak = Peak()
    with ThreadPoolExecutor(6) as pool:
        wait([pool.submit(peak.enter, LARGE) for _ in range(12)])
    assert peak.most == at_once


def test_small_images_never_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    available(monkeypatch, 0)
    peak = Peak()
    with decode_memory(LARGE), ThreadPoolExecutor(4) as pool:
        wait([pool.submit(peak.enter, Size(1000, 3999), 0.2) for _ in range(4)])
    assert peak.most == 4


def test_an_image_that_is_decoded_within_its_own_reservation_does_not_wait_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    available(monkeypatch, 0)
    with decode_memory(LARGE), decode_memory(LARGE):
        pass
    with pytest.raises(ImageError, match="damaged"), decode_memory(LARGE):
        raise ImageError("a.jpg", "damaged")
    with decode_memory(LARGE):  # neither has kept its memory
        pass


READS: dict[str, Callable[[bytes], Any]] = {
    "pixels": lambda data: Image.create(data).pixels(),
    "warped": lambda data: Image.create(data).warped(Warp.resize(LARGE, Size(20, 40))),
    "range": value_range,
}


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_every_way_to_decode_a_large_image_waits_for_memory(
    read: str, form: str, budget: MemoryBudget, monkeypatch: pytest.MonkeyPatch
) -> None:
    available(monkeypatch, 0)
    if read == "range":
        picture = PIL.Image.fromarray(np.zeros(LARGE, np.uint16))
        form = "PNG"
    else:
        picture = PIL.Image.new("RGB", LARGE[::-1])
    picture.save(file := io.BytesIO(), form)
    with ThreadPoolExecutor(1) as pool:
        with budget.reserved(1):
            waiting: Future[Any] = pool.submit(READS[read], file.getvalue())
            assert not wait([waiting], timeout=0.5).done
        assert waiting.result(60) is not None


def enter_and_log(times: Any, shared: MemoryBudget, barrier: Any) -> None:
    use_budget(shared)
    barrier.wait()
    for _ in range(3):
        with decode_memory(LARGE):
            began = time.monotonic()
            time.sleep(0.02)
            times.put((began, time.monotonic()))


@needs_fork
def test_processes_that_share_a_budget_wait_for_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    available(monkeypatch, 0)
    fork = multiprocessing.get_context("fork")
    times, barrier = fork.Queue(), fork.Barrier(3)
    shared = MemoryBudget(fork)
    workers = [fork.Process(target=enter_and_log, args=(times, shared, barrier)) for _ in range(3)]
    for worker in workers:
        worker.start()
    spans = sorted(times.get(timeout=30) for _ in range(9))
    for worker in workers:
        worker.join()
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(spans))


@needs_fork
def test_a_fork_has_nothing_reserved(monkeypatch: pytest.MonkeyPatch) -> None:
    available(monkeypatch, 0)
    fork = multiprocessing.get_context("fork")

    def enter_once() -> None:
        with decode_memory(LARGE):
            pass

    with decode_memory(LARGE):
        worker = fork.Process(target=enter_once)
        worker.start()
        worker.join(30)
        assert worker.exitcode == 0
