"""The HTML that a notebook shows: whole, escaped, and with its pictures inside."""

import base64
import io

import pytest
from PIL import Image

from eyebright import markup
from support.markup import Page

STRANGE = "<script>alert('x')</script> & \"more\""


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (12, 8), "red").save(file, format="JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    "html",
    [
        markup.block(STRANGE, markup.sentence("there")),
        markup.sentence(STRANGE),
        markup.table([STRANGE], [["there"]]),
        markup.table(["there"], [[STRANGE]]),
        markup.pairs({STRANGE: "there"}),
        markup.pairs({"there": STRANGE}),
        markup.pictures([(jpeg(), STRANGE), (None, "there")]),
        markup.bar(1, 2, STRANGE),
    ],
)
def test_strange_words_are_words_and_nothing_else(html: str) -> None:
    page = Page(html)
    assert STRANGE in page.text
    assert not {tag for tag, _ in page.tags} - {
        "div",
        "strong",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "br",
        "img",
        "progress",
    }


def test_a_table_has_its_cells_in_rows_words_at_the_left_and_numbers_at_the_right() -> None:
    page = Page(markup.table(("name", "kind", "count"), [("bus", "car", 3), ("cat", "pet", 10)], words=2))
    assert page.rows == [["name", "kind", "count"], ["bus", "car", "3"], ["cat", "pet", "10"]]
    sides = [attributes["style"] for tag, attributes in page.tags if tag in ("th", "td")]
    assert sides == ["text-align:left", "text-align:left", "text-align:right"] * 3


def test_rows_that_are_left_out_are_counted() -> None:
    assert "… and 1,234 more" in Page(markup.table(("name",), [("a",)], left_out=1234)).text
    assert "more" not in Page(markup.table(("name",), [("a",)])).text


def test_pictures_lie_inside_the_page_and_one_that_is_missing_is_words() -> None:
    page = Page(markup.pictures([(jpeg(), "a bus"), (None, "cannot be read")]))
    [image] = [attributes for tag, attributes in page.tags if tag == "img"]
    kind, data = str(image["src"]).split(",")
    assert kind == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(data))).size == (12, 8)
    assert image["alt"] == "a bus"
    assert "cannot be read" in page.text


def test_a_block_without_a_title_has_no_empty_one() -> None:
    assert markup.block("", markup.sentence("x")).startswith("<div><div")
