"""The available memory."""

import os
import sys

import pytest

from eyebright._system.memory import available_memory


@pytest.mark.skipif(sys.platform != "linux", reason="sysconf has no such names elsewhere")
def test_available_memory_is_at_most_the_physical_memory() -> None:
    assert 0 < available_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
