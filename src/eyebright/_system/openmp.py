"""Keeps torch's threads from occupying a CPU while they wait for each other.

torch splits each operation among threads with OpenMP, and waits until the slowest has done its part. GNU's OpenMP,
which torch has on Linux, lets the others run in a loop for about 3 ms meanwhile. As soon as another program needs one
of the CPUs, they take it from the thread that they wait for (`docs/why.md` has the measurement). OpenMP reads its
variables once, when torch is imported.
"""

import os
import sys

_TURNS = "10000"  # of the loop, about 0.1 ms: most operations are shorter, so that threads seldom sleep between two


def shorten_busy_waiting() -> None:
    """Lets waiting threads sleep after 0.1 ms, unless torch is imported or the user has set how they wait."""
    if "torch" not in sys.modules and "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", _TURNS)
