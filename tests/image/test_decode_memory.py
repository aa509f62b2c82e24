"""Conversion to RGB in strips: the same pixels, and a bounded peak of memory."""

import io
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from eyebright.image import decode as module
from eyebright.image.decode import decode

MODES = ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"]


def image_file(mode: str, size: tuple[int, int] = (37, 51)) -> bytes:
    draw = np.random.default_rng(0)
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
import io, resource, sys
import PIL.Image
from eyebright.image.decode import decode
file = io.BytesIO()
PIL.Image.new("P", (8000, 5000)).save(file, "PNG", transparency=0)
data = file.getvalue()
decode(data[:0] + (lambda f: (PIL.Image.new("P", (8, 8)).save(f, "PNG"), f.getvalue())[1])(io.BytesIO()))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
assert decode(data).min() == 255
sys.stdout.write(str((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / 40e6))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the unit of ru_maxrss is that of Linux")
def test_a_palette_with_transparency_takes_little_more_than_its_rgb_pixels() -> None:
    run = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    assert float(run.stdout) < 6, "bytes a pixel: 3 for the result, 1 for the palette's, and one strip"
