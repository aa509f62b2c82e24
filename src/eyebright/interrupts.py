"""What being told to end means: the same for a signal as for Ctrl-C, so that everybody tidies up."""

import signal

INTERRUPTED = 130
"""The exit code of who was told to end: 128 and the number of the interrupt, as shells have it."""


def heed_termination() -> None:
    """From now on SIGTERM is heard as Ctrl-C is."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
