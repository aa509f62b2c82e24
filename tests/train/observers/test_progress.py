"""The progress display of a training run."""

import io
import time

import pytest
from rich.console import Console

from eyebright.errors import InputError
from eyebright.train.events import (
    EpochDone,
    EpochStarted,
    Event,
    Finished,
    LRSearchStarted,
    PhaseStarted,
    StepDone,
    ValidationStarted,
)
from eyebright.train.history import smoothed
from eyebright.train.lr_find import lr_find
from eyebright.train.observers import progress
from eyebright.train.observers.progress import show_progress
from eyebright.train.plan import Plan, fine_tune_plans
from support.training import setup_of, tiny_run

HEAD, EVERYTHING = fine_tune_plans(3, 2)

EVENTS: list[Event] = [
    PhaseStarted(0, 2, HEAD),
    EpochStarted(0, 1, 2),
    StepDone(1, 2, 0.9, (1e-3,)),
    StepDone(2, 2, 0.8, (1e-3,)),
    ValidationStarted(0),
    EpochDone(0, {"train_loss": 0.85, "valid_loss": 0.7, "accuracy_multi": 0.5}, 65.4),
    PhaseStarted(1, 2, EVERYTHING),
    EpochStarted(0, 2, 1),
    StepDone(1, 1, 0.5, (1e-3,)),
    ValidationStarted(0),
    EpochDone(0, {"train_loss": 0.5, "valid_loss": 0.25, "accuracy_multi": 1.0}, 3.0),
    Finished("good enough"),
]

TABLE = """\
only the head
   epoch  train_loss  valid_loss  accuracy_multi      time
       0    0.850000    0.700000        0.500000     01:05
everything
   epoch  train_loss  valid_loss  accuracy_multi      time
       0    0.500000    0.250000        1.000000     00:03
stopped early: good enough
"""


def shown(mode: str, events: list[Event], *, terminal: bool = False, pause: float = 0.0) -> str:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=40, color_system=None, legacy_windows=False)
    with show_progress(mode, console=console) as observe:
        for event in events:
            observe(event)
            time.sleep(pause)
    return console.file.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize("mode", ["auto", "lines"])
def test_a_log_has_the_table_of_the_book_in_plain_lines(mode: str) -> None:
    assert shown(mode, EVENTS) == TABLE


def test_a_single_plan_has_no_title() -> None:
    events: list[Event] = [PhaseStarted(0, 1, Plan(1, (1e-3,))), EpochDone(0, {"train_loss": 1.0}, 1.0)]
    assert shown("lines", events) == "   epoch  train_loss      time\n       0    1.000000     00:01\n"


def test_a_log_has_a_line_with_the_current_step_every_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=40)
    with show_progress("lines", console=console) as observe:
        observe(EpochStarted(1, 5, 100))
        for step in range(1, 101):
            now[0] += 1.0
            observe(StepDone(step, 100, 0.5, (1e-3,)))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines == [
        "epoch 2/5, step 30/100: loss 0.5000, 01:10 left",
        "epoch 2/5, step 60/100: loss 0.5000, 00:40 left",
        "epoch 2/5, step 90/100: loss 0.5000, 00:10 left",
    ]


@pytest.mark.parametrize("mode", ["auto", "bar"])
def test_a_terminal_shows_a_bar_and_keeps_only_the_table(mode: str) -> None:
    text = shown(mode, EVENTS, terminal=True, pause=0.15)  # the bar is drawn ten times a second
    lines = [line.split("\x1b[2K")[-1] for line in text.split("\n")]
    assert [line for line in lines if line in TABLE.splitlines()] == TABLE.splitlines()
    assert "validating" in text
    assert "loss 0.8495" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_the_bar_is_removed_if_training_is_interrupted() -> None:
    console = Console(file=io.StringIO(), force_terminal=True)

    def interrupted() -> None:
        with show_progress("bar", console=console) as observe:
            observe(EpochStarted(0, 1, 2))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert console.file.getvalue().endswith("\x1b[?25h\r\x1b[1A\x1b[2K")  # type: ignore[attr-defined]


def search(steps: int) -> list[Event]:
    return [LRSearchStarted(steps), *(StepDone(step, steps, 0.5, (1e-3,)) for step in range(1, steps + 1))]


def test_the_learning_rate_finder_emits_an_event_per_step() -> None:
    events: list[Event] = []
    run = tiny_run()
    found = lr_find(run, setup_of(run), num_it=12, end_lr=1e-3, observe=events.append)
    assert events[0] == LRSearchStarted(12)
    steps = [event for event in events[1:] if isinstance(event, StepDone)]
    assert [step.step for step in steps] == list(range(1, 13))
    assert [step.lrs[-1] for step in steps] == found.lrs
    assert smoothed(step.loss for step in steps) == found.losses


def test_the_bar_of_the_learning_rate_finder_is_removed_at_the_end() -> None:
    text = shown("bar", search(6), terminal=True, pause=0.15)
    assert "learning rates" in text
    assert "4/6" in text
    assert text.split("\x1b[2K")[-1].strip() == ""


def test_the_learning_rate_finder_logs_the_current_step_every_half_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    console = Console(file=io.StringIO(), width=40)
    with show_progress("lines", console=console) as observe:
        for event in search(40):
            observe(event)
            now[0] += 1.0
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert lines == ["learning rates, step 30/40: loss 0.5000, 00:10 left"]


def test_quiet_prints_nothing() -> None:
    assert shown("quiet", EVENTS, terminal=True) == ""


def test_an_unknown_mode_is_an_error() -> None:
    with pytest.raises(InputError, match="unknown progress 'line'. Did you mean 'lines'\\?"), show_progress("line"):
        pass
