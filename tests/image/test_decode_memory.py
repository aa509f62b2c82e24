"""Conversion to RGB in strips: the same pixels, and a bounded peak of memory."""

import io
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from eyebright.image import decode as module
from eyebright.image.decode import decode

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "F", "I"]


def image_file(mode: str, size: tuple[int, int] = (37, 51)) -> bytes:
    draw = np.random.default_rng(0)
    if mode in ("F", "I"):  # values that are scaled by their range in the whole image; some are NaN
        values = draw.normal(0, 1000, size[::-1]).astype(np.float32)
        values[3:5] = np.nan
        image = PIL.Image.fromarray(values if mode == "F" else np.nan_to_num(values).astype(np.int32))
        image.save(file := io.BytesIO(), "TIFF")
        return file.getvalue()
    if mode == "I;16":
        image = PIL.Image.fromarray(draw.integers(0, 65_536, size[::-1], np.uint16))
    else:
        image = PIL.Image.fromarray(draw.integers(0, 256, (*size[::-1], 4), np.uint8)).convert(mode)
    file = io.BytesIO()
    image.save(file, "PNG", **({"transparency": 3} if mode in ("P", "L") else {}))
    return file.getvalue()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("reduce", [1, 2, 8])
def test_strips_give_the_pixels_of_the_whole_image(mode: str, reduce: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = image_file(mode)
    whole = decode(data, reduce=reduce)
    monkeypatch.setattr(module, "_STRIP_PIXELS", 37 * 5)
    np.testing.assert_array_equal(decode(data, reduce=reduce), whole)


MEASURE = """
import io, os, resource, sys
import PIL.Image
from eyebright.image.image import Image
def made(mode, name, size):
    file = io.BytesIO()
    PIL.Image.new(mode, size, 0).save(file, name, **({"transparency": 0} if mode == "P" else {}))
    return file.getvalue()
def measure(mode, name):
    data = made(mode, name, (8000, 5000))
    Image.create(made(mode, name, (8, 8))).pixels()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    pixels = Image.create(data).pixels()
    assert pixels.min() == pixels.max() == (255 if mode in ("P", "RGBA") else 0)
    peak = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 40e6
    sys.stdout.write(f"{mode} {peak}\\n")
    sys.stdout.flush()
for each in sys.argv[1:]:
    child = os.fork()  # the peak of a process never goes down
    if not child:
        measure(*each.split("."))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, each
"""
STORED = {"1.PNG": 1, "P.PNG": 1, "RGBA.PNG": 4, "F.TIFF": 4, "RGB.JPEG": 0}
"""Modes and formats of images, and how many bytes of a pixel Pillow stores."""


@pytest.fixture(scope="module")
def peaks() -> dict[str, float]:
    """The peak of memory for each mode, in bytes a pixel."""
    run = subprocess.run([sys.executable, "-c", MEASURE, *STORED], capture_output=True, text=True, check=True)
    return {mode: float(peak) for mode, peak in map(str.split, run.stdout.splitlines())}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is that of Linux")
@pytest.mark.parametrize("kind", STORED)
def test_an_image_takes_its_rgb_pixels_and_those_that_pillow_stores_but_no_copy_of_either(
    kind: str, peaks: dict[str, float]
) -> None:
    strip_and_file = 2.5  # a strip of 4 of these 40 million pixels is converted at a time
    peak = peaks[kind.split(".")[0]]
    assert 1 < peak < 3 + STORED[kind] + strip_and_file, "bytes a pixel"
