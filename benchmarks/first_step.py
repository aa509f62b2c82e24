"""``eyebright`` with the arguments of its command line, until a training has learnt its first batch.

The last line on the standard output is when the first step began and when it was done, in seconds since 1970.
"""

import os
import sys
import time
from typing import Any

from eyebright.cli.main import run
from eyebright.train.run import Run


def main() -> None:
    set_rates = Run.set_rates
    times: list[float] = []

    def begun(of: Run, *told: int) -> tuple[float, ...]:
        times.append(time.time())
        return set_rates(of, *told)

    def done(*_: Any) -> None:
        times.append(time.time())
        print(*times, flush=True)
        os._exit(0)  # nothing is left to measure

    Run.set_rates, Run.record = begun, done  # type: ignore[method-assign]
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
