"""The lists of the model's answers are made before a request asks for them, and are those of these answers."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyebright.review import listing
from eyebright.review.app import ReviewApp
from eyebright.review.items import Answers
from support.reviews import get, label_items, open_app, post

LABELS = ("cat", "dog")
FILES = tuple(f"{number}.jpg" for number in range(8))
GIVEN = [[1, 0]] * 8


def answers(wrong: list[int]) -> Answers:
    """A model that contradicts the labels of these images, those that are named first the most."""
    p = np.tile(np.array([0.9, 0.1], dtype=np.float32), (len(FILES), 1))
    for place, row in enumerate(wrong):
        p[row, 0] = 0.1 + 0.01 * place
    return Answers(LABELS, (p > 0.5).astype(np.float32)[:, :, None], p, [0.5, 0.5])


class Learner:
    """A model whose answers are given."""

    can_learn, can_show = True, False

    def __init__(self, found: Answers) -> None:
        self.found = found

    def learn(self, vocabulary: Any, values: Any, *, cancelled: Any, progress: Callable[[float], None]) -> Answers:
        return self.found

    def heat_map(self, path: Path, cell: str, longest: int) -> Any:
        raise AssertionError("there are no heat maps")


@pytest.fixture
def app(tmp_path: Path) -> ReviewApp:
    return open_app(label_items(tmp_path, FILES, GIVEN), tmp_path, answers=answers([3, 1]))


def mistakes(app: ReviewApp) -> list[int]:
    return [item["id"] for item in get(app, "api/items?list=mistakes").json["items"]]


def forbid(monkeypatch: pytest.MonkeyPatch) -> None:
    """No list of mistakes may be made from here on."""

    def fail(*given: Any) -> Any:
        raise AssertionError("a request waited for the worst mistakes")

    monkeypatch.setattr(listing, "worst_mistakes", fail)


def test_the_first_request_finds_the_lists_made(app: ReviewApp, monkeypatch: pytest.MonkeyPatch) -> None:
    forbid(monkeypatch)
    assert get(app, "api/session").status == 200
    assert mistakes(app) == [3, 1]


def test_answers_that_were_prepared_are_shown_without_making_lists_again(
    app: ReviewApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = answers([5, 2, 7])
    app.lists.prepare(new)
    forbid(monkeypatch)
    assert mistakes(app) == [3, 1]  # the session has the old ones still
    app.session.set_answers(new)
    assert mistakes(app) == [5, 2, 7]


def test_answers_that_were_not_prepared_have_their_own_lists_too(app: ReviewApp) -> None:
    app.lists.prepare(answers([5, 2, 7]))
    app.session.set_answers(answers([6]))
    assert mistakes(app) == [6]


def test_what_was_learnt_is_prepared_by_the_thread_that_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[str]()
    inner = listing.worst_mistakes
    monkeypatch.setattr(
        listing, "worst_mistakes", lambda *given: made.append(threading.current_thread().name) or inner(*given)
    )
    app = open_app(label_items(tmp_path, FILES, GIVEN), tmp_path, model=Learner(answers([4])))
    assert post(app, "api/learn", {}).status == 200
    end = time.monotonic() + 20
    while get(app, "api/state?since=0").json["learning"]["state"] == "running" and time.monotonic() < end:
        time.sleep(0.01)
    assert get(app, "api/state?since=0").json["learning"]["state"] != "running"
    assert mistakes(app) == [4]
    assert made == ["learning"]


def test_a_new_label_leaves_the_worst_mistakes_as_they_are(app: ReviewApp) -> None:
    assert post(app, "api/label", {"action": "a", "add": "bird"}).status == 200
    assert mistakes(app) == [3, 1]
