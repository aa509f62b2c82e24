"""A training in a notebook: a table that changes in place, and is plain when it is done."""

import queue
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

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
from eyebright.train.observers import epoch_progress, notebook
from eyebright.train.observers.notebook import NotebookTable, in_notebook
from eyebright.train.observers.progress import show_progress
from eyebright.train.plan import Plan, fine_tune_plans
from support.html import Page

PLANS = fine_tune_plans(3, 2)


def phase(number: int, epochs: int, *, steps: int = 4) -> list[Event]:
    events: list[Event] = [PhaseStarted(number, 2, PLANS[number])]
    for epoch in range(epochs):
        events.append(EpochStarted(epoch, epochs, steps))
        events += [StepDone(step, steps, 0.5, (1e-3,)) for step in range(1, steps + 1)]
        events += [ValidationStarted(epoch), EpochDone(epoch, {"train_loss": 0.5, "valid_loss": 0.25}, 3.0)]
    return events


class Outputs:
    """Stands in for the cell: keeps every state of every output."""

    def __init__(self) -> None:
        self.states: list[list[tuple[str, str]]] = []

    def __call__(self, html: str, text: str) -> notebook.Update:
        states = [(html, text)]
        self.states.append(states)
        return lambda html, text: states.append((html, text))


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which goes on only when a test says so."""
    now = [0.0]
    for module in (notebook, epoch_progress):
        monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def watched(events: list[Event], now: list[float], *, seconds: float) -> Outputs:
    outputs = Outputs()
    table = NotebookTable(outputs)
    for event in events:
        now[0] += seconds
        table(event)
    table.close()
    return outputs


def test_each_plan_has_its_own_table_and_finally_no_bar(now: list[float]) -> None:
    outputs = watched([*phase(0, 1), *phase(1, 2), Finished("done")], now, seconds=1)
    last = [Page(states[-1][0]) for states in outputs.states]
    head = ["epoch", "train_loss", "valid_loss", "time"]
    assert [page.rows for page in last] == [
        [head, ["0", "0.500000", "0.250000", "00:03"]],
        [head, ["0", "0.500000", "0.250000", "00:03"], ["1", "0.500000", "0.250000", "00:03"]],
    ]
    assert last[0].text.startswith("only the head")
    assert last[1].text.startswith("everything")
    assert not any(tag == "progress" for page in last for tag, _ in page.tags)
    assert outputs.states[0][-1][1].splitlines()[0] == "only the head"


def test_the_current_epoch_has_a_bar_below_the_table(now: list[float]) -> None:
    outputs = watched(phase(1, 2), now, seconds=1)
    pages = [Page(html) for html, _ in outputs.states[0]]
    third = next(page for page in pages if "3/4" in page.text)
    assert next(attributes for tag, attributes in third.tags if tag == "progress")["value"] == "3"
    assert "epoch 1/2 · 3/4 · loss 0.5000 · 00:01 left" in third.text
    assert third.rows == []
    assert any("validating" in page.text for page in pages)
    assert any("epoch 2/2" in page.text and len(page.rows) == 2 for page in pages)


def test_the_table_is_updated_a_few_times_a_second_at_most(now: list[float]) -> None:
    outputs = watched(phase(0, 1, steps=1000), now, seconds=0.01)  # ten seconds in all
    assert 25 <= len(outputs.states[0]) <= 36


def test_the_final_table_has_all_epochs(now: list[float]) -> None:
    outputs = watched(phase(0, 50, steps=1), now, seconds=0.0)
    assert len(Page(outputs.states[0][-1][0]).rows) == 51
    assert len(outputs.states[0]) == 2


def test_a_single_plan_has_no_title_and_an_early_stop_is_shown(now: list[float]) -> None:
    events = [PhaseStarted(0, 1, Plan(1, (1e-3,))), *phase(0, 1)[1:], Finished("good enough")]
    outputs = watched(events, now, seconds=1)
    html, text = outputs.states[0][-1]
    assert Page(html).text.startswith("epoch")
    assert Page(html).text.endswith("stopped early: good enough")
    assert text.splitlines()[-1] == "stopped early: good enough"


def test_an_interrupted_training_keeps_its_rows_without_a_bar(now: list[float]) -> None:
    outputs = watched(phase(1, 2)[:-3], now, seconds=1)  # in the middle of the second epoch
    last = Page(outputs.states[0][-1][0])
    assert len(last.rows) == 2
    assert not any(tag == "progress" for tag, _ in last.tags)


def test_the_learning_rate_finder_leaves_no_output(now: list[float]) -> None:
    outputs = watched([LRSearchStarted(2), StepDone(1, 2, 0.5, (1e-7,)), StepDone(2, 2, 0.4, (1e-6,))], now, seconds=1)
    assert "learning rates · 1/2 · loss 0.5000" in Page(outputs.states[0][1][0]).text
    assert Page(outputs.states[0][-1][0]).text == ""


def test_a_fit_that_fails_before_its_first_epoch_shows_nothing(now: list[float]) -> None:
    assert watched([PhaseStarted(0, 1, PLANS[0])], now, seconds=1).states == []


class ZMQInteractiveShell:
    """Has the name of the shell behind a notebook."""


class HostedShell(ZMQInteractiveShell):
    """As notebook services make them."""


class TerminalInteractiveShell:
    """Has the name of the shell of the command ``ipython``."""


@pytest.mark.parametrize(
    ("shell", "notebook"),
    [(ZMQInteractiveShell(), True), (HostedShell(), True), (TerminalInteractiveShell(), False), (None, False)],
)
def test_a_notebook_is_detected_by_its_shell(shell: object, notebook: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))  # type: ignore[arg-type]
    assert in_notebook() == notebook


def test_without_ipython_there_is_no_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert not in_notebook()
    refused = pytest.raises(InputError, match="needs the kernel of a notebook; use 'auto'")
    with refused, show_progress("notebook"):
        pass


CELL = """
import time
from eyebright.train.events import EpochDone, EpochStarted, Finished, PhaseStarted, StepDone
from eyebright.train.observers.progress import show_progress
from eyebright.train.plan import Plan
with show_progress() as observe:
    observe(PhaseStarted(0, 1, Plan(1, (1e-3,))))
    observe(EpochStarted(0, 1, 2))
    for step in (1, 2):
        time.sleep(0.35)
        observe(StepDone(step, 2, 0.5, (1e-3,)))
    observe(EpochDone(0, {"train_loss": 0.5}, 1.0))
    observe(Finished("done"))
"""


@pytest.mark.slow
def test_a_real_kernel_updates_one_output_in_place() -> None:
    messages = run_in_a_kernel(CELL)
    kinds = [message["msg_type"] for message in messages]
    assert "error" not in kinds, messages
    first, *changes = [m["content"] for m in messages if m["msg_type"] in ("display_data", "update_display_data")]
    assert kinds.count("display_data") == 1
    assert {change["transient"]["display_id"] for change in changes} == {first["transient"]["display_id"]}
    assert any("1/2" in change["data"]["text/html"] for change in changes)
    assert Page(changes[-1]["data"]["text/html"]).rows == [["epoch", "train_loss", "time"], ["0", "0.500000", "00:01"]]
    assert changes[-1]["data"]["text/plain"].splitlines()[-1] == "       0    0.500000     00:01"


def run_in_a_kernel(code: str) -> list[dict[str, Any]]:
    """What a kernel of this Python sends to the cell's output."""
    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(stdout=-3, stderr=-3)  # DEVNULL
    client = manager.blocking_client()
    messages: list[dict[str, Any]] = []
    try:
        client.start_channels()
        client.wait_for_ready(timeout=120)
        client.execute_interactive(code, output_hook=messages.append, timeout=120)
    except queue.Empty:
        pytest.fail(f"the kernel does not answer; so far it said {messages}")
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    return messages
