"""The state of a review: actions, undo without end, two browsers, and the journal of former sessions."""

import json

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from eyebright.errors import ArtifactError, InputError
from eyebright.review.app import keys_of
from eyebright.review.items import ReviewItems
from eyebright.review.journal import Journal
from eyebright.review.refusal import Refusal
from eyebright.review.session import ReviewSession
from eyebright.review.values import Vocabulary, unknown_values
from support.reviews import change, get, label_items, make_images, open_app, post

FILES = ("a.jpg", "b.jpg", "c.jpg")
YES_NO = [[1, 0], [0, 1], [np.nan, np.nan]]


@pytest.fixture
def app(tmp_path):
    opened = open_app(label_items(tmp_path / "photos", FILES, YES_NO), tmp_path / "review")
    yield opened
    opened.close()


def current(app, row):
    return get(app, f"api/item/{row}").json["current"]


def test_a_change_is_in_the_item_the_counts_and_the_log(app):
    answer = post(app, "api/change", {"action": "1", "changes": [change(0, "dog", "no", "yes")], "reviewed": [0]})
    assert answer.json == {"revision": 1}
    item = get(app, "api/item/0").json
    assert item["current"] == {"cat": "yes", "dog": "yes"}
    assert item["given"] == {"cat": "yes", "dog": "no"}
    assert (item["reviewed"], item["changed"], item["missing"]) == (True, True, True)
    assert [entry["who"] for entry in item["log"]] == ["ann"]
    assert get(app, "api/session").json["counts"] == {"items": 3, "reviewed": 1, "changed": 1, "unlabelled": 1}
    assert get(app, "api/state?since=0").json["changed"] == [0]
    assert get(app, "api/state?since=1").json["changed"] == []


def test_an_action_that_is_sent_again_is_carried_out_once(app):
    body = {"action": "same", "changes": [change(0, "dog", "no", "yes")]}
    assert post(app, "api/change", body).json == post(app, "api/change", body).json == {"revision": 1}
    assert post(app, "api/undo", {"action": "u", "of": None}).json["revision"] == 2
    assert post(app, "api/undo", {"action": "u", "of": None}).json["revision"] == 2
    assert get(app, "api/log").json["total"] == 2


def test_a_browser_that_was_slower_changes_nothing_and_is_told(app):
    post(app, "api/change", {"action": "1", "changes": [change(0, "dog", "no", "yes")]})
    both = [change(1, "cat", "no", "yes"), change(0, "dog", "no", "unknown")]
    answer = post(app, "api/change", {"action": "2", "changes": both})
    assert answer.status == 409
    assert [item["id"] for item in answer.json["items"]] == [0]
    assert current(app, 1) == {"cat": "no", "dog": "yes"}


def test_an_undo_is_refused_where_something_else_was_set_since(app):
    post(app, "api/change", {"action": "1", "changes": [change(0, "dog", "no", "yes")]})
    post(app, "api/change", {"action": "2", "changes": [change(0, "dog", "yes", "unknown")]})
    answer = post(app, "api/undo", {"action": "3", "of": 1})
    assert answer.status == 409
    assert "something else was set" in answer.json["error"]
    assert current(app, 0)["dog"] == "unknown"


def test_an_action_that_changes_nothing_has_no_revision(app):
    assert post(app, "api/change", {"action": "1", "changes": [change(0, "dog", "no", "yes")]}).json == {"revision": 1}
    assert post(app, "api/change", {"action": "2", "changes": [change(0, "dog", "yes", "yes")]}).json == {
        "revision": None
    }
    assert post(app, "api/change", {"action": "3"}).json == {"revision": None}
    assert post(app, "api/undo", {"action": "4", "of": "2"}).status == 409
    assert current(app, 0)["dog"] == "yes"


def test_an_action_is_undone_and_redone_by_its_identifier(app):
    post(app, "api/change", {"action": "mine", "changes": [change(0, "dog", "no", "yes")]})
    post(app, "api/change", {"action": "other", "changes": [change(1, "cat", "no", "yes")]})
    assert post(app, "api/undo", {"action": "undo", "of": "mine"}).json["undone"]["revision"] == 1
    assert (current(app, 0)["dog"], current(app, 1)["cat"]) == ("no", "yes")
    assert post(app, "api/redo", {"action": "redo", "of": "undo"}).status == 200
    assert (current(app, 0)["dog"], current(app, 1)["cat"]) == ("yes", "yes")
    assert "was not carried out" in post(app, "api/undo", {"action": "5", "of": "none"}).json["error"]


def test_an_undo_takes_back_no_later_confirmation(app):
    post(app, "api/change", {"action": "1", "reviewed": [0]})
    post(app, "api/change", {"action": "2", "unreviewed": [0]})
    post(app, "api/change", {"action": "3", "reviewed": [0]})
    assert post(app, "api/undo", {"action": "4", "of": "1"}).status == 409
    assert app.session.reviewed[0]
    for action in ("3", "2", "1"):
        assert post(app, "api/undo", {"action": f"undo-{action}", "of": action}).status == 200
    assert not app.session.reviewed[0]


def test_there_is_nothing_to_undo_or_redo_at_the_beginning(app):
    for place in ("undo", "redo"):
        assert f"nothing to {place}" in post(app, f"api/{place}", {"action": "1", "of": None}).json["error"]
        assert post(app, f"api/{place}", {"action": "1", "of": 7}).status == 409


def test_a_confirmation_is_undone_too(app):
    post(app, "api/change", {"action": "1", "reviewed": [0, 1, 0]})
    assert get(app, "api/session").json["counts"]["reviewed"] == 2
    post(app, "api/undo", {"action": "2", "of": None})
    assert get(app, "api/session").json["counts"]["reviewed"] == 0


def test_a_new_action_ends_redoing(app):
    post(app, "api/change", {"action": "1", "changes": [change(0, "dog", "no", "yes")]})
    post(app, "api/undo", {"action": "2", "of": None})
    post(app, "api/change", {"action": "3", "changes": [change(1, "cat", "no", "yes")]})
    assert post(app, "api/redo", {"action": "4", "of": None}).status == 409


def test_a_label_is_added_and_unknown_everywhere(app):
    assert post(app, "api/label", {"action": "1", "add": " bird "}).json == {"revision": 1}
    assert current(app, 0) == {"cat": "yes", "dog": "no", "bird": "unknown"}
    assert post(app, "api/label", {"action": "2", "add": "bird"}).status == 409
    for name in ("", "x" * 201, "a\nb", "unknown", "\ud800", "?", "nan", "Cat", "File", "split", "a;b"):
        assert post(app, "api/label", {"action": "3", "add": name}).status == 400
    post(app, "api/change", {"action": "4", "changes": [change(0, "bird", "unknown", "yes")]})
    assert current(app, 0)["bird"] == "yes"


@given(
    st.lists(
        st.one_of(
            st.tuples(st.integers(0, 2), st.sampled_from(["cat", "dog"]), st.sampled_from(["yes", "no", "unknown"])),
            st.sampled_from(["undo", "redo", "confirm"]),
        ),
        max_size=25,
    )
)
@settings(max_examples=40, deadline=None)
def test_what_is_read_back_is_what_was_and_undoing_all_gives_the_beginning(tmp_path_factory, actions):
    folder = tmp_path_factory.mktemp("review")
    items = label_items(folder / "photos", FILES, YES_NO)
    app = open_app(items, folder)
    for number, action in enumerate(actions):
        match action:
            case "undo" | "redo":
                post(app, f"api/{action}", {"action": f"{number}", "of": None})
            case "confirm":
                post(app, "api/change", {"action": f"{number}", "reviewed": [number % 3]})
            case (row, cell, now):
                one = change(row, cell, current(app, row)[cell], now)
                assert post(app, "api/change", {"action": f"{number}", "changes": [one]}).status == 200
    before = get(app, "api/items").json
    app.close()
    again = open_app(items, folder)
    assert get(again, "api/items").json == before
    while (
        post(again, "api/undo", {"action": f"end {again.session.revision}".replace(" ", "-"), "of": None}).status == 200
    ):
        pass
    np.testing.assert_array_equal(again.session.current, items.given)
    assert not again.session.reviewed.any()
    assert not again.session.changed.any()
    again.close()


def test_a_journal_is_found_by_file_names_whatever_the_order_of_the_images(tmp_path):
    first = open_app(label_items(tmp_path, FILES, YES_NO), tmp_path / "review")
    post(
        first, "api/change", {"action": "1", "changes": [change(0, "dog", "no", "yes"), change(1, "cat", "no", "yes")]}
    )
    first.close()
    items = label_items(tmp_path, ("c.jpg", "x.jpg", "a.jpg"), [[0, 0], [0, 0], [1, 0]])
    again = open_app(items, tmp_path / "review")
    assert current(again, 2) == {"cat": "yes", "dog": "yes"}
    assert post(again, "api/undo", {"action": "2", "of": None}).status == 200
    again.close()


def test_labels_that_the_images_do_not_have_any_more_come_back(tmp_path):
    first = open_app(label_items(tmp_path, FILES, YES_NO), tmp_path / "review")
    post(first, "api/change", {"action": "1", "changes": [change(0, "dog", "no", "yes")]})
    first.close()
    again = open_app(label_items(tmp_path, FILES, [[1], [0], [0]], labels=["cat"]), tmp_path / "review")
    assert current(again, 0) == {"cat": "yes", "dog": "yes"}
    again.close()


def test_a_journal_of_other_images_is_refused(tmp_path):
    first = open_app(label_items(tmp_path, FILES, YES_NO), tmp_path / "review")
    post(first, "api/change", {"action": "1", "changes": [change(0, "dog", "no", "yes")]})
    first.close()
    with pytest.raises(InputError, match=r"is the journal of other images \('a.jpg'\), none of which is here"):
        open_app(label_items(tmp_path, ["z.jpg"], [[1, 0]]), tmp_path / "review")


def test_a_line_that_is_no_action_is_refused(tmp_path):
    open_app(label_items(tmp_path, FILES, YES_NO), tmp_path / "review").close()
    with (tmp_path / "review/journal.jsonl").open("a") as file:
        file.write(json.dumps({"revision": 1, "action": "1", "changes": [{"file": 3}]}) + "\n")
    with pytest.raises(ArtifactError, match="line 2 of .* is not an action of a review"):
        open_app(label_items(tmp_path, FILES, YES_NO), tmp_path / "review")


def test_keys_are_letters_of_the_names_and_none_is_given_twice():
    names = tuple(f"label {i}" for i in range(40))
    keys = keys_of(("bus", "bicycle", "boat", *names))
    assert (keys["bus"], keys["bicycle"], keys["boat"]) == ("b", "i", "o")
    given_keys = [key for key in keys.values() if key is not None]
    assert len(given_keys) == len(set(given_keys)) == 17 + 9
    assert not set(given_keys) & set("jkurhnpxz")


@pytest.mark.parametrize(
    ("kind", "names", "good", "bad"),
    [
        ("labels", ("cat",), ["yes", "no", "unknown"], [None, 1, True, "maybe", [], {}]),
        ("class", ("cat", "dog"), ["cat", "dog", "unknown"], ["bird", "yes", 0, None]),
        (
            "points",
            ("nose",),
            [[1.5, 2.0], [-3.0, 0.25], "unknown"],
            [[1], [1, 2, 3], ["1", 2], [1, None], 3, [1e9, 0]],
        ),
        ("numbers", ("age",), [1.5, -3.0, "unknown"], [True, "1", None, [1], 10**400]),
    ],
)
def test_values_go_both_ways_and_others_are_refused(kind, names, good, bad):
    vocabulary = Vocabulary(kind, names)
    assert [vocabulary.decode(vocabulary.encode(value)) for value in good] == good
    for value in bad:
        with pytest.raises(Refusal, match="is no value of these"):
            vocabulary.encode(value)


def test_images_of_a_page_say_which_file_has_vanished(tmp_path):
    make_images(tmp_path, FILES[:2])
    app = open_app(label_items(tmp_path, FILES, YES_NO), tmp_path / "review")
    assert [item["missing"] for item in get(app, "api/items").json["items"]] == [False, False, True]
    assert get(app, "thumbnail/2").status == get(app, "image/2").status == 410
    assert "cannot be shown" in get(app, "image/2").json["error"]
    item = get(app, "api/item/0").json
    assert (item["width"], item["height"]) == (40, 30)
    app.close()


def test_changes_of_numbers_that_there_are_no_more_are_left_out_and_it_is_said(tmp_path):
    def of(*names):
        vocabulary = Vocabulary("numbers", names)
        return ReviewItems(vocabulary, tmp_path, FILES, unknown_values(vocabulary, 3))

    app = open_app(of("age", "size"), tmp_path / "review")
    changes = [change(0, "age", "unknown", 7), change(0, "size", "unknown", 3)]
    post(app, "api/change", {"action": "1", "changes": changes})
    app.close()
    journal, content = Journal.open(tmp_path / "review/journal.jsonl", "numbers")
    session = ReviewSession(of("age"), journal, "ann")
    assert any("changes of numbers that there are no more" in one for one in session.replay(content))
    assert session.current[0].tolist() == [[7]]
    journal.close()
