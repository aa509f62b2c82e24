"""The HTML for notebooks: well-formed, escaped, and with embedded images."""

import base64
import io

import PIL.Image
import pytest

from eyebright import _html as html
from support.html import Page

UNESCAPED = "<script>alert('x')</script> & \"more\""


def jpeg() -> bytes:
    file = io.BytesIO()
    PIL.Image.new("RGB", (12, 8), "red").save(file, format="JPEG")
    return file.getvalue()


@pytest.mark.parametrize(
    "html",
    [
        html.block(UNESCAPED, html.paragraph("text")),
        html.paragraph(UNESCAPED),
        html.table([UNESCAPED], [["text"]]),
        html.table(["text"], [[UNESCAPED]]),
        html.name_value_table({UNESCAPED: "text"}),
        html.name_value_table({"text": UNESCAPED}),
        html.images([(jpeg(), UNESCAPED), (None, "text")]),
        html.progress_bar(1, 2, UNESCAPED),
    ],
)
def test_all_text_is_escaped(html: str) -> None:
    page = Page(html)
    assert UNESCAPED in page.text
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


def test_text_columns_are_left_aligned_and_number_columns_right_aligned() -> None:
    page = Page(html.table(("name", "kind", "count"), [("bus", "car", 3), ("cat", "pet", 10)], text_columns=2))
    assert page.rows == [["name", "kind", "count"], ["bus", "car", "3"], ["cat", "pet", "10"]]
    styles = [attributes["style"] for tag, attributes in page.tags if tag in ("th", "td")]
    assert styles == ["text-align:left", "text-align:left", "text-align:right"] * 3


def test_a_table_reports_the_number_of_omitted_rows() -> None:
    assert "… and 1,234 more" in Page(html.table(("name",), [("a",)], n_omitted=1234)).text
    assert "more" not in Page(html.table(("name",), [("a",)])).text


def test_images_are_embedded_and_a_missing_image_is_replaced_by_its_text() -> None:
    page = Page(html.images([(jpeg(), "a bus"), (None, "cannot be read")]))
    [image] = [attributes for tag, attributes in page.tags if tag == "img"]
    kind, data = str(image["src"]).split(",")
    assert kind == "data:image/jpeg;base64"
    assert PIL.Image.open(io.BytesIO(base64.b64decode(data))).size == (12, 8)
    assert image["alt"] == "a bus"
    assert "cannot be read" in page.text


def test_a_block_without_a_title_has_no_title_element() -> None:
    assert html.block("", html.paragraph("x")).startswith("<div><div")
