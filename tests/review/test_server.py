"""The server: who may ask, what is refused, and that nothing which is sent is an error of the program."""

import contextlib
import random
import socket

import pytest

from eyebright.errors import InputError
from eyebright.review.address import former_port, stable_token
from eyebright.review.app import POLICY
from eyebright.review.server import ReviewServer
from support.reviews import ask, change, get, label_items, make_images, open_app, post, running

FILES = ("a.jpg", "b.jpg", "c.jpg")


@pytest.fixture
def app(tmp_path):
    make_images(tmp_path / "photos", FILES[:2], size=(3000, 2000))
    (tmp_path / "secret.txt").write_text("secret")
    opened = open_app(label_items(tmp_path / "photos", FILES, [[1, 0]] * 3), tmp_path / "review")
    yield opened
    opened.close()


def test_the_page_and_its_images_come_from_a_real_server(tmp_path):
    make_images(tmp_path, FILES, size=(300, 200))
    app = open_app(label_items(tmp_path, FILES, [[1, 0]] * 3), tmp_path / "review")
    with running(app) as address:
        page = ask(address)
        assert page.headers["content-security-policy"] == POLICY
        assert b"<html" in page.body
        assert ask(address + "assets/page.css").headers["content-type"] == "text/css; charset=utf-8"
        body = {"action": "1", "changes": [change(0, "dog", "no", "yes")]}
        assert ask(address + "api/change", body).json == {"revision": 1}
        assert ask(address + "api/change", body, Origin="http://evil.example").status == 403
        assert ask(address.replace(app.token, "wrong")).status == 404
        assert ask(address + "thumbnail/0").body[:2] == b"\xff\xd8"


def test_a_client_that_still_sends_hears_why_it_is_refused(tmp_path):
    make_images(tmp_path, FILES)
    app = open_app(label_items(tmp_path, FILES, [[1, 0]] * 3), tmp_path / "review")
    with running(app) as address:
        for _ in range(5):
            assert ask(address + "api/change", b" " * 8_000_000).status == 413
            assert ask(address + "api/change", b" " * 8_000_000, Origin="http://evil.example").status == 403
        with contextlib.suppress(OSError):
            ask(address + "api/change", b" " * 40_000_000)
        assert ask(address + "api/state").status == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "evil.example"}, 403),
        ({"host": "127.0.0.1:80"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"host": "localhost:5000", "origin": "http://localhost:5000", "sec-fetch-site": "same-origin"}, 200),
    ],
)
def test_only_the_page_itself_may_ask(app, headers, status):
    assert get(app, "api/session", **headers).status == status
    body = {"action": "1", "reviewed": [0]}
    assert post(app, "api/change", body, **headers).status == status


def test_a_request_that_is_no_json_object_is_refused(app):
    assert post(app, "api/change", {}, **{"content-type": "text/plain"}).status == 415
    assert post(app, "api/change", b"[]").status == 400
    assert post(app, "api/change", b"\xff").status == 400
    assert post(app, "api/change", b'{"action": NaN}').status == 400
    assert post(app, "api/change", {}, **{"content-length": "1000001"}).status == 413


@pytest.mark.parametrize(
    "place",
    [
        "image/../../secret.txt", "image/..%2f..%2fsecret.txt", "../secret.txt", "assets/../page.py", "image/-1",
        "assets/%2e%2e/page.html", "image//etc/passwd", "thumbnail/3", "image/a.jpg", "api", "assets/", "image/1e3",
    ],
)  # fmt: skip
def test_no_address_leads_out_of_the_images(app, place):
    answer = get(app, place)
    assert answer.status in (400, 404)
    assert b"secret" not in answer.body


def test_images_are_upright_and_no_larger_than_a_screen(app):
    item = get(app, "api/item/0").json
    assert (item["width"], item["height"]) == (3000, 2000)
    assert len(get(app, "thumbnail/0").body) < len(get(app, "image/0").body) < 400_000
    assert get(app, "thumbnail/0").body == get(app, "thumbnail/0").body


def test_malformed_requests_are_no_errors_of_the_program(app):
    draw = random.Random(0)
    values = [
        None,
        True,
        -1,
        0,
        10**30,
        1.5,
        "",
        "cat",
        "yes",
        "\ud800",
        [],
        [[]],
        {},
        {"id": 0},
        ["x"] * 9,
        "a" * 5000,
    ]
    names = ["action", "changes", "reviewed", "unreviewed", "of", "add", "id", "cell", "was", "now"]
    places = ["change", "undo", "redo", "label", "learn", "save", "x", "items", "%ff", "item/0"]
    queries = ["list", "offset", "limit", "query", "cell", "value", "likely", "unlikely", "state", "since", "id", "zz"]
    texts = ["", "-1", "0", "9" * 40, "%00", "%ff%fe", "all", "cat", "dog", "yes", "unknown", "1e9", "²", "x" * 2000]
    statuses = set()
    for _ in range(300):
        body = {name: draw.choice(values) for name in draw.sample(names, draw.randint(0, 6))}
        if draw.random() < 0.5:
            body["changes"] = [{name: draw.choice(values) for name in names[6:]} for _ in range(2)]
            body["action"] = "x"
        statuses.add(post(app, f"api/{draw.choice(places)}", body).status)
        chosen = draw.sample(queries, draw.randint(0, 5))
        query = "&".join(f"{name}={draw.choice(texts)}" for name in chosen)
        place = draw.choice(["api/items", "api/log", "api/state", "api/item/0", "heat-map/0", "thumbnail/9", "api/x"])
        statuses.add(get(app, f"{place}?{query}").status)
    assert max(statuses) < 500, statuses
    assert get(app, "api/items").json["total"] == 3


def test_a_port_that_is_taken_is_said(app):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(InputError, match="cannot listen at `port` .*: Address already in use"):
            ReviewServer(app, taken.getsockname()[1])


def test_the_same_images_have_the_same_address_again(tmp_path):
    tmp_path.joinpath("review").mkdir()
    folder = tmp_path / "review"
    token = stable_token(folder, FILES)
    assert token == stable_token(folder, FILES)
    assert token != stable_token(folder, FILES[:2])
    assert (folder / "secret").stat().st_mode & 0o077 == 0
    assert stable_token(tmp_path / "nowhere", FILES) != stable_token(tmp_path / "nowhere", FILES)
    assert former_port(folder) is None
    (folder / "port").write_text("80")
    assert former_port(folder) is None
