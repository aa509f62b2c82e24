"""docs/options.md is what the declarations say."""

from pathlib import Path

from eyebright.cli.reference import options_page

PAGE = Path(__file__).parents[2] / "docs" / "options.md"


def test_the_page_of_options_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == options_page(), "make docs writes it again"
