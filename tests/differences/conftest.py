"""Fixtures of the tests for defects of fastai."""

from pathlib import Path

import pandas as pd
import pytest

from support.images import coloured_squares


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    """A table of images, some without labels, with every fourth in the validation set."""
    return coloured_squares(folder, 24)
