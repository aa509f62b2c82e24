"""A disk that is full, as a limit on the size of files that this process may write."""

import resource
import sys
from collections.abc import Generator
from contextlib import contextmanager


@contextmanager
def files_of_at_most(size: int) -> Generator[None, None, None]:
    """No file that this process writes can become larger than `size` bytes.

    Python keeps no byte code meanwhile: up to 3.13.0 it does not notice that such a file was cut off at the limit,
    and every later import of that module in the environment fails with "marshal data too short".
    """
    before, kept = resource.getrlimit(resource.RLIMIT_FSIZE), sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        sys.dont_write_bytecode = kept
