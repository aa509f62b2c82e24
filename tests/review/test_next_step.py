"""What the page proposes: the first images alone, then learning, then a grid or an image; and it learns by itself."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyebright.errors import EyebrightError
from eyebright.evaluation.next_action import START
from eyebright.review.app import ReviewApp
from eyebright.review.items import Answers, ReviewItems
from eyebright.review.learning import ACTIONS
from eyebright.review.values import Vocabulary, unknown_values
from support.reviews import change, get, label_items, open_app, post

DONE = {"state": "done", "progress": 1.0, "message": "learnt from the known values"}
LABELS = ("bus", "car")
N = 60
FILES = tuple(f"{number:02}.jpg" for number in range(N))


class Sure:
    """A model that is sure of some buses, and unsure of all cars."""

    can_learn, can_show = True, False

    def __init__(self, *, waits: bool = False) -> None:
        self.calls, self._waits, self.may_end = 0, waits, threading.Event()
        self.error: EyebrightError | None = None

    def learn(
        self, vocabulary: Vocabulary, values: Any, *, cancelled: Callable[[], bool], progress: Callable[[float], None]
    ) -> Answers:
        self.calls += 1
        if self.error is not None:
            raise self.error
        if self._waits:
            self.may_end.wait(10)
        names = vocabulary.names
        p = np.full((len(values), len(names)), 0.5, dtype=np.float32)
        p[40:, 0] = np.linspace(0.97, 0.9, len(values) - 40)
        suggested = np.flatnonzero(np.isnan(values).all(axis=(1, 2)))[::-1].copy()
        predicted = (p > 0.5).astype(np.float32)[:, :, None]
        if vocabulary.kind == "class":
            predicted = np.zeros((len(values), 1, 1), dtype=np.float32)
        return Answers(names, predicted, p, [0.5] * len(names), suggested=suggested)

    def heat_map(self, path: Path, cell: str, longest: int) -> Any:
        raise AssertionError("there are no heat maps")


@pytest.fixture
def model() -> Sure:
    return Sure()


@pytest.fixture
def app(tmp_path: Path, model: Sure) -> ReviewApp:
    return open_app(label_items(tmp_path / "photos", FILES, None, LABELS), tmp_path / "review", model=model)


def label(app: ReviewApp, rows: Any, cells: tuple[str, ...] = LABELS) -> None:
    for row in rows:
        changes = [change(row, cell, "unknown", "no") for cell in cells]
        body = {"action": f"of-{row}-{'-'.join(cells)}", "changes": changes, "reviewed": [row]}
        assert post(app, "api/change", body).status == 200


def proposed(app: ReviewApp) -> Any:
    return get(app, "api/next").json


def learn(app: ReviewApp) -> None:
    post(app, "api/learn", {})
    ended(app)


def wait_until(holds: Callable[[], bool]) -> None:
    for _ in range(400):
        if holds():
            return
        time.sleep(0.025)
    raise AssertionError("it did not happen within ten seconds")


def ended(app: ReviewApp) -> None:
    """Waits until nothing is being learnt."""
    thread = app.learning._thread  # pyright: ignore[reportPrivateUsage]
    assert thread is not None
    thread.join(10)


def test_the_first_images_come_one_by_one_and_then_it_learns(app: ReviewApp) -> None:
    first = proposed(app)
    assert (first["kind"], first["labelled"], first["wanted"], first["left"]) == ("start", 0, START, N)
    assert (first["place"]["list"], first["place"]["view"]) == ("suggested", "single")
    label(app, range(START))
    assert proposed(app)["kind"] == "learn"
    assert proposed(app)["left"] == N - START
    app.close()


def test_a_grid_is_proposed_where_the_model_is_sure_and_its_place_shows_those_images(app: ReviewApp) -> None:
    label(app, range(START))
    learn(app)
    step = proposed(app)
    assert (step["kind"], step["label"], step["answer"], step["count"]) == ("grid", "bus", "yes", 20)
    place = step["place"]
    query = f"list={place['list']}&likely={place['likely']}&limit={place['count']}"
    found = get(app, f"api/items?{query}").json
    assert [item["id"] for item in found["items"]] == list(range(40, 60))
    changes = [change(item["id"], "bus", "unknown", "yes") for item in found["items"]]
    post(app, "api/change", {"action": "grid", "changes": changes})
    assert not set(range(40, 60)) & {item["id"] for item in get(app, f"api/items?{query}").json["items"]}
    assert proposed(app)["left"] == N - START, "of each image the other label is still unknown"
    app.close()


def test_a_single_image_is_proposed_where_it_sets_more(app: ReviewApp) -> None:
    label(app, range(START))
    learn(app)
    post(app, "api/change", {"action": "all", "changes": [change(r, "bus", "unknown", "yes") for r in range(20, N)]})
    label(app, range(20, N - 1), ("car",))
    ended(app)
    step = proposed(app)
    assert step["kind"] in ("image", "grid")
    place = step["place"]
    (item,) = get(app, f"api/items?list={place['list']}&offset={place['at']}&limit=1").json["items"]
    assert item["id"] == N - 1
    label(app, [N - 1], ("car",))
    assert proposed(app) == {"kind": "done", "left": 0, "place": None}
    assert "unfinished" not in {one["id"] for one in get(app, "api/session").json["lists"]}
    app.close()


def test_an_image_that_was_confirmed_with_an_unknown_label_is_finished(app: ReviewApp) -> None:
    changes = [change(0, "bus", "unknown", "yes")]
    post(app, "api/change", {"action": "1", "changes": changes})
    assert proposed(app)["left"] == N
    post(app, "api/change", {"action": "2", "reviewed": [0]})
    assert proposed(app)["left"] == N - 1
    app.close()


def test_it_learns_by_itself_after_some_answers_but_only_once_it_was_asked_to(app: ReviewApp, model: Sure) -> None:
    label(app, range(START))
    assert model.calls == 0
    learn(app)
    assert not get(app, "api/state").json["learning"]["automatic"]
    label(app, range(START, START + ACTIONS - 1))
    assert model.calls == 1
    label(app, [START + ACTIONS])
    ended(app)
    assert model.calls == 2
    learning = get(app, "api/state").json["learning"]
    assert (learning["state"], learning["automatic"], learning["model"]) == ("done", True, 2)
    label(app, [START + ACTIONS + 1])
    assert model.calls == 2, "it counts anew"
    app.close()


def test_what_learns_by_itself_is_not_cancelled_by_changes_and_starts_again_after_its_end(tmp_path: Path) -> None:
    model = Sure()
    app = open_app(label_items(tmp_path / "photos", FILES, None, LABELS), tmp_path / "review", model=model)
    label(app, range(START))
    learn(app)
    model._waits = True
    label(app, range(START, START + 2 * ACTIONS))
    label(app, [50])
    assert get(app, "api/state").json["learning"]["state"] == "running"
    model.may_end.set()
    wait_until(lambda: get(app, "api/state").json["learning"] == {**DONE, "model": 3, "automatic": True})
    assert app.session.answers is not None
    assert 50 not in app.session.answers.suggested, "the second one knows the last answer"  # pyright: ignore
    assert model.calls == 3
    app.close()


def test_after_a_failure_it_does_not_start_at_each_answer(tmp_path: Path) -> None:
    model = Sure()
    app = open_app(label_items(tmp_path / "photos", FILES, None, LABELS), tmp_path / "review", model=model)
    label(app, range(START))
    learn(app)
    model.error = EyebrightError("too few")
    label(app, range(START, START + ACTIONS))
    wait_until(lambda: get(app, "api/state").json["learning"]["state"] == "failed")
    assert get(app, "api/state").json["learning"]["automatic"]
    label(app, range(START + ACTIONS, START + 2 * ACTIONS - 1))
    assert model.calls == 2
    app.close()


def test_of_classes_a_grid_is_proposed_too(tmp_path: Path, model: Sure) -> None:
    vocabulary = Vocabulary("class", LABELS)
    items = ReviewItems(vocabulary, tmp_path / "photos", FILES, unknown_values(vocabulary, N))
    app = open_app(items, tmp_path / "review", model=model)
    for row in range(START):
        body = {"action": f"of-{row}", "changes": [change(row, "", "unknown", "car")], "reviewed": [row]}
        post(app, "api/change", body)
    learn(app)
    step = proposed(app)
    assert (step["kind"], step["label"], step["answer"], step["place"]["unlikely"]) == ("grid", "bus", "yes", "")
    app.close()


def test_nothing_is_proposed_where_nothing_came_without_labels_or_nothing_can_learn(tmp_path: Path) -> None:
    known = label_items(tmp_path / "photos", FILES, np.zeros((N, 2)), LABELS)
    unknown = label_items(tmp_path / "photos", FILES, None, LABELS)
    nameless = label_items(tmp_path / "photos", FILES, None, ())
    for number, (items, model) in enumerate([(known, Sure()), (unknown, None), (nameless, Sure())]):
        app = open_app(items, tmp_path / f"review{number}", model=model)
        assert proposed(app)["kind"] == "none"
        app.close()


def test_a_label_that_the_model_does_not_know_yet_is_proposed_when_it_is_cheap(app: ReviewApp) -> None:
    label(app, range(START))
    learn(app)
    post(app, "api/label", {"action": "add", "add": "dog"})
    assert proposed(app)["kind"] == "grid"
    assert proposed(app)["label"] == "bus"
    app.close()


def test_a_few_images_are_started_with_all_of_them(tmp_path: Path, model: Sure) -> None:
    app = open_app(label_items(tmp_path / "photos", FILES[:3], None, LABELS), tmp_path / "review", model=model)
    assert proposed(app)["wanted"] == 3
    label(app, range(3))
    assert proposed(app)["kind"] == "done"
    app.close()


def test_of_many_images_some_are_judged_and_the_place_is_right(app: ReviewApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eyebright.review.next_step._JUDGED", 10)
    label(app, range(START))
    learn(app)
    step = proposed(app)
    assert (step["kind"], step["label"], step["left"]) == ("grid", "bus", N - START)
    assert step["count"] == 5, "every fourth of the twenty"
    post(app, "api/change", {"action": "all", "changes": [change(r, "bus", "unknown", "yes") for r in range(20, N)]})
    label(app, range(20, N, 4), ("car",))
    label(app, range(21, N, 4), ("car",))
    ended(app)
    place = proposed(app)["place"]
    assert get(app, f"api/items?list={place['list']}&offset={place['at']}&limit=1").json["items"]
    app.close()
