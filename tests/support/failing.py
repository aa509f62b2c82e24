"""One of several processes, which fails in the way that its argument says: ``python -m support.failing HOW``."""

import os
import signal
import sys
import time

from eyebright._system.launch import run_worker
from eyebright.errors import ImageError


def fail() -> None:
    """The process of rank 1 fails; the others wait for it until they are ended."""
    how = sys.argv[1]
    print("rank 0 prints" if os.environ["RANK"] == "0" else "others are silent", flush=True)  # noqa: T201
    if how == "well":
        return
    if os.environ["RANK"] != "1":
        time.sleep(60)
    if how == "killed":
        signal.raise_signal(signal.SIGKILL)
    if how == "ended":
        os._exit(7)
    raise ImageError("a.jpg", "it is cut off") if how == "user error" else KeyError("a bug")


if __name__ == "__main__":
    run_worker(fail)
