"""The table of where time went adds up."""

import re

from eyebright._system.timer import Timer
from eyebright.train.profile import PARTS, profile_lines
from support.training import tiny_plans, tiny_run, train_all


def test_the_parts_of_a_training_add_up_to_its_epochs() -> None:
    run = tiny_run()
    run.begin(*tiny_plans())
    list(train_all(run, validate=dict))
    lines = profile_lines(run, Timer(), readers=2)
    shares = {match[1]: float(match[2]) for line in lines if (match := re.match(r"  (.+?) +[\d.]+ s +([\d.]+)%", line))}
    assert list(shares) == [*PARTS, "everything else"]
    assert abs(sum(shares.values()) - 100) < 1
    assert shares["forward"] > 0
    assert shares["backward"] > 0
    epochs = sum(row["seconds"] for row in run.history)
    assert float(lines[0].split()[1]) == round(epochs, 1)


def test_what_the_readers_did_stands_below() -> None:
    run = tiny_run()
    run.begin(*tiny_plans())
    list(train_all(run))
    reading = Timer()
    reading.add("decoding", 2.0)
    reading.add("augmenting", 1.0)
    assert profile_lines(run, reading, readers=2)[-1] == (
        "processor time of 2 readers, meanwhile: decoding 2.0 s, augmenting 1.0 s"
    )


def test_a_run_that_has_not_been_trained_says_so() -> None:
    assert profile_lines(tiny_run(), Timer(), readers=0) == [
        "nothing has been trained, so there is nothing to say about time"
    ]
