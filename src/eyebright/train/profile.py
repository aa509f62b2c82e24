"""A table of where the time of training went."""

from eyebright._system.timer import Timer
from eyebright.train.run import BACKWARD, FORWARD, OPTIMIZER, VALIDATING, WAITING, Run

PARTS = (WAITING, FORWARD, BACKWARD, OPTIMIZER, VALIDATING)


def profile_lines(run: Run, reading: Timer, readers: int) -> list[str]:
    """The lines of the table: seconds and share of each part of training, and CPU time of the workers.

    On a GPU the forward pass is asynchronous, and is waited for in the backward pass; their sum is right.

    Args:
        run: that was trained.
        reading: the timer of the training loader, in CPU seconds of its workers.
        readers: number of workers; 0: the training thread reads.
    """
    total = run.timer.seconds.get("epoch", 0.0)
    if not total:
        return ["nothing has been trained, so there is nothing to say about time"]
    spent = {name: run.timer.seconds.get(name, 0.0) for name in PARTS}
    spent["everything else"] = max(total - sum(spent.values()), 0.0)
    width = max(map(len, spent))
    lines = [f"where {total:.1f} s of training went"]
    lines += [f"  {name.ljust(width)} {seconds:8.1f} s {seconds / total:6.1%}" for name, seconds in spent.items()]
    beside = ", ".join(f"{name} {seconds:.1f} s" for name, seconds in reading.seconds.items())
    if beside:
        who = "the training thread itself" if readers == 0 else f"{readers} reader{'s' * (readers > 1)}"
        lines.append(f"processor time of {who}, meanwhile: {beside}")
    return lines
