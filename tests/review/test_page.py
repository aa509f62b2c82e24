"""The page of a review in headless Chromium, against the server: by keyboard, on a phone, with others, without it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

from eyebright.evaluation.suspects import Suspect
from eyebright.review.app import ReviewApp
from eyebright.review.items import Answers, ReviewItems, Suspects
from eyebright.review.values import Vocabulary, unknown_values
from support.chromium import Browser, Tab, chromium_path, running_chromium
from support.reviews import ask, change, label_items, make_images, open_app, running

LABELS = ("bus", "car", "dog")  # their keys are b, c and d
FILES = tuple(f"{number}.jpg" for number in range(8))
HOSTILE = (
    "<img src=x onerror=globalThis.hacked=1>.jpg", "'\"><script>globalThis.hacked=1</script>.jpg".replace("/", "\\"),
    "a\u202egpj.exe.jpg", "a\x07b\nc.jpg", "{{7*7}}${7*7}&amp;.jpg",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Generator[Browser, None, None]:
    """A Chromium for all tests."""
    program = chromium_path()
    if program is None:
        pytest.skip("Chromium is not installed")
    with running_chromium(tmp_path_factory.mktemp("chromium"), program) as started:
        yield started


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Generator[Callable[..., tuple[ReviewApp, Tab]], None, None]:
    """Serves a review, and opens its page."""
    stack: list[Any] = []

    def shown(app: ReviewApp, place: str = "#list=all", **look: Any) -> tuple[ReviewApp, Tab]:
        server = running(app)
        stack.append(server)
        tab = browser.open("about:blank")
        tab.look(**look)
        browser.logged.clear()
        visit(tab, server.__enter__() + place)
        return app, tab

    yield shown
    browser.open("about:blank")
    for server in stack:
        server.__exit__(None, None, None)


@pytest.fixture
def labelled(tmp_path: Path) -> ReviewApp:
    """Eight images without any "yes"; a model has learned that the first ones show a bus."""
    make_images(tmp_path / "images", FILES)
    items = label_items(tmp_path / "images", FILES, np.zeros((8, 3)), LABELS)
    return open_app(items, tmp_path / "review", answers=answers_of(8), out=tmp_path / "labels-v2.csv")


@pytest.fixture
def unlabelled(tmp_path: Path) -> ReviewApp:
    """The same images without any labels."""
    make_images(tmp_path / "images", FILES)
    return open_app(label_items(tmp_path / "images", FILES, None, LABELS), tmp_path / "review", answers=answers_of(8))


def answers_of(count: int, labels: Sequence[str] = LABELS) -> Answers:
    """The first label is less and less probable; the others never are."""
    probabilities = np.full((count, len(labels)), 0.1, dtype=np.float32)
    probabilities[:, 0] = np.linspace(0.95, 0.05, count)
    predicted = (probabilities > 0.5).astype(np.float32)[:, :, None]
    return Answers(tuple(labels), predicted, probabilities, thresholds=[0.5] * len(labels))


def visit(tab: Tab, address: str) -> None:
    """Goes to an address, and waits for the page."""
    tab.send("Page.navigate", url="about:blank")
    tab.send("Page.navigate", url=address)
    tab.wait("document.body && document.body.dataset.ready", 20)


def text(tab: Tab, selector: str) -> str:
    """What an element says."""
    return str(tab.run(f"document.querySelector({json.dumps(selector)})?.textContent ?? ''"))


def wait_for(tab: Tab, selector: str, words: str) -> None:
    """Waits until an element says something."""
    found = f"document.querySelector({json.dumps(selector)})?.textContent.includes({json.dumps(words)})"
    tab.wait(found, 30)


def settled(tab: Tab) -> None:
    """Waits until the server has written all actions."""
    tab.wait("(document.body.dataset.waiting ?? '0') === '0'", 30)


def checked(tab: Tab, label: str) -> str:
    """What is shown of a label: true, false, or mixed for unknown."""
    return str(tab.run(f"document.querySelector('.label[data-cell={label}]').getAttribute('aria-checked')"))


def lines(folder: Path) -> list[Any]:
    """The actions of the journal in a folder."""
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()[1:]]


def test_labels_are_set_accepted_undone_and_redone_by_keyboard_alone(
    show: Callable[..., Any], labelled: ReviewApp, tmp_path: Path
) -> None:
    app, tab = show(labelled)
    tab.keys("b", "c", "c", "Enter")
    wait_for(tab, "#position", "2 of 8")
    tab.keys("d")
    settled(tab)
    assert app.session.current[:2, :, 0].tolist() == [[1, 0, 0], [0, 0, 1]]
    assert app.session.reviewed.tolist() == [True] + [False] * 7
    tab.keys("Backspace", "Backspace")
    wait_for(tab, "#position", "1 of 8")
    wait_for(tab, "#status", "Undone")
    settled(tab)
    assert not app.session.reviewed.any()
    assert app.session.current[:2, :, 0].tolist() == [[1, 0, 0], [0, 0, 0]]
    tab.keys("r")
    wait_for(tab, "#status", "Done again")
    assert app.session.reviewed[0]
    assert len(lines(tmp_path / "review")) == 8


def test_a_letter_with_shift_says_that_a_label_is_not_known(show: Callable[..., Any], labelled: ReviewApp) -> None:
    app, tab = show(labelled)
    tab.keys("b", shift=True)
    settled(tab)
    assert checked(tab, "bus") == "mixed"
    assert np.isnan(app.session.current[0, 0, 0])


def test_enter_accepts_what_the_model_proposes_for_an_image_without_labels(
    show: Callable[..., Any], unlabelled: ReviewApp, tmp_path: Path
) -> None:
    app, tab = show(unlabelled, "#list=all")
    assert text(tab, ".label[data-cell=bus] .word") == "yes?"
    tab.keys("c")  # no becomes yes
    tab.keys("d", shift=True)
    tab.keys("Enter")
    wait_for(tab, "#position", "2 of 8")
    settled(tab)
    row = app.session.current[0, :, 0]
    assert row[:2].tolist() == [1, 1]
    assert np.isnan(row[2])
    assert [len(line.get("changes", ())) for line in lines(tmp_path / "review")] == [1, 1]


def test_a_grid_is_one_label_with_exceptions_by_one_action(
    show: Callable[..., Any], unlabelled: ReviewApp, tmp_path: Path
) -> None:
    app, tab = show(unlabelled, "#list=all&view=grid&likely=bus")
    tab.run("document.querySelector('.tile').focus()")
    tab.keys("ArrowRight", " ", "ArrowRight", "x", "Enter")
    tab.wait("document.getElementById('empty').hidden === false", 10)
    assert app.session.current[:, 0, 0].tolist() == [1, 0, 0, 1, 1, 1, 1, 1]
    (line,) = lines(tmp_path / "review")
    assert len(line["changes"]) == 8
    tab.keys("z")
    wait_for(tab, "#status", "Undone")
    assert np.isnan(app.session.current[:, 0, 0]).all()


def test_a_grid_is_not_of_a_label_except_for_those_that_are_marked(
    show: Callable[..., Any], unlabelled: ReviewApp, tmp_path: Path
) -> None:
    app, tab = show(unlabelled, "#list=all&view=grid&unlikely=bus")
    assert text(tab, ".tile .file") == "7.jpg"  # the least probable
    tab.run("document.querySelector('.tile').focus()")
    tab.keys(" ", "Enter")
    tab.wait("document.getElementById('empty').hidden === false", 10)
    assert app.session.current[:, 0, 0].tolist() == [0, 0, 0, 0, 0, 0, 0, 1]
    assert len(lines(tmp_path / "review")) == 1


class Taught:
    """A model that has learnt that the first images show a bus, and is unsure of the rest."""

    can_learn, can_show = True, False

    def learn(self, vocabulary: Vocabulary, values: Any, *, cancelled: Any, progress: Any) -> Answers:
        del cancelled, progress
        p = np.full((len(values), len(vocabulary.names)), 0.4, dtype=np.float32)
        p[:12, 0] = np.linspace(0.97, 0.9, 12)
        suggested = np.flatnonzero(np.isnan(values).all(axis=(1, 2)))
        return Answers(vocabulary.names, (p > 0.5).astype(np.float32)[:, :, None], p, [0.5] * 2, suggested=suggested)

    def heat_map(self, path: Path, cell: str, longest: int) -> Any:
        raise AssertionError


@pytest.mark.slow
def test_what_is_proposed_is_taken_by_one_key_until_all_is_labelled(show: Callable[..., Any], tmp_path: Path) -> None:
    files = tuple(f"{number:02}.jpg" for number in range(34))
    make_images(tmp_path / "images", files)
    items = label_items(tmp_path / "images", files, None, ("bus", "car"))
    app, tab = show(open_app(items, tmp_path / "review", model=Taught()), "#list=all&view=grid")
    wait_for(tab, "#next-about", "label 20 images one by one, 0 of them are labelled")
    tab.keys(".")
    tab.wait("!document.getElementById('single').hidden && document.getElementById('next-take').hidden", 5)
    wait_for(tab, "#position", "1 of 34")
    tab.keys(*["ArrowRight"] * 14)  # the first ones stay for the grid
    for number in range(15, 35):
        wait_for(tab, "#position", f"{number} of")
        tab.keys("Enter")
    wait_for(tab, "#next-about", "let the page learn")
    tab.keys(".")
    wait_for(tab, "#next-about", "a grid of 12 images, all of them “bus”")
    tab.keys(".")
    tab.wait("document.querySelectorAll('.tile').length === 12 && document.activeElement.matches('.tile')", 10)
    assert tab.run("document.getElementById('next-take').hidden"), "it is there already"
    tab.keys("ArrowRight", " ", "Enter")
    wait_for(tab, "#next-about", "none of them “car”?")
    assert app.session.current[:12, 0, 0].tolist() == [1, 0] + [1] * 10
    assert app.session.reviewed.sum() == 20
    tab.keys(".", "Enter")  # the second key comes too early, and sets nothing of what was shown before
    tab.wait("document.querySelectorAll('.tile').length === 14", 10)
    settled(tab)
    assert np.isnan(app.session.current[:12, 1, 0]).all()
    tab.keys("Enter")
    wait_for(tab, "#next-about", "a grid of 2 images, none of them “bus”")
    tab.keys(".")
    tab.wait("document.querySelectorAll('.tile').length === 2", 10)
    tab.keys("Enter")
    wait_for(tab, "#next-about", "All images are labelled")
    assert not np.isnan(app.session.current).any()


def test_what_is_shown_stays_when_the_page_has_learnt_by_itself(show: Callable[..., Any], tmp_path: Path) -> None:
    files = tuple(f"{number:02}.jpg" for number in range(34))
    make_images(tmp_path / "images", files)
    items = label_items(tmp_path / "images", files, None, ("bus", "car"))
    app, tab = show(open_app(items, tmp_path / "review", model=Taught()), "#list=all&view=grid&likely=car")
    tab.wait("document.querySelectorAll('.tile').length === 34", 10)
    ask(app.address + "api/change", {"action": "1", "changes": [change(0, "bus", "unknown", "yes")]})
    ask(app.address + "api/learn", {})
    tab.wait("fetch('api/state').then((r) => r.json()).then((state) => state.learning.model === 1)", 10)
    wait_for(tab, ".tile .mark-of", "40 %")
    tab.run("document.querySelector('.tile').focus()")
    tab.keys(" ")
    for row in range(6):
        ask(app.address + "api/change", {"action": f"a{row}", "reviewed": [row]})
    tab.wait("fetch('api/state').then((r) => r.json()).then((state) => state.learning.model === 2)", 10)
    wait_for(tab, "#counts", "6 reviewed")
    assert tab.run("document.querySelectorAll('.tile.exception').length") == 1
    tab.keys("Enter")
    tab.wait("document.getElementById('empty').hidden === false", 10)
    assert app.session.current[:, 1, 0].tolist() == [0] + [1] * 33


def test_what_another_browser_set_meanwhile_is_said_and_not_overwritten(
    show: Callable[..., Any], labelled: ReviewApp
) -> None:
    app, tab = show(labelled)
    body = {"action": "other", "changes": [change(0, "bus", "no", "unknown")], "reviewed": [], "unreviewed": []}
    assert ask(app.address + "api/change", body).status == 200
    tab.keys("b")
    wait_for(tab, "#notice", "“bus” of 0.jpg is unknown now, your yes is not set")
    assert "Not set: the value was changed in another browser" in text(tab, "#notice")
    assert checked(tab, "bus") == "mixed"
    assert np.isnan(app.session.current[0, 0, 0])
    tab.keys("b")
    settled(tab)
    assert app.session.current[0, 0, 0] == 1


def test_what_another_browser_sets_is_shown(show: Callable[..., Any], labelled: ReviewApp) -> None:
    app, tab = show(labelled)
    body = {"action": "other", "changes": [change(0, "car", "no", "yes")], "reviewed": [], "unreviewed": []}
    ask(app.address + "api/change", body)
    tab.wait("document.querySelector('.label[data-cell=car]').getAttribute('aria-checked') === 'true'", 10)


@contextmanager
def served(folder: Path, port: int) -> Generator[subprocess.Popen[str], None, None]:
    """A server in a process of its own, killed at the end."""
    tests = Path(__file__).resolve().parents[1]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tests), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", "support.review_process", str(folder), str(port), ",".join(LABELS)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        try:
            yield process
        finally:
            process.send_signal(signal.SIGKILL)


@pytest.mark.slow
def test_actions_wait_for_a_server_that_was_killed_and_are_written_once(browser: Browser, tmp_path: Path) -> None:
    folder = tmp_path / "images"
    make_images(folder, FILES)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    tab = browser.open("about:blank")
    with served(folder, port):
        visit(tab, f"http://127.0.0.1:{port}/token/")
        tab.keys("b", "Enter")
        settled(tab)
    tab.keys("c", "Enter", "d")
    wait_for(tab, "#notice", "3 actions wait here")
    with served(folder, port):
        wait_for(tab, "#status", "nothing was lost")
        settled(tab)
    written = lines(tmp_path / "images-review")
    assert [[(one["file"], one["cell"]) for one in line.get("changes", ())] for line in written] == [
        [("0.jpg", "bus")], [], [("1.jpg", "car")], [], [("2.jpg", "dog")],
    ]  # fmt: skip
    assert [line["reviewed"] for line in written if "reviewed" in line] == [["0.jpg"], ["1.jpg"]]
    browser.open("about:blank")


def test_names_are_shown_as_they_are_and_never_executed(
    show: Callable[..., Any], tmp_path: Path, browser: Browser
) -> None:
    make_images(tmp_path / "images", HOSTILE)
    items = label_items(tmp_path / "images", HOSTILE, np.zeros((len(HOSTILE), 3)), HOSTILE[:3])
    app, tab = show(open_app(replace(items, title=HOSTILE[0]), tmp_path / "review", answers=answers_of(5, HOSTILE[:3])))
    for number in range(len(HOSTILE)):
        assert text(tab, "#position").startswith(f"{number + 1} of")
        tab.keys("ArrowRight")
        tab.wait(f"document.getElementById('position').textContent.startsWith('{min(number + 2, 5)} of')", 5)
    tab.keys("1", "Escape")
    tab.wait("document.querySelectorAll('.tile').length === 5", 5)
    shown = set(tab.run("[...document.querySelectorAll('.tile .file')].map((one) => one.textContent)"))
    assert {HOSTILE[0], HOSTILE[1], "a\\u202egpj.exe.jpg", "a\\u0007b\\u000ac.jpg", HOSTILE[4]} == shown
    tab.run("document.getElementById('open-log').click()")
    assert tab.run("globalThis.hacked") is None
    assert tab.run("document.querySelectorAll('script').length") == 1
    assert browser.logged == []
    assert text(tab, "#title") == HOSTILE[0]
    assert len(app.session.items) == 5


def test_a_phone_in_the_dark_shows_all_without_scrolling_sideways_and_takes_taps(
    show: Callable[..., Any], labelled: ReviewApp
) -> None:
    app, tab = show(labelled, width=390, height=844, dark=True)
    assert tab.run("getComputedStyle(document.body).backgroundColor") == "rgb(21, 22, 26)"
    for place in ("single", "grid"):
        tab.run(f"document.getElementById('view-{place}').click()")
        tab.wait(f"!document.getElementById('{place}').hidden", 5)
        assert tab.run("document.documentElement.scrollWidth") == 390
    tab.run("document.getElementById('view-single').click()")
    tab.wait("!document.getElementById('single').hidden", 5)
    box = tab.run(
        "(({x, y}) => [x + 20, y + 10])(document.querySelector('.label[data-cell=car]').getBoundingClientRect())"
    )
    tab.mouse(tuple(box))
    settled(tab)
    assert app.session.current[0, 1, 0] == 1
    sizes = tab.run("[...document.querySelectorAll('.go button')].map((one) => one.getBoundingClientRect().height)")
    assert min(sizes) >= 44
    assert tab.run("document.querySelector('.go').getBoundingClientRect().bottom <= innerHeight")


def test_each_control_is_reached_by_tab_named_and_shows_that_it_has_the_focus(
    show: Callable[..., Any], labelled: ReviewApp
) -> None:
    _, tab = show(labelled)
    seen = list[str]()
    for _ in range(40):
        tab.keys("Tab")
        seen.append(tab.run("document.activeElement.id || document.activeElement.dataset?.cell || ''"))
        outline = tab.run("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none" or seen[-1] == "", seen
    visible = "[...document.querySelectorAll('button, input, select, summary')].filter((one) => one.checkVisibility())"
    names = set(tab.run(f"{visible}.filter((one) => !one.disabled).map((one) => one.id || one.dataset.cell || '')"))
    assert names <= {*seen, ""}
    unnamed = f"{visible}.filter((one) => !one.labels?.length && !one.ariaLabel && !one.textContent.trim()).length"
    assert tab.run(unnamed) == 0


def test_a_reload_comes_back_to_the_same_image_with_the_same_filters(
    show: Callable[..., Any], labelled: ReviewApp
) -> None:
    app, tab = show(labelled, "#list=all&view=single&state=left&query=jpg")
    tab.keys("n", "n", "Enter")
    wait_for(tab, "#file", "3.jpg")
    settled(tab)
    address = tab.run("location.href")
    assert "state=left" in address
    visit(tab, address)
    assert text(tab, "#file") == "3.jpg"
    assert text(tab, "#position") == "3 of 7"
    assert tab.run("document.getElementById('query').value") == "jpg"
    assert app.session.reviewed.sum() == 1


def test_one_of_a_thousand_labels_is_found_by_typing(show: Callable[..., Any], tmp_path: Path) -> None:
    labels = [f"label {number:03d}" for number in range(1000)]
    make_images(tmp_path / "images", FILES)
    items = label_items(tmp_path / "images", FILES, np.zeros((8, 1000)), labels)
    app, tab = show(open_app(items, tmp_path / "review"))
    assert tab.run("document.querySelectorAll('.label').length") == 24
    tab.keys("/", *"777", "Enter", "Escape", "Enter")
    wait_for(tab, "#position", "2 of 8")
    settled(tab)
    assert np.flatnonzero(app.session.current[0, :, 0]).tolist() == [777]


def test_a_class_is_set_by_its_key(show: Callable[..., Any], tmp_path: Path) -> None:
    make_images(tmp_path / "images", FILES)
    vocabulary = Vocabulary("class", LABELS)
    items = ReviewItems(vocabulary, tmp_path / "images", FILES, unknown_values(vocabulary, 8))
    app, tab = show(open_app(items, tmp_path / "review"))
    tab.keys("Enter")
    wait_for(tab, "#status", "Nothing is set here yet")
    tab.keys("c", "Enter")
    wait_for(tab, "#position", "2 of 8")
    settled(tab)
    assert app.session.current[0, 0, 0] == 1
    assert app.session.reviewed[0]


def test_points_are_dragged_and_moved_by_arrow_keys(show: Callable[..., Any], tmp_path: Path) -> None:
    make_images(tmp_path / "images", FILES, (400, 300))
    vocabulary = Vocabulary("points", ("eye", "beak"))
    given = np.full((8, 2, 2), np.nan)
    given[:, 0] = 100, 150
    app, tab = show(open_app(ReviewItems(vocabulary, tmp_path / "images", FILES, given), tmp_path / "review"))
    tab.wait("!document.querySelector('.point').hidden", 5)
    centre = "(({x, y}) => [x + 13, y + 13])(document.querySelector('.point[data-cell=eye]').getBoundingClientRect())"
    x, y = tab.run(centre)
    frame = tab.run("(({width, height}) => [width, height])(document.getElementById('viewer').getBoundingClientRect())")
    scale = min(frame[0] / 400, frame[1] / 300)
    tab.mouse((x, y), (x + 20 * scale, y), (x + 40 * scale, y - 30 * scale))
    settled(tab)
    np.testing.assert_allclose(app.session.current[0, 0], [140, 120], atol=1)
    before = app.session.current[0, 0].copy()
    tab.keys("ArrowRight", "ArrowRight", "ArrowUp")
    tab.wait("document.getElementById('status').textContent.startsWith('Eye')", 5)
    tab.wait("(document.body.dataset.waiting ?? '0') === '0'", 5)
    tab.keys("Enter")
    settled(tab)
    np.testing.assert_allclose(app.session.current[0, 0], before + np.array([2, -1]), atol=0.11)
    assert np.isnan(app.session.current[0, 1]).all()


def test_a_number_is_typed(show: Callable[..., Any], tmp_path: Path) -> None:
    make_images(tmp_path / "images", FILES)
    vocabulary = Vocabulary("numbers", ("age",))
    app, tab = show(
        open_app(ReviewItems(vocabulary, tmp_path / "images", FILES, np.full((8, 1, 1), 3.5)), tmp_path / "r")
    )
    tab.run("document.querySelector('#answers input').select()")
    tab.keys(*"41", "Enter", "Enter")
    wait_for(tab, "#position", "2 of 8")
    settled(tab)
    assert app.session.current[0, 0, 0] == 41


def test_a_number_that_is_being_typed_is_not_overwritten(show: Callable[..., Any], tmp_path: Path) -> None:
    make_images(tmp_path / "images", FILES)
    vocabulary = Vocabulary("numbers", ("age",))
    given = np.full((8, 1, 1), np.nan)
    app, tab = show(open_app(ReviewItems(vocabulary, tmp_path / "images", FILES, given), tmp_path / "review"))
    tab.run("document.querySelector('#answers input').focus()")
    tab.keys("4")
    assert ask(app.address + "api/change", {"action": "other", "changes": [], "reviewed": [0]}).status == 200
    wait_for(tab, "#marks", "reviewed")
    tab.keys("5", "Enter")
    settled(tab)
    assert app.session.current[0, 0, 0] == 45


def test_undo_takes_back_only_actions_of_this_window_also_after_a_reload(
    show: Callable[..., Any], labelled: ReviewApp
) -> None:
    app, tab = show(labelled)
    tab.keys("b")
    settled(tab)
    other = {"action": "other", "changes": [change(1, "car", "no", "yes")]}
    assert ask(app.address + "api/change", other).status == 200
    visit(tab, tab.run("location.href"))
    tab.keys("Backspace")
    settled(tab)
    assert app.session.current[:2, :, 0].tolist() == [[0, 0, 0], [0, 1, 0]]
    tab.keys("Backspace")
    wait_for(tab, "#status", "Nothing of this window is left to undo")
    tab.keys("r")
    settled(tab)
    assert app.session.current[:2, :, 0].tolist() == [[1, 0, 0], [0, 1, 0]]


def test_a_label_is_added_to_images_that_have_none(show: Callable[..., Any], tmp_path: Path) -> None:
    make_images(tmp_path / "images", FILES)
    app, tab = show(open_app(label_items(tmp_path / "images", FILES, None, ()), tmp_path / "review"))
    tab.run("document.querySelector('#answers .quiet').click()")
    tab.keys(*"owl", "Enter")
    tab.wait("document.querySelector('.label[data-cell=owl]') !== null", 10)
    wait_for(tab, "#status", "Label “owl” added")
    tab.keys("o", "Enter")
    settled(tab)
    assert app.session.current[0, :, 0].tolist() == [1]
    tab.run("location.hash = '#list=all&view=grid&likely=owl'")
    wait_for(tab, "#grid-about", "No probabilities yet: sorted by file name.")


def test_an_image_that_has_vanished_is_said(show: Callable[..., Any], labelled: ReviewApp, tmp_path: Path) -> None:
    (tmp_path / "images" / "0.jpg").unlink()
    (tmp_path / "images" / "1.jpg").write_bytes(b"no image")
    _, tab = show(labelled)
    wait_for(tab, "#missing:not([hidden])", "is no longer in its folder")
    tab.keys("n")
    wait_for(tab, "#missing:not([hidden])", "cannot be shown")
    tab.keys("n")
    tab.wait("document.getElementById('missing').hidden", 5)


def test_an_action_of_the_log_is_taken_back_by_itself(show: Callable[..., Any], labelled: ReviewApp) -> None:
    app, tab = show(labelled)
    tab.keys("b", "c")
    settled(tab)
    tab.run("document.getElementById('open-log').click()")
    tab.wait("document.querySelectorAll('#entries li').length === 2", 5)
    assert "0.jpg: bus no → yes" in text(tab, "#entries")
    tab.run("document.querySelectorAll('#entries button')[1].click()")
    wait_for(tab, "#entries", "taken back")
    assert app.session.current[0, :, 0].tolist() == [0, 1, 0]


def test_suspects_are_set_to_the_predicted_value_by_one_key(show: Callable[..., Any], tmp_path: Path) -> None:
    make_images(tmp_path / "images", FILES)
    items = label_items(tmp_path / "images", FILES, np.zeros((8, 3)), LABELS)
    found = Suspects.of([Suspect(2, "2.jpg", "missing label", "bus", "no", "yes", 0.1, 0.9, 0.9, ())])
    app = open_app(items, tmp_path / "review", answers=answers_of(8), suspects=found)
    _, tab = show(app, "#list=suspects")
    assert text(tab, "#file") == "2.jpg"
    assert "given no, predicted yes" in text(tab, ".labels .suspect")
    tab.keys("x", "Enter")
    settled(tab)
    assert app.session.current[2, :, 0].tolist() == [1, 0, 0]


def test_save_says_what_was_written(show: Callable[..., Any], labelled: ReviewApp, tmp_path: Path) -> None:
    _, tab = show(labelled)
    tab.keys("b")
    settled(tab)
    tab.run("document.getElementById('save').click()")
    wait_for(tab, "#status", "labels-v2.csv")
    assert (tmp_path / "labels-v2.csv").exists()


def test_save_waits_for_the_actions_that_are_not_written_yet(
    show: Callable[..., Any], labelled: ReviewApp, tmp_path: Path
) -> None:
    _, tab = show(labelled)
    later = "new Promise((done) => setTimeout(done, 600)).then(() => sent(...all))"
    tab.run(f"sent = fetch; fetch = (...all) => String(all[0]) === 'api/change' ? {later} : sent(...all)")
    tab.run("document.activeElement.blur()")
    tab.keys("b")
    tab.run("document.getElementById('save').click()")
    wait_for(tab, "#status", "labels-v2.csv")
    assert "0.jpg,bus" in (tmp_path / "labels-v2.csv").read_text(encoding="utf-8")


@pytest.mark.slow
def test_nothing_is_saved_while_actions_cannot_be_written(
    show: Callable[..., Any], labelled: ReviewApp, tmp_path: Path
) -> None:
    _, tab = show(labelled)
    tab.run("sent = fetch; fetch = (...all) => String(all[0]) === 'api/change' ? Promise.reject() : sent(...all)")
    tab.keys("b")
    tab.run("document.getElementById('save').click()")
    wait_for(tab, "#notice", "The table was not saved: 1 action could not be written yet")
    assert not (tmp_path / "labels-v2.csv").exists()
    tab.run("fetch = sent")
    settled(tab)


def test_an_action_of_before_a_reload_that_is_refused_is_said(show: Callable[..., Any], labelled: ReviewApp) -> None:
    app, tab = show(labelled)
    waiting = {"action": "mine", "changes": [change(0, "bus", "no", "yes")], "reviewed": [], "unreviewed": []}
    kept = json.dumps([{"path": "api/change", "body": waiting}])
    tab.run(f"sessionStorage.setItem('eyebright-review ' + location.pathname, {json.dumps(kept)})")
    body = {"action": "other", "changes": [change(0, "bus", "no", "unknown")]}
    assert ask(app.address + "api/change", body).status == 200
    visit(tab, tab.run("location.href"))
    wait_for(tab, "#notice", "“bus” of 0.jpg is unknown now, your yes is not set")
    assert checked(tab, "bus") == "mixed"


def test_of_two_actions_that_are_undone_the_page_goes_to_the_image_of_the_second(
    show: Callable[..., Any], labelled: ReviewApp
) -> None:
    _, tab = show(labelled)
    tab.keys("b", "Enter")
    wait_for(tab, "#position", "2 of 8")
    tab.keys("d")
    settled(tab)
    late = "new Promise((done) => setTimeout(() => { slow += 1; done(sent(...all)) }, 1500))"
    is_first = "String(all[0]).startsWith('api/item/') && asked++ === 0"
    tab.run(f"sent = fetch; asked = 0; slow = 0; fetch = (...all) => ({is_first}) ? {late} : sent(...all)")
    tab.keys("Backspace")
    settled(tab)
    tab.keys("Backspace")
    wait_for(tab, "#position", "1 of 8")
    tab.wait("slow === 1", 30)
    tab.run("new Promise((done) => setTimeout(done, 500))")
    assert "1 of 8" in str(tab.run("document.querySelector('#position').textContent"))


def test_images_that_could_not_be_loaded_anew_are_asked_for_again(
    show: Callable[..., Any], labelled: ReviewApp
) -> None:
    app, tab = show(labelled)
    fails = "(String(all[0]).startsWith('api/item/') && failed++ < 1) ? Promise.reject() : sent(...all)"
    tab.run(f"sent = fetch; failed = 0; fetch = (...all) => {fails}")
    ask(app.address + "api/change", {"action": "other", "changes": [change(0, "car", "no", "yes")]})
    tab.wait("failed > 0 && document.querySelector('.label[data-cell=car]').ariaChecked === 'true'", 15)


def test_images_do_not_move_the_page_when_they_are_loaded(
    show: Callable[..., Any], labelled: ReviewApp, tmp_path: Path
) -> None:
    PIL.Image.new("RGB", (900, 200)).save(tmp_path / "images" / "3.jpg")
    _, tab = show(labelled, "#list=all&view=grid")
    total = "done(list.getEntries().reduce((sum, one) => sum + one.value, 0))"
    observe = "observe({type: 'layout-shift', buffered: true})"
    shifts = f"new Promise((done) => new PerformanceObserver((list) => {total}).{observe})"
    none = "new Promise((done) => setTimeout(() => done(0), 400))"
    assert tab.run(f"Promise.race([{shifts}, {none}])") < 0.01


SLOW = """
const inner = window.fetch;
window.fetch = async (path, options) => {
  if (String(path).startsWith('api/items')) await new Promise((resolve) => { window.letGo = resolve; });
  return inner(path, options);
};
"""


@pytest.fixture
def many(tmp_path: Path) -> ReviewApp:
    """More images than a page of the list holds."""
    files = [f"{number:03}.jpg" for number in range(70)]
    make_images(tmp_path / "images", files)
    return open_app(label_items(tmp_path / "images", files, np.zeros((70, 3)), LABELS), tmp_path / "review")


def test_a_key_before_the_image_is_loaded_is_said_and_not_taken_for_the_image_before(
    show: Callable[..., Any], many: ReviewApp
) -> None:
    app, tab = show(many, "#list=all&at=55")
    wait_for(tab, "#position", "56 of 70")
    tab.run(SLOW)
    for number in range(57, 61):
        tab.keys("ArrowRight")
        wait_for(tab, "#position", f"{number} of 70")
    tab.keys("ArrowRight")  # the first image of the next page
    assert text(tab, "#position") == "…"
    tab.keys("b", "Enter", "Enter")
    assert text(tab, "#status") == "Still loading: press the key again"
    tab.run("window.letGo()")
    wait_for(tab, "#position", "61 of 70")  # none is passed over
    settled(tab)
    assert app.session.revision == 0
    tab.keys("b", "Enter")
    wait_for(tab, "#position", "62 of 70")
    settled(tab)
    assert np.flatnonzero(app.session.reviewed).tolist() == [60]
    assert app.session.current[60, 0, 0] == 1


def test_images_that_could_not_be_loaded_are_shown_when_a_key_asks_for_them_again(
    show: Callable[..., Any], many: ReviewApp
) -> None:
    _, tab = show(many, "#list=all&at=57")
    fails = "String(all[0]).startsWith('api/items') && !isWell"
    tab.run(f"sent = fetch; isWell = false; fetch = (...all) => ({fails}) ? Promise.reject(TypeError()) : sent(...all)")
    tab.keys("ArrowRight", "ArrowRight", "ArrowRight")
    wait_for(tab, "#notice", "The images cannot be loaded")
    tab.run("isWell = true")
    tab.keys("n")
    wait_for(tab, "#position", "61 of 70")


@pytest.mark.slow
def test_what_this_page_did_is_not_asked_for_again(browser: Browser, show: Callable[..., Any], many: ReviewApp) -> None:
    browser.requested.clear()
    _, tab = show(many)
    for number in range(2, 50):  # more than are asked for one by one
        tab.keys("b", "Enter")
        wait_for(tab, "#position", f"{number} of 70")
    settled(tab)
    tab.run("new Promise((resolve) => setTimeout(resolve, 2000))")  # the page asks what is new each 1.5 s
    asked = [one.partition("/api/")[2] for one in browser.requested]
    assert len([one for one in asked if one.startswith("state")]) > 1
    assert len([one for one in asked if one.startswith("items")]) == 1
    assert text(tab, "#position") == "49 of 70"
