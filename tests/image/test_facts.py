"""Facts of an image file, against numpy on the same pixels."""

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from eyebright.image.facts import image_facts


@pytest.mark.parametrize("seed", range(5))
def test_the_darkest_and_lightest_pixels_are_percentiles_of_the_luma(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    grey = (255 * rng.beta(2, 3, (64, 64))).astype(np.uint8)
    PIL.Image.fromarray(grey).resize((256, 256), PIL.Image.Resampling.NEAREST).save(tmp_path / "a.png")
    facts = image_facts(str(tmp_path / "a.png"))
    expected = np.percentile(grey, [2, 98], method="inverted_cdf") / 255
    assert (facts.darkest, facts.lightest) == pytest.approx(tuple(expected), abs=1.01 / 255)


@pytest.mark.parametrize(("value", "expected"), [(0, 0.0), (255, 1.0), (100, 100 / 255)])
def test_an_image_of_one_grey_is_as_dark_as_it_is_light(tmp_path: Path, value: int, expected: float) -> None:
    PIL.Image.new("L", (100, 80), value).save(tmp_path / "a.png")
    facts = image_facts(str(tmp_path / "a.png"))
    assert facts.darkest == facts.lightest == pytest.approx(expected, abs=1e-6)
