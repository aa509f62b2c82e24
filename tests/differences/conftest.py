"""Fixtures of the tests that hold what the book's library gets wrong."""

from pathlib import Path

import pandas as pd
import pytest

from support.images import coloured_squares


@pytest.fixture(scope="module")
def table(folder: Path) -> pd.DataFrame:
    """Some of its images have no label, every fourth validates."""
    return coloured_squares(folder, 24)
