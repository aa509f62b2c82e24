"""Runs ``eyebright`` with its command-line arguments until the first training step is finished.

The last line on standard output has the times at which the step began and ended, in seconds since 1970.
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

    def step_begins(training_run: Run, *arguments: int) -> tuple[float, ...]:
        times.append(time.time())
        return set_rates(training_run, *arguments)

    def step_is_finished(*_: Any) -> None:
        times.append(time.time())
        print(*times, flush=True)
        os._exit(0)  # the rest of the training is not needed

    Run.set_rates, Run.record = step_begins, step_is_finished  # type: ignore[method-assign]
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
