"""The table of the times of training."""

import re

from eyebright._system.timer import Timer
from eyebright.train.summary import PARTS, profile_lines
from support.training import tiny_plans, tiny_run, train_all


def test_the_times_of_the_parts_add_up_to_the_time_of_the_epochs() -> None:
    run = tiny_run()
    run.begin(*tiny_plans())
    list(train_all(run, validate=dict))
    lines = profile_lines(run, Timer(), workers=2)
    shares = {match[1]: float(match[2]) for line in lines if (match := re.match(r"  (.+?) +[\d.]+ s +([\d.]+)%", line))}
    assert list(shares) == [*PARTS, "everything else"]
    assert abs(sum(shares.values()) - 100) < 1
    assert shares["forward"] > 0
    assert shares["backward"] > 0
    epochs = sum(row["seconds"] for row in run.history)
    assert float(lines[0].split()[2]) == round(epochs, 1)


def test_the_last_line_gives_the_cpu_time_of_the_workers() -> None:
    run = tiny_run()
    run.begin(*tiny_plans())
    list(train_all(run))
    loading = Timer()
    loading.add("decoding", 2.0)
    loading.add("augmenting", 1.0)
    assert profile_lines(run, loading, workers=2)[-1] == (
        "CPU time of 2 workers, in parallel with training: decoding 2.0 s, augmenting 1.0 s"
    )


def test_a_run_without_epochs_has_no_times() -> None:
    assert profile_lines(tiny_run(), Timer(), workers=0) == [
        "no epoch has been trained yet: there are no times to show"
    ]
