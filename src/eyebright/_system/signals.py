"""How a process ends when it is told to, and when nobody is left who would tell it."""

import os
import signal
import time

INTERRUPTED = 130
"""The exit code of who was told to end: 128 and the number of the interrupt, as shells have it."""


def interrupt_on_sigterm() -> None:
    """From now on SIGTERM is heard as Ctrl-C is, so that everybody tidies up."""
    signal.signal(signal.SIGTERM, _interrupt)


def exit_with_parent(parent: int) -> None:
    """Ends this process, with code 1, when the one that started it is gone, as nobody else would then.

    It waits for that; give it a thread.

    Args:
        parent: the number of the process that started this one.
    """
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
