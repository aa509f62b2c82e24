"""The HTML that a notebook shows: whole, escaped, and with its images inside."""

import base64
import io

import PIL.Image
import pytest

from eyebright import _html as html
from support.html import Page

STRANGE = "<script>alert('x')</script> & \"more\""


def jpeg() -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (12, 8), "red").save(file, format="JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    "html",
    [
        html.block(STRANGE, html.paragraph("there")),
        html.paragraph(STRANGE),
        html.table([STRANGE], [["there"]]),
        html.table(["there"], [[STRANGE]]),
        html.name_value_table({STRANGE: "there"}),
        html.name_value_table({"there": STRANGE}),
        html.images([(jpeg(), STRANGE), (None, "there")]),
        html.progress_bar(1, 2, STRANGE),
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
    page = Page(html.table(("name", "kind", "count"), [("bus", "car", 3), ("cat", "pet", 10)], text_columns=2))
    assert page.rows == [["name", "kind", "count"], ["bus", "car", "3"], ["cat", "pet", "10"]]
    sides = [attributes["style"] for tag, attributes in page.tags if tag in ("th", "td")]
    assert sides == ["text-align:left", "text-align:left", "text-align:right"] * 3


def test_rows_that_are_left_out_are_counted() -> None:
    assert "… and 1,234 more" in Page(html.table(("name",), [("a",)], left_out=1234)).text
    assert "more" not in Page(html.table(("name",), [("a",)])).text


def test_images_lie_inside_the_page_and_one_that_is_missing_is_words() -> None:
    page = Page(html.images([(jpeg(), "a bus"), (None, "cannot be read")]))
    [image] = [attributes for tag, attributes in page.tags if tag == "img"]
    kind, data = str(image["src"]).split(",")
    assert kind == "data:image/jpeg;base64"
    assert PIL.Image.open(io.BytesIO(base64.b64decode(data))).size == (12, 8)
    assert image["alt"] == "a bus"
    assert "cannot be read" in page.text


def test_a_block_without_a_title_has_no_empty_one() -> None:
    assert html.block("", html.paragraph("x")).startswith("<div><div")
