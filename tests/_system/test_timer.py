"""Seconds go to the name that they were spent under."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from eyebright._system.timer import Laps


class Clock:
    """Seconds that a test passes by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_seconds_of_one_name_are_added_up_and_others_left_out() -> None:
    clock = Clock()
    laps = Laps(clock)
    for seconds, name in ((1.0, "decode"), (2.0, "warp"), (4.0, "decode")):
        with laps(name):
            clock.now += seconds
        clock.now += 100.0
    assert laps.seconds == {"decode": 5.0, "warp": 2.0}


def test_what_breaks_off_counts_too() -> None:
    clock = Clock()
    laps = Laps(clock)

    def fail() -> None:
        with laps("forward"):
            clock.now += 3.0
            raise KeyError("gone")

    with pytest.raises(KeyError, match="gone"):
        fail()
    assert laps.seconds == {"forward": 3.0}


def test_waiting_for_things_counts_and_using_them_does_not() -> None:
    clock = Clock()
    laps = Laps(clock)

    def things():
        for thing in "ab":
            clock.now += 1.0
            yield thing

    got = []
    for thing in laps.each("waiting", things()):
        clock.now += 10.0
        got.append(thing)
    assert got == ["a", "b"]
    assert laps.seconds == {"waiting": 2.0}


def test_threads_lose_no_seconds() -> None:
    laps = Laps(lambda: 0.0)
    ticks = iter(range(10**6))
    laps._clock = lambda: float(next(ticks))  # every lap lasts at least one tick

    def lap(_: int) -> None:
        with laps("all"):
            pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lap, range(2000)))
    assert laps.seconds["all"] >= 2000
