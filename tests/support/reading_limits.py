"""What reading a damaged folder may cost: two seconds, 200 MB, and one short error."""

import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from eyebright.errors import EyebrightError

SECONDS, MEGABYTES, CHARACTERS = 2.0, 200, 500
_HANG = 60  # seconds


def outcome(read: Callable[[Path], Any], folder: Path, allowed: type[EyebrightError] = EyebrightError) -> str:
    """``"read"``, ``"error"``, or what is wrong; for the main thread of a process of its own, for its peak of memory.

    Args:
        read: reads the folder.
        folder: its path is not counted in the length of a message.
        allowed: what may be raised.
    """
    signal.signal(signal.SIGALRM, _stop)
    before, start = _peak(), time.process_time()
    try:
        signal.alarm(_HANG)
        read(folder)
        problem = "read"
    except allowed as error:
        said = str(error).replace(str(folder), "")
        problem = "error" if len(said) <= CHARACTERS and said.count("\n") <= 2 else f"long message {len(said)}"
    except TimeoutError:
        problem = "hang"
    except BaseException as error:  # the point of the search
        problem = f"internal error {type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.alarm(0)
    if problem in ("read", "error") and time.process_time() - start > SECONDS:
        problem = f"{time.process_time() - start:.1f} seconds"
    return f"{_peak() - before} MB" if _peak() - before > MEGABYTES else problem


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def _stop(signum: int, frame: FrameType | None) -> None:
    raise TimeoutError
