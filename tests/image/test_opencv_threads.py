"""OpenCV has one thread in the context, and its former number afterwards, however contexts overlap."""

from collections.abc import Iterator

import cv2
import pytest

from eyebright.image.opencv_threads import one_opencv_thread


@pytest.fixture(autouse=True)
def two_threads() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    yield
    cv2.setNumThreads(before)


def test_the_last_context_that_ends_restores_the_number() -> None:
    first, second = one_opencv_thread(), one_opencv_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert cv2.getNumThreads() == 1
    second.__exit__(None, None, None)
    assert cv2.getNumThreads() == 2


def test_an_error_restores_the_number() -> None:
    with pytest.raises(RuntimeError, match="stop"), one_opencv_thread():
        raise RuntimeError("stop")
    assert cv2.getNumThreads() == 2
