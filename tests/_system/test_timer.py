"""Seconds are added to the name that they were measured under."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from eyebright._system.timer import Timer


class Clock:
    """A clock that the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_seconds_of_one_name_are_added_up_and_others_are_not_counted() -> None:
    clock = Clock()
    timer = Timer(clock)
    for seconds, name in ((1.0, "decode"), (2.0, "warp"), (4.0, "decode")):
        with timer(name):
            clock.now += seconds
        clock.now += 100.0
    assert timer.seconds == {"decode": 5.0, "warp": 2.0}


def test_a_block_that_raises_counts_too() -> None:
    clock = Clock()
    timer = Timer(clock)

    def fail() -> None:
        with timer("forward"):
            clock.now += 3.0
            raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        fail()
    assert timer.seconds == {"forward": 3.0}


def test_seconds_that_belong_to_another_name_are_moved() -> None:
    timer = Timer()
    timer.add("waiting", 5.0)
    timer.move(2.0, "waiting", "forward")
    assert timer.seconds == {"waiting": 3.0, "forward": 2.0}


def test_waiting_for_items_counts_and_using_them_does_not() -> None:
    clock = Clock()
    timer = Timer(clock)

    def items():
        for item in "ab":
            clock.now += 1.0
            yield item

    got = []
    for item in timer.each("waiting", items()):
        clock.now += 10.0
        got.append(item)
    assert got == ["a", "b"]
    assert timer.seconds == {"waiting": 2.0}


def test_threads_lose_no_seconds() -> None:
    timer = Timer(lambda: 0.0)
    ticks = iter(range(10**6))
    timer._clock = lambda: float(next(ticks))  # every block lasts at least one tick

    def measure(_: int) -> None:
        with timer("all"):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(measure, range(2000)))
    assert timer.seconds["all"] >= 2000
