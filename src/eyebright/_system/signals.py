"""The end of a process on SIGTERM and when its parent process is gone."""

import os
import signal
import time

EXIT_CODE_INTERRUPTED = 130
"""The exit code of an interrupted process: 128 plus the number of SIGINT, as in shells."""


def interrupt_on_sigterm() -> None:
    """From now on SIGTERM raises KeyboardInterrupt, as Ctrl-C does, so that ``finally`` blocks run."""
    signal.signal(signal.SIGTERM, _interrupt)


def ignore_one_interrupt() -> None:
    """From now on one SIGINT or SIGTERM changes nothing: the work is done, and only the end of the process is left.

    A second one ends the process at once, without a traceback, in case that end hangs.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end_at_the_next)


def _end_at_the_next(number: int, _: object) -> None:
    signal.signal(number, signal.SIG_DFL)


def exit_with_parent(parent: int) -> None:
    """Waits until the parent process is gone, then ends this process with code 1; run it in a thread.

    Args:
        parent: the process id of the parent.
    """
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
